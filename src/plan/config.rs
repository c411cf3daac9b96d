//! `powerprof.toml`: the same settings as the flags, and the calibration of boards.
//!
//! ```toml
//! [record]
//! interval = "10ms"
//! gpus = "0,1"
//! cpu_tdp = 225
//!
//! [calibration."GPU-6c2d…"]     # reading = gain * true + offset
//! gain = 0.954
//! offset_w = -1.18
//!
//! [sensor."GPU-6c2d…"]          # written by `powerprof calibrate --write`
//! power_window_ms = 25.1
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use serde::Deserialize;

use crate::cli::PollingChoice;
use crate::model::device::{Calibration, Device, DeviceKind};
use crate::model::units::Watts;

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}\nhint: fix its permissions, or remove it", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {message}\nhint: the settings are listed in README.md under Configuration", path = .path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("interval = {0:?} is not a time\nhint: a number with its unit, as in \"10ms\"")]
    Interval(String),
    #[error("polling = {0:?} is not a way to poll\nhint: \"adaptive\" or \"steady\"")]
    Polling(String),
    #[error(
        "calibration of {uuid}: gain {gain} is not possible\nhint: reading = gain * true + offset, so gain lies near 1"
    )]
    Gain { uuid: String, gain: f64 },
}

/// A configuration file's content.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub record: RecordConfig,
    calibration: BTreeMap<String, CalibrationEntry>,
    sensor: BTreeMap<String, SensorEntry>,
}

/// Defaults for recording.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordConfig {
    pub output: Option<PathBuf>,
    interval: Option<String>,
    polling: Option<String>,
    pub gpus: Option<String>,
    pub strict: Option<bool>,
    pub cpu_tdp: Option<f64>,
    pub simulate: Option<String>,
    pub quiet: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalibrationEntry {
    gain: f64,
    #[serde(default)]
    offset_w: f64,
}

/// What `powerprof calibrate` found out about one sensor. All in milliseconds; doubts are half-widths (95 %).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SensorEntry {
    pub measured_at: Option<String>,
    pub power_update_period_ms: Option<f64>,
    pub power_window_ms: Option<f64>,
    pub power_window_u95_ms: Option<f64>,
    pub power_delay_ms: Option<f64>,
    pub power_delay_u95_ms: Option<f64>,
    pub power_response_ms: Option<f64>,
    pub counter_update_period_ms: Option<f64>,
    pub counter_delay_ms: Option<f64>,
    /// `continuous` or `sampled`.
    pub counter_kind: Option<String>,
}

impl RecordConfig {
    /// How to poll, if it is set.
    pub fn polling(&self) -> Result<Option<PollingChoice>, ConfigError> {
        let parse =
            |word: &String| PollingChoice::from_str(word, false).map_err(|_| ConfigError::Polling(word.clone()));
        self.polling.as_ref().map(parse).transpose()
    }
}

impl Config {
    /// `./powerprof.toml` over the user's own file; either may be absent.
    pub fn load() -> Result<Self, ConfigError> {
        let mut config = match user_file() {
            Some(path) => Self::read(&path)?,
            None => Self::default(),
        };
        config.overlay(Self::read(Path::new("powerprof.toml"))?);
        Ok(config)
    }

