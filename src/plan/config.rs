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
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

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
    #[error(
        "{path}: calibration of {uuid}: gain {gain} and offset {offset_w} W are not possible\nhint: reading = gain * true + offset, so gain lies near 1",
        path = .path.display()
    )]
    Calibration {
        path: PathBuf,
        uuid: String,
        gain: f64,
        offset_w: f64,
    },
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
    #[serde(deserialize_with = "time")]
    pub interval: Option<Duration>,
    #[serde(deserialize_with = "polling")]
    pub polling: Option<PollingChoice>,
    #[serde(deserialize_with = "time")]
    pub idle_baseline: Option<Duration>,
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
            Some((uuid, entry)) => Err(ConfigError::Calibration {
                path: path.to_owned(),
                uuid: uuid.clone(),
                gain: entry.gain,
                offset_w: entry.offset_w,
            }),
            None => Ok(config),
        }
    }

    fn overlay(&mut self, over: Self) {
        let RecordConfig {
            output,
            interval,
            polling,
            idle_baseline,
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
        base.idle_baseline = idle_baseline.or(base.idle_baseline.take());
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
        let said = [
            ("counter_kind", sensor.counter_kind.clone()),
            (
                "power_window_u95_ms",
                sensor.power_window_u95_ms.map(|ms| ms.to_string()),
            ),
            ("power_delay_u95_ms", sensor.power_delay_u95_ms.map(|ms| ms.to_string())),
        ];
        let said = said
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        device.properties.extend(said);
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

/// A setting that is a length of time.
fn time<'de, D: Deserializer<'de>>(setting: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(setting)?;
    let wrong = |_| {
        D::Error::custom(format!(
            "{text:?} is not a time: write a number with its unit, as in \"10ms\""
        ))
    };
    humantime::parse_duration(&text).map(Some).map_err(wrong)
}

fn polling<'de, D: Deserializer<'de>>(setting: D) -> Result<Option<PollingChoice>, D::Error> {
    let text = String::deserialize(setting)?;
    let wrong = |_| {
        D::Error::custom(format!(
            "{text:?} is not a way to poll: write \"adaptive\" or \"steady\""
        ))
    };
    PollingChoice::from_str(&text, false).map(Some).map_err(wrong)
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
    use crate::model::device::{DeviceId, SensorTiming, Source};

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("powerprof.toml"))
    }

    #[test]
    fn the_nearer_file_wins_setting_by_setting() -> Result<(), ConfigError> {
        let mut user = parse("[record]\ninterval = \"20ms\"\ngpus = \"0\"\n[calibration.GPU-1]\ngain = 0.95\n")?;
        user.overlay(parse(
            "[record]\ninterval = \"5ms\"\n[calibration.GPU-2]\ngain = 1.02\noffset_w = -1.0\n",
        )?);
        assert_eq!(user.record.interval, Some(Duration::from_millis(5)));
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
    fn what_was_measured_of_a_sensor_takes_the_place_of_what_is_believed() -> Result<(), ConfigError> {
        let config = parse(
            "[sensor.GPU-1]\npower_window_ms = 24.2\ncounter_kind = \"sampled\"\n[sensor.cpu0]\ncounter_delay_ms = 0.5\n",
        )?;
        let believed = SensorTiming {
            update_period_ms: Some(100.0),
            window_ms: Some(25.0),
            delay_ms: None,
        };
        let device = |id: &str, kind: DeviceKind, uuid: Option<&str>| Device {
            id: DeviceId(id.into()),
            kind,
            source: Source::Nvml,
            name: String::new(),
            uuid: uuid.map(str::to_owned),
            index: None,
            contained_in: None,
            architecture: None,
            power_limit: None,
            memory_total_bytes: None,
            power_timing: believed,
            counter_timing: SensorTiming::default(),
            calibration: None,
            properties: BTreeMap::new(),
        };
        let mut gpu = device("gpu0", DeviceKind::Gpu, Some("GPU-1"));
        config.complete(&mut gpu);
        assert_eq!(
            (gpu.power_timing.window_ms, gpu.power_timing.update_period_ms),
            (Some(24.2), Some(100.0))
        );
        assert_eq!(gpu.properties["counter_kind"], "sampled");
        // A module shows its GPU's UUID, and has a sensor of its own.
        let mut module = device("module0", DeviceKind::Module, Some("GPU-1"));
        config.complete(&mut module);
        assert_eq!(module.power_timing, believed);
        let mut cpu = device("cpu0", DeviceKind::Cpu, None);
        config.complete(&mut cpu);
        assert_eq!(cpu.counter_timing.delay_ms, Some(0.5));
        Ok(())
    }

    #[test]
    fn mistakes_name_the_file_and_the_fix() {
        let errors = [
            parse("[record]\nintervall = \"5ms\"\n").map(|_| ()),
            parse("[calibration.GPU-1]\ngain = 0\n").map(|_| ()),
            parse("[record]\ninterval = \"soon\"\n").map(|_| ()),
            parse("[record]\npolling = \"often\"\n").map(|_| ()),
        ];
        let texts: Vec<String> = errors
            .into_iter()
            .map(|e| e.map_or_else(|e| e.to_string(), |()| "no error".into()))
            .collect();
        insta::assert_snapshot!(texts.join("\n---\n"));
    }
}
