//! What a sensor shows of the true power: averages and a counter, each new at its own ticks and standing between them.
//!
//! ```text
//!   true power  ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
//!   window           [=W=]      [=W=]      [=W=]     W may be shorter than T: the rest is never seen
//!   published         D->|       D->|       D->|     every T, from a start nobody chose
//!   asked       ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ?    always answers with the last published
//! ```

use crate::model::sample::PowerReading;
use crate::model::time::Timestamp;

use super::curve::Curve;
use super::noise;
use super::profile::Profile;

/// Scatter of a published power, watts.
const NOISE_W: f64 = 0.4;
/// The long average, as field 185's.
const AVERAGE_NS: i64 = 1_000_000_000;

/// The publications of one GPU. Each is computed once, when it is first asked for.
#[derive(Debug)]
pub struct Publisher {
    gpu: u64,
    origin: Timestamp,
    power: Lattice,
    counter: Lattice,
    window_ns: i64,
    delay_ns: i64,
    shown: PowerReading,
}

/// Ticks at `offset + k * period`, counted from zero.
#[derive(Debug)]
struct Lattice {
    offset: Timestamp,
    period_ns: i64,
    shown: Option<i64>,
}

impl Lattice {
    /// The last tick up to `now`, if it is a new one.
    fn advance(&mut self, now: Timestamp) -> Option<(i64, Timestamp)> {
        let tick = (now - self.offset).div_euclid(self.period_ns);
        if tick < 0 || self.shown == Some(tick) {
            return None;
        }
        self.shown = Some(tick);
        Some((tick, self.offset.plus_nanos(tick * self.period_ns)))
    }
}

fn nanos(ms: f64) -> i64 {
    (ms * 1e6) as i64
}

impl Publisher {
    /// A sensor of this profile that came up with the simulation. Its two lattices start at phases of their own.
    pub fn new(profile: &Profile, gpu: usize, origin: Timestamp) -> Self {
        let lattice = |period_ms: f64, what: &str| {
            let phase = noise::of_name(&format!("{what} of GPU {gpu}"));
            Lattice {
                // A running driver has published before anyone came: the first tick lies in the past.
                offset: origin.plus_nanos(-nanos(period_ms * phase)),
                period_ns: nanos(period_ms),
                shown: None,
            }
        };
        Self {
            gpu: gpu as u64,
            origin,
            power: lattice(profile.period_ms, "power"),
            counter: lattice(profile.counter_period_ms, "counter"),
            window_ns: nanos(profile.window_ms),
            delay_ns: nanos(profile.delay_ms),
            shown: PowerReading::default(),
        }
    }

    /// What is published at `now`. The curve is sealed up to what that shows.
    pub fn read(&mut self, curve: &mut Curve, now: Timestamp) -> PowerReading {
        if let Some((tick, at)) = self.power.advance(now) {
            let end = at.plus_nanos(-self.delay_ns);
            let scatter = NOISE_W * noise::normal(self.gpu, tick as u64);
            let watts = curve.mean(end.plus_nanos(-self.window_ns), end).0 + scatter;
            // Milliwatts, as the driver gives them.
            self.shown.watts = Some((watts * 1e3).round() * 1e-3);
            let average = curve.mean(end.plus_nanos(-AVERAGE_NS), end).0;
            self.shown.average_watts = Some((average * 1e3).round() * 1e-3);
            curve.seal(end, now.plus_nanos(-2 * AVERAGE_NS - self.power.period_ns));
        }
        if let Some((_, at)) = self.counter.advance(now) {
            let end = at.plus_nanos(-self.delay_ns);
            let joules = curve.energy(end).0;
            curve.seal(end, Timestamp::default());
            self.shown.counter = Some(self.driver_loaded_mj() + (joules * 1e3).round().max(0.0) as u64);
        }
        self.shown
    }

    /// What the counter stood at when the simulation began: the driver was loaded some time ago.
    fn driver_loaded_mj(&self) -> u64 {
        1_000_000_000 + self.origin.as_nanos().unsigned_abs() % 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::PROFILES;
    use super::*;
    use crate::model::units::Watts;

    fn ms(t: i64) -> Timestamp {
        Timestamp::from_nanos(t * 1_000_000)
    }

    fn profile(word: &str) -> &'static Profile {
        PROFILES.iter().find(|p| p.word == word).expect("a profile")
    }

    /// Poll every millisecond.
    fn poll(publisher: &mut Publisher, curve: &mut Curve, from: i64, to: i64) -> Vec<PowerReading> {
        (from..to).map(|t| publisher.read(curve, ms(t))).collect()
    }

    #[test]
    fn values_stand_for_a_period_each() {
        let mut curve = Curve::new(ms(0), Watts(100.0));
        let mut publisher = Publisher::new(profile("a100"), 0, ms(0));
        let seen = poll(&mut publisher, &mut curve, 1000, 3000);
        let changes = |column: fn(&PowerReading) -> String| {
            seen.windows(2)
                .filter(|pair| column(&pair[0]) != column(&pair[1]))
                .count()
        };
        assert_eq!(changes(|r| format!("{:?}", r.watts)), 20);
        assert_eq!(changes(|r| format!("{:?}", r.counter)), 20);
    }

    #[test]
    fn a_window_of_a_quarter_does_not_see_a_pulse_outside_it_and_the_counter_does() {
        let profile = profile("a100");
        let mut curve = Curve::new(ms(0), Watts(100.0));
        let mut publisher = Publisher::new(profile, 0, ms(0));
        let start = publisher.read(&mut curve, ms(2000));
        // The next publication after 2000 ms, and a 50 ms pulse that ends 40 ms before it.
        let period = publisher.power.period_ns;
        let next = ms(2000).plus_nanos(period - (ms(2000) - publisher.power.offset).rem_euclid(period));
        let pulse_end = next.plus_nanos(-40_000_000);
        let pulse_start = pulse_end.plus_nanos(-50_000_000);
        curve.change(pulse_start, Watts(400.0));
        curve.change(pulse_end, Watts(100.0));
        let after = publisher.read(&mut curve, next.plus_nanos(1));
        let last = publisher.read(&mut curve, next.plus_nanos(period * 2));
        assert!((after.watts.expect("watts") - 100.0).abs() < 5.0, "{after:?}");
        let counted = (last.counter.expect("counter") - start.counter.expect("counter")) as f64 * 1e-3;
        // What lies before 2000 ms may have been shown already.
        let pulse_s = pulse_end.seconds_since(pulse_start.max(ms(2000)));
        assert!(counted > 300.0 * pulse_s + 10.0, "{counted} J");
    }

    #[test]
    fn counter_and_truth_agree_over_a_long_time() {
        let mut curve = Curve::new(ms(0), Watts(300.0));
        let mut publisher = Publisher::new(profile("h100"), 1, ms(0));
        let first = publisher.read(&mut curve, ms(100)).counter.expect("counter");
        let last = publisher.read(&mut curve, ms(60_100)).counter.expect("counter");
        let joules = (last - first) as f64 * 1e-3;
        assert!((joules / 18_000.0 - 1.0).abs() < 0.005, "{joules} J");
    }
}
