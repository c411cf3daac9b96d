//! A sensor that says what a test told it to: for tests of whatever reads sensors.
//!
//! Invariant: readings come in the order given; the last one is repeated for ever, so that a script need not know how often it is
//! polled.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::sample::{Columns, CounterUnit, PowerReading, StateReading};

use super::interface::{ReadError, Sensor};

/// A device with a script.
pub struct ScriptedSensor {
    device: Device,
    columns: Columns,
    power_period: Duration,
    state_period: Option<Duration>,
    call_takes: Duration,
    power: Script<PowerReading>,
    state: Script<StateReading>,
}

struct Script<T> {
    lines: VecDeque<Result<T, ReadError>>,
}

impl<T: Clone + Default> Script<T> {
    fn next(&mut self) -> Result<T, ReadError> {
        match self.lines.len() {
            0 => Ok(T::default()),
            1 => self.lines[0].clone(),
            _ => self.lines.pop_front().unwrap_or_else(|| Ok(T::default())),
        }
    }
}

impl ScriptedSensor {
    /// A GPU of this name with watts and a millijoule counter, and an empty script.
    pub fn new(id: &str) -> Self {
        Self {
            device: Device {
                id: DeviceId(id.to_owned()),
                kind: DeviceKind::Gpu,
                source: Source::Simulated,
                name: format!("scripted {id}"),
                uuid: None,
                index: None,
                contained_in: None,
                architecture: None,
                power_limit: None,
                memory_total_bytes: None,
                power_timing: SensorTiming::default(),
                counter_timing: SensorTiming::default(),
                calibration: None,
                properties: Default::default(),
            },
            columns: Columns {
                watts: true,
                counter: Some(CounterUnit {
                    joules: 1e-3,
                    wraps_at: None,
                }),
                ..Columns::default()
            },
            power_period: Duration::ZERO,
            state_period: None,
            call_takes: Duration::ZERO,
            power: Script { lines: VecDeque::new() },
            state: Script { lines: VecDeque::new() },
        }
    }

    /// What [`Sensor::read_power`] answers, call by call.
    #[must_use]
    pub fn power(mut self, script: impl IntoIterator<Item = Result<PowerReading, ReadError>>) -> Self {
        self.power.lines = script.into_iter().collect();
        self
    }

    /// What [`Sensor::read_state`] answers, asked every `period`.
    #[must_use]
    pub fn state(
        mut self,
        period: Duration,
        script: impl IntoIterator<Item = Result<StateReading, ReadError>>,
    ) -> Self {
        self.state_period = Some(period);
        self.state.lines = script.into_iter().collect();
        self
    }

    /// Give other columns.
    #[must_use]
    pub fn columns(mut self, columns: Columns) -> Self {
        self.columns = columns;
        self
    }

    /// Ask to be polled no more often than this.
    #[must_use]
    pub fn power_period(mut self, period: Duration) -> Self {
        self.power_period = period;
        self
    }

    /// Make every call last so long.
    #[must_use]
    pub fn call_takes(mut self, time: Duration) -> Self {
        self.call_takes = time;
        self
    }
}

impl Sensor for ScriptedSensor {
    fn device(&self) -> &Device {
        &self.device
    }

    fn columns(&self) -> Columns {
        self.columns
    }

    fn power_period(&self) -> Duration {
        self.power_period
    }

    fn state_period(&self) -> Option<Duration> {
        self.state_period
    }

    fn read_power(&mut self) -> Result<PowerReading, ReadError> {
        std::thread::sleep(self.call_takes);
        self.power.next()
    }

    fn read_state(&mut self) -> Result<StateReading, ReadError> {
        self.state.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_in_order_and_its_last_line_for_ever() {
        let watts = |w| {
            Ok(PowerReading {
                watts: Some(w),
                ..PowerReading::default()
            })
        };
        let gone = Err(ReadError::Gone("off the bus".into()));
        let mut sensor = ScriptedSensor::new("gpu0").power([watts(1.0), watts(2.0), gone.clone()]);
        let heard: Vec<_> = (0..4).map(|_| sensor.read_power()).collect();
        assert_eq!(heard, [watts(1.0), watts(2.0), gone.clone(), gone]);
    }
}
