//! Round numbers for axes, and the units in which to write them.

/// Whatever the values, no axis has more ticks.
const MOST_TICKS: f64 = 30.0;

/// A stretch of values that an axis shows, and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub from: f64,
    pub to: f64,
    /// Values and labels, ascending, within the stretch.
    pub ticks: Vec<(f64, String)>,
    /// In which unit the labels are.
    pub unit: &'static str,
}

impl Axis {
    /// Where `value` lies between 0 and 1.
    pub fn fraction(&self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// From 0 to `seconds`, the unit by their length.
pub fn time(seconds: f64, most_ticks: usize) -> Axis {
    let seconds = if seconds.is_finite() && seconds > 0.0 {
        seconds
    } else {
        1.0
    };
    let (unit_s, unit) = match seconds {
        s if s < 1.0 => (1e-3, "ms"),
        s if s < 600.0 => (1.0, "s"),
        s if s < 4.0 * 3600.0 => (60.0, "min"),
        s if s < 5.0 * 86_400.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    };
    exact(0.0, seconds, (unit_s, unit), step(seconds / unit_s, most_ticks))
}

/// From 0 (or the least value, if it is negative) to a round number not below `most`.
pub fn rounded(least: f64, most: f64, unit_size: f64, unit: &'static str, most_ticks: usize) -> Axis {
    let most = if most.is_finite() && most > 0.0 {
        most
    } else {
        unit_size
    };
    let least = if least.is_finite() { least.min(0.0) } else { 0.0 };
    let step = step((most - least) / unit_size, most_ticks);
    let wide = step * unit_size;
    exact(
        (least / wide).floor() * wide,
        (most / wide).ceil() * wide,
        (unit_size, unit),
        step,
    )
}

/// From 0 (or the least value, if it is negative) to a little above `most`: no room is lost where it is scarce.
pub fn snug(least: f64, most: f64, unit: &'static str, most_ticks: usize) -> Axis {
    let most = if most.is_finite() && most > 0.0 {
        most * 1.06
    } else {
        1.0
    };
    let least = if least.is_finite() { least.min(0.0) * 1.06 } else { 0.0 };
    exact(least, most, (1.0, unit), step(most - least, most_ticks))
}

/// Joules, kilojoules …: the unit for values up to `most` joules.
pub fn energy_unit(most: f64) -> (f64, &'static str) {
    match most {
        m if m >= 1e9 => (1e9, "GJ"),
        m if m >= 1e6 => (1e6, "MJ"),
        m if m >= 1e3 => (1e3, "kJ"),
        m if m >= 1.0 || m <= 0.0 || m.is_nan() => (1.0, "J"),
        _ => (1e-3, "mJ"),
    }
}

/// Ticks at the multiples of `step` units.
fn exact(from: f64, to: f64, (unit_size, unit): (f64, &'static str), step: f64) -> Axis {
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let (first, last) = (
        (from / unit_size / step).ceil(),
        (to / unit_size / step * (1.0 + 1e-9)).floor(),
    );
    let count = (last - first).clamp(0.0, MOST_TICKS) as usize + 1;
    let tick = |i: usize| {
        let value = (first + i as f64) * step;
        (value * unit_size, format!("{:.decimals$}", value + 0.0))
    };
    Axis {
        from,
        to,
        ticks: (0..count).map(tick).collect(),
        unit,
    }
}

/// 1, 2 or 5 times a power of ten, so that at most `most_ticks` steps fit into `length`.
fn step(length: f64, most_ticks: usize) -> f64 {
    let least = (length / most_ticks.max(1) as f64).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(least.log10().floor());
    let found = [1.0, 2.0, 5.0].into_iter().find(|m| m * power >= least * (1.0 - 1e-9));
    found.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let labels = |a: Axis| a.ticks.into_iter().map(|(_, l)| l).collect::<Vec<_>>().join(" ");
        assert_eq!(labels(time(124.3, 10)), "0 20 40 60 80 100 120");
        assert_eq!(labels(time(1.0, 10)), "0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0");
        assert_eq!(time(36_000.0, 10).unit, "h");
        assert_eq!(labels(time(36_000.0, 10)), "0 1 2 3 4 5 6 7 8 9 10");
        assert_eq!(labels(rounded(0.0, 698.4, 1.0, "W", 4)), "0 200 400 600 800");
        assert_eq!(labels(snug(0.0, 652.0, "W", 2)), "0 500");
        assert_eq!(labels(rounded(-3.0, 17.0, 1.0, "J", 4)), "-5 0 5 10 15 20");
        for odd in [f64::NAN, 0.0, -1.0, f64::INFINITY, 1e300] {
            assert!(time(odd, 10).ticks.len() <= 12);
            assert!(rounded(odd, odd, 1.0, "W", 5).ticks.len() <= 8);
        }
    }
}