    /// An absent file is an empty one.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        match config
            .calibration
            .iter()
            .find(|(_, entry)| !(0.2..5.0).contains(&entry.gain) || !entry.offset_w.is_finite())
        {
            Some((uuid, entry)) => Err(ConfigError::Gain {
                uuid: uuid.clone(),
                gain: entry.gain,
            }),
            None => Ok(config),
        }
    }

    fn overlay(&mut self, over: Self) {
        let RecordConfig {
            output,
            interval,
            polling,
            gpus,
            strict,
            cpu_tdp,
            simulate,
            quiet,
        } = over.record;
        let base = &mut self.record;
        base.output = output.or(base.output.take());
        base.interval = interval.or(base.interval.take());
        base.polling = polling.or(base.polling.take());
        base.gpus = gpus.or(base.gpus.take());
        base.strict = strict.or(base.strict);
        base.cpu_tdp = cpu_tdp.or(base.cpu_tdp);
        base.simulate = simulate.or(base.simulate.take());
        base.quiet = quiet.or(base.quiet);
        self.calibration.extend(over.calibration);
        self.sensor.extend(over.sensor);
    }

    /// Put on a device what the user knows of its board and sensor: calibration and measured timing ([`sensor_key`]).
    pub fn complete(&self, device: &mut Device) {
        let key = sensor_key(device);
        let (calibration, sensor) = (self.calibration(key), self.sensor.get(key));
        device.calibration = calibration.or(device.calibration);
        let Some(sensor) = sensor else { return };
        let over = |measured: Option<f64>, believed: Option<f64>| measured.filter(|ms| ms.is_finite()).or(believed);
        let power = &mut device.power_timing;
        power.update_period_ms = over(sensor.power_update_period_ms, power.update_period_ms);
        power.window_ms = over(sensor.power_window_ms, power.window_ms);
        power.delay_ms = over(sensor.power_delay_ms, power.delay_ms);
        let counter = &mut device.counter_timing;
        counter.update_period_ms = over(sensor.counter_update_period_ms, counter.update_period_ms);
        counter.delay_ms = over(sensor.counter_delay_ms, counter.delay_ms);
        let when = sensor.measured_at.as_deref().unwrap_or("at an unknown time");
        device
            .properties
            .insert("timing_source".into(), format!("calibrated {when}"));
        if let Some(kind) = &sensor.counter_kind {
            device.properties.insert("counter_kind".into(), kind.clone());
        }
    }

    /// The recording interval, if one is set.
    pub fn interval(&self) -> Result<Option<Duration>, ConfigError> {
        let parse = |text: &String| humantime::parse_duration(text).map_err(|_| ConfigError::Interval(text.clone()));
        self.record.interval.as_ref().map(parse).transpose()
    }

    /// The user's calibration of the board with this UUID.
    pub fn calibration(&self, uuid: &str) -> Option<Calibration> {
        let entry = self.calibration.get(uuid)?;
        Some(Calibration {
            gain: entry.gain,
            offset: Watts(entry.offset_w),
        })
    }
}

/// What a device's own settings are filed under: a board's UUID, else its id. Module and memory share their GPU's UUID and not its sensor.
pub fn sensor_key(device: &Device) -> &str {
    let uuid = device.uuid.as_deref().filter(|_| device.kind == DeviceKind::Gpu);
    uuid.unwrap_or(&device.id.0)
}

/// `$XDG_CONFIG_HOME/powerprof/powerprof.toml`, else `~/.config/powerprof/powerprof.toml` (XDG Base Directory Specification).
pub fn user_file() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("powerprof").join("powerprof.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("powerprof.toml"))
    }

    #[test]
    fn the_nearer_file_wins_setting_by_setting() -> Result<(), ConfigError> {
        let mut user = parse("[record]\ninterval = \"20ms\"\ngpus = \"0\"\n[calibration.GPU-1]\ngain = 0.95\n")?;
        user.overlay(parse(
            "[record]\ninterval = \"5ms\"\n[calibration.GPU-2]\ngain = 1.02\noffset_w = -1.0\n",
        )?);
        assert_eq!(user.interval()?, Some(Duration::from_millis(5)));
        assert_eq!(user.record.gpus.as_deref(), Some("0"));
        assert_eq!(
            user.calibration("GPU-1"),
            Some(Calibration {
                gain: 0.95,
                offset: Watts(0.0)
            })
        );
        assert_eq!(
            user.calibration("GPU-2"),
            Some(Calibration {
                gain: 1.02,
                offset: Watts(-1.0)
            })
        );
        assert_eq!(user.calibration("GPU-3"), None);
        Ok(())
    }

    #[test]
    fn mistakes_name_the_file_and_the_fix() {
        let errors = [
            parse("[record]\nintervall = \"5ms\"\n").map(|_| ()),
            parse("[calibration.GPU-1]\ngain = 0\n").map(|_| ()),
            parse("[record]\ninterval = \"soon\"\n").and_then(|c| c.interval().map(|_| ())),
        ];
        let texts: Vec<String> = errors
            .into_iter()
            .map(|e| e.map_or_else(|e| e.to_string(), |()| "no error".into()))
            .collect();
        insta::assert_snapshot!(texts.join("\n---\n"));
    }
}
