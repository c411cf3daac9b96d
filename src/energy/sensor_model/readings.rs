//! Which readings the model goes by, and what is found of the sensor that gave them.

use super::design::Theta;
use super::fit::{Prior, Setting, Stream};
use super::kind::{self, CounterKind};
use super::overlap::Overlap;
use super::rows::{self, Place, Rows};
use super::search::{self, Discovered};
use super::{Inputs, Refusal, contrast, discover, in_step, ticks};

/// Fewer rows than this for each unknown power determine nothing.
const ROWS_PER_LEAF: usize = 4;
/// Less than this share of the variance of what readings see of half the leaves is left by the doubt about when they saw it: what is
/// there then depends on more than is known of the sensor.
const TELLING: f64 = 0.3;

/// Rows of the power readings and of the counter; at least one of them.
pub struct Readings {
    pub power: Option<Rows>,
    pub counter: Option<Rows>,
}

impl Readings {
    /// Those that are enough for the leaves there are.
    pub fn enough(inputs: &Inputs) -> Option<Self> {
        let leaves = inputs.seconds.iter().filter(|s| **s > 0.0).count();
        let enough = |rows: &Rows| rows.rows.len() >= ROWS_PER_LEAF * leaves + 12;
        let power = rows::of_power(inputs.device, inputs.sensed, inputs.run, Place::Anywhere).filter(enough);
        let counter = rows::of_counter(inputs.device, inputs.sensed.polled, inputs.run, Place::Anywhere).filter(enough);
        let power = power.filter(|_| !(inputs.contradiction && counter.is_some()));
        (power.is_some() || counter.is_some()).then_some(Self { power, counter })
    }

    /// Rows of the longer stream.
    pub fn most(&self) -> usize {
        let streams = self.power.iter().chain(&self.counter);
        streams.map(|rows| rows.rows.len()).max().unwrap_or(0)
    }

    /// Of those, the ones of which it is known well enough when they saw what they say.
    pub fn telling(self, inputs: &Inputs, setting: &Setting, overlap: &Overlap) -> Result<Self, Refusal> {
        let power = self.power.map(|rows| in_step::power(inputs, setting, rows));
        let counter = self.counter.map(|rows| in_step::counter(inputs, setting, rows));
        let half_ms = power.as_ref().or(counter.as_ref()).map_or(0.0, |rows| rows.half * 1e3);
        let tells = |rows: &Rows| contrast::left(inputs, overlap, rows) > TELLING;
        let (power, counter) = (power.filter(tells), counter.filter(tells));
        if power.is_none() && counter.is_none() {
            return Err(Refusal::Blurred(half_ms));
        }
        Ok(Self { power, counter })
    }

    /// At most so many rows of each, all over the run.
    pub fn spread(&self, most: usize) -> Self {
        let spread = |rows: &Option<Rows>| rows.as_ref().map(|rows| rows.spread(most));
        Self {
            power: spread(&self.power),
            counter: spread(&self.counter),
        }
    }

    /// The rows of one of them.
    pub fn of(&self, is_counter: bool) -> Option<&Rows> {
        let stream = if is_counter { &self.counter } else { &self.power };
        stream.as_ref()
    }
}

/// What each stream was found to be.
pub struct Sensor {
    pub readings: Readings,
    pub kind: CounterKind,
    power: Option<Discovered>,
    counter: Option<Discovered>,
}

impl Sensor {
    /// Looks for the windows of the power readings, and for what the counter adds up.
    pub fn discovered(inputs: &Inputs, setting: &Setting, readings: Readings) -> Self {
        let windows = |rows: &Rows| discover::power(inputs, setting, rows);
        let Readings { power, counter } = readings;
        let found = power.as_ref().map(windows);
        let theta = found.as_ref().map(|found| found.theta);
        let kind = counter.as_ref().map_or(CounterKind::Unknown, |rows| {
            kind::of_counter(inputs, setting, rows, theta)
        });
        // A counter that adds up power readings tells nothing that they do not; alone, it is a power sensor.
        let (power, found, counter) = match (kind, power, counter) {
            (CounterKind::Sampled, None, Some(rows)) => {
                let rows = rows.windowed();
                let found = windows(&rows);
                (Some(rows), Some(found), None)
            }
            (CounterKind::Sampled, power, _) => (power, found, None),
            (_, power, counter) => (power, found, counter),
        };
        Self {
            power: found,
            counter: counter.as_ref().map(|rows| ticks::counter(inputs, setting, rows)),
            readings: Readings { power, counter },
            kind,
        }
    }

    /// Windows of the power readings that explain them about as well as any other, the likeliest first; none without such readings.
    pub fn windows(&self) -> Vec<(Theta, Prior)> {
        let of = |found: &Discovered| {
            let rivals = found.rivals.iter().copied();
            std::iter::once((found.theta, found.prior)).chain(rivals).collect()
        };
        self.power.as_ref().map_or(Vec::new(), of)
    }

    /// Some of its readings as streams, the power's with this window; without one the counter alone.
    pub fn streams<'a>(&self, some: &'a Readings, window: Option<(Theta, Prior)>) -> Vec<Stream<'a>> {
        let counter = self.counter.as_ref().map(|found| (found.theta, found.prior));
        let pairs = [(&some.power, window, false), (&some.counter, counter, true)];
        let streams = pairs.into_iter().filter_map(|(rows, found, is_counter)| {
            let (theta, prior) = found?;
            Some(search::stream(rows.as_ref()?, theta, prior, is_counter))
        });
        streams.collect()
    }
}
