//! The version of the file's layout, and which versions this program reads.
//!
//! Adding a group, column or attribute raises the minor version: older programs still read such a file, and leave out what
//! they do not know. Changing the meaning of anything that exists raises the major version, and then this file keeps a
//! reader for the old one. The golden files in `tests/data` hold every version to that promise.

use std::fmt;

/// A layout's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaVersion {
    pub major: u32,
    pub minor: u32,
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What this program writes. 1.1 added the table `baseline` and the attribute `imported`, 1.2 the drivers' own samples.
pub const CURRENT: SchemaVersion = SchemaVersion { major: 1, minor: 2 };

/// The oldest major version this program reads.
pub const OLDEST_MAJOR: u32 = 1;

/// Why a file's layout cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error(
        "its layout has version {found}, and this powerprof reads {OLDEST_MAJOR}.0 to {CURRENT}\nhint: read it with the \
         powerprof that wrote it (`h5dump -a /powerprof_version FILE` names it)"
    )]
    TooOld { found: SchemaVersion },
    #[error(
        "its layout has version {found}, and this powerprof reads {OLDEST_MAJOR}.0 to {CURRENT}\nhint: update powerprof, to at \
         least the version that wrote it (`h5dump -a /powerprof_version FILE` names it)"
    )]
    TooNew { found: SchemaVersion },
}

/// Whether this program reads a file of version `found`. `Some`: it does, with something left out; the sentence says so.
pub fn check_readable(found: SchemaVersion) -> Result<Option<String>, VersionError> {
    if found.major < OLDEST_MAJOR {
        return Err(VersionError::TooOld { found });
    }
    if found.major > CURRENT.major {
        return Err(VersionError::TooNew { found });
    }
    let newer = found.major == CURRENT.major && found.minor > CURRENT.minor;
    Ok(newer.then(|| {
        format!(
            "the file was written by a newer powerprof (layout {found}, this one knows {CURRENT}): what is new in it is left out"
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u32, minor: u32) -> SchemaVersion {
        SchemaVersion { major, minor }
    }

    #[test]
    fn own_version_reads_without_a_word() {
        assert_eq!(check_readable(CURRENT), Ok(None));
    }

    #[test]
    fn too_old_says_old() {
        insta::assert_snapshot!(check_readable(version(0, 9)).unwrap_err());
    }

    #[test]
    fn too_new_says_new() {
        insta::assert_snapshot!(check_readable(version(CURRENT.major + 1, 0)).unwrap_err());
    }

    #[test]
    fn newer_minor_reads_and_says_what_is_missing() {
        insta::assert_snapshot!(check_readable(version(1, CURRENT.minor + 1)).unwrap().unwrap());
    }
}
