//! Where the built library is, and putting it where a program under test finds it. Owns paths; leaves to the test which
//! program that is.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::{CONFIG_FILE, Config, ConfigError};
use crate::{Machine, clock};

/// Name under which programs look for the library.
pub const LIBRARY_NAME: &str = "libnvidia-ml.so.1";
/// Path of the built library, for whoever builds it elsewhere.
pub const LIBRARY_VARIABLE: &str = "FAKE_NVML_LIBRARY";

const BUILT_NAME: &str = "libfake_nvml.so";

#[derive(Debug)]
pub enum InstallError {
    /// The library was not built beside the test.
    NotBuilt {
        looked_at: Vec<PathBuf>,
    },
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    Config(ConfigError),
}

impl fmt::Display for InstallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt { looked_at } => {
                writeln!(out, "{BUILT_NAME} is in none of")?;
                for path in looked_at {
                    writeln!(out, "  {}", path.display())?;
                }
                write!(out, "hint: make fake-nvml a dev-dependency of the test's package, ")?;
                write!(
                    out,
                    "or build it (cargo build --release -p fake-nvml) and give its path in {LIBRARY_VARIABLE}"
                )
            }
            Self::Io { path, source } => write!(out, "{}: {source}\nhint: the folder must be writable", path.display()),
            Self::Config(source) => source.fmt(out),
        }
    }
}

impl std::error::Error for InstallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotBuilt { .. } => None,
            Self::Io { source, .. } => Some(source),
            Self::Config(source) => Some(source),
        }
    }
}

/// The built library, `libfake_nvml.so`.
///
/// Cargo builds it with every package that has `fake-nvml` as a dev-dependency, into the `deps` folder that test
/// executables stand in; `cargo build -p fake-nvml` also links it one folder up. From a binary under `target/release`
/// or an example under `target/release/examples` the same two places are looked at.
///
/// # Errors
/// When it is in none of these places; the message lists them.
pub fn library_path() -> Result<PathBuf, InstallError> {
    if let Some(path) = std::env::var_os(LIBRARY_VARIABLE) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(InstallError::NotBuilt { looked_at: vec![path] })
        };
    }
    let executable = std::env::current_exe().map_err(|source| InstallError::Io {
        path: PathBuf::from("/proc/self/exe"),
        source,
    })?;
    // `deps` first: cargo renews it with every build, the link beside the binaries only when asked for the package.
    let places = executable
        .ancestors()
        .skip(1)
        .take(2)
        .flat_map(|folder| [folder.join("deps"), folder.to_owned()]);
    let looked_at: Vec<_> = places.map(|folder| folder.join(BUILT_NAME)).collect();
    match looked_at.iter().find(|path| path.is_file()) {
        Some(found) => Ok(found.clone()),
        None => Err(InstallError::NotBuilt { looked_at }),
    }
}

/// A folder with the library under its public name and its configuration beside it.
///
/// Give a program [`Self::folder`] as `LD_LIBRARY_PATH` or [`Self::library`] as a path; no other variable is needed.
/// Each installation is a copy, so one process may load several, each with a machine of its own.
#[derive(Debug)]
pub struct Installation {
    folder: PathBuf,
    machine: Machine,
}

impl Installation {
    /// `folder` must exist. Where the configuration has no `t0_ns`, its time starts now, so that the test and every
    /// process agree on it.
    ///
    /// # Errors
    /// When the library is not built, the folder cannot be written to, or the configuration cannot be simulated.
    pub fn create(folder: &Path, config: &Config) -> Result<Self, InstallError> {
        let built = library_path()?;
        let config = Config {
            t0_ns: Some(config.t0_ns.unwrap_or_else(clock::monotonic_ns)),
            ..config.clone()
        };
        let text = config.to_json().map_err(InstallError::Config)?;
        let machine = Machine::new(config, 0).map_err(InstallError::Config)?;
        let installation = Self {
            folder: folder.to_owned(),
            machine,
        };
        let io = |path: &Path, source| InstallError::Io {
            path: path.to_owned(),
            source,
        };
        std::fs::copy(&built, installation.library()).map_err(|source| io(&installation.library(), source))?;
        std::fs::write(installation.config_file(), text).map_err(|source| io(&installation.config_file(), source))?;
        Ok(installation)
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of the library.
    #[must_use]
    pub fn library(&self) -> PathBuf {
        self.folder.join(LIBRARY_NAME)
    }

    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.join(CONFIG_FILE)
    }

    /// The same machine that the library simulates: truth and expected readings.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
}
