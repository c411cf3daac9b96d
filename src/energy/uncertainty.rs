//! Figures with their doubt: how they add, when they count as resolved, and what the sensor itself is worth.
//!
//! Two half-widths (95 %) are kept apart: `u95` from noise, timing and edges, independent between devices; and `scale`, the sensor's
//! own tolerance, common to all phases of a board, which cancels when two phases of it are compared.
//!
//! Values are kept on a grid of 2^-20 J: sums of such numbers are exact in a double up to 8 GJ, whatever their order, so that phases
//! and rest add up to the total to the last bit.

use crate::model::analysis::{EnergyEstimate, Grade, Method};
use crate::model::device::{Device, DeviceKind, Source};
use crate::model::units::Joules;

/// One energy inside the analysis; [`Figure::present`] decides what is shown of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    pub joules: f64,
    pub u95: f64,
    pub scale: f64,
    /// No more than this, at 95 %.
    pub upper: f64,
    /// Of what in it is an estimate and no measurement, or contradicted by another sensor, the half-width: it counts in the grade.
    pub guess: f64,
    /// Of `u95`, what boards of one make have in common: how far their power may lag behind the markers. It does not average out.
    pub common: f64,
    pub method: Method,
}

/// Half-width (95 %) of an estimate from utilization, which is no measurement, as a share of it.
const ESTIMATE: f64 = 0.3;

/// Coverage factor: how many standard uncertainties a 95 % interval reaches to either side, for errors that are normal (GUM, JCGM 100:2008,
/// table G.1).
pub const K95: f64 = 1.96;

/// The same for a sum of errors with this `variance`, among them rectangular ones the squares of whose variances add up to `squares`: their
/// tails are short. Cornish-Fisher expansion, K95 + (K95^3 - 3 K95) / 24 of the excess kurtosis; that of one rectangle is -6/5. It gives 1.932
/// for three alike, where the GUM (G.2.2) has 1.937, 1.92 for two, where a triangle has 1.90, and 1.88 for one, which has 1.65.
pub fn k95(variance: f64, squares: f64) -> f64 {
    let excess = -1.2 * squares / variance.powi(2);
    let shorter = (K95.powi(3) - 3.0 * K95) / 24.0 * excess;
    if shorter.is_finite() { K95 + shorter } else { K95 }
}

/// The nearest energy on the grid.
pub fn exact_joules(joules: f64) -> f64 {
    const GRID: f64 = (1_u64 << 20) as f64;
    (joules * GRID).round() / GRID
}

/// Seconds of a whole number of nanoseconds, on a grid of 2^-30 s: exact sums up to 97 days.
pub fn exact_seconds(nanos: i64) -> f64 {
    const GRID: f64 = (1_u64 << 30) as f64;
    (nanos as f64 * 1e-9 * GRID).round() / GRID
}

/// What a long-run variance by Bartlett weights over `lags` of `count` values has to be multiplied by, for intervals from it to hold
/// what they should: the estimate is itself uncertain, and low, the more so the larger the share of lags. Critical values of Kiefer and
/// Vogelsang (2005, doi 10.1017/S0266466605050565) against the normal one; a simulation of 40,000 series at shares of 0.02 to 0.5
/// gave the same to 1.5 %.
pub fn few_values(lags: usize, count: usize) -> f64 {
    let b = ((lags + 1) as f64 / count.max(1) as f64).min(1.0);
    let critical = 1.9600 + 2.9694 * b + 0.4160 * b * b - 0.5324 * b * b * b;
    (critical / 1.9600).powi(2)
}

/// How far a figure can be trusted: half-width against value (thresholds: `docs/measurement.md`).
pub fn grade(joules: f64, u95: f64) -> Grade {
    let relative = u95 / joules;
    match relative {
        r if !r.is_finite() || r < 0.0 => Grade::Unresolved,
        r if r < 0.02 => Grade::A,
        r if r < 0.10 => Grade::B,
        r if r < 0.30 => Grade::C,
        _ => Grade::Unresolved,
    }
}

impl Figure {
    /// The weakest of two methods names a sum of them.
    fn weaker(a: Method, b: Method) -> Method {
        let rank = |m: Method| match m {
            Method::Counter => 0,
            Method::Integral => 1,
            Method::Regression => 2,
            Method::Estimate => 3,
            Method::None => 4,
        };
        if rank(a) >= rank(b) { a } else { b }
    }

    /// What is shown: a value with its interval, or an upper bound.
    pub fn present(&self) -> EnergyEstimate {
        // Over no time there is no energy: the one zero that is known.
        let nothing = self.joules == 0.0 && self.u95 == 0.0 && self.upper == 0.0;
        let with_guess = grade(self.joules, self.u95.hypot(self.guess));
        let is_estimate_at_most = self.guess <= ESTIMATE * self.joules.abs();
        let grade = match grade(self.joules, self.u95) {
            _ if nothing => Grade::A,
            Grade::Unresolved => Grade::Unresolved,
            // An estimate is a C by definition, and no bound.
            _ if is_estimate_at_most => with_guess.min(Grade::C),
            _ => with_guess,
        };
        if self.method == Method::None {
            return EnergyEstimate::UNKNOWN;
        }
        if grade == Grade::Unresolved {
            return EnergyEstimate {
                method: self.method,
                upper_bound: Some(Joules(self.upper.max(0.0))),
                ..EnergyEstimate::UNKNOWN
            };
        }
        EnergyEstimate {
            joules: Some(Joules(self.joules)),
            u95: Some(Joules(self.u95)),
            u95_scale: Some(Joules(self.scale)),
            contradiction: None,
            method: self.method,
            grade,
            upper_bound: None,
        }
    }
}

/// The sum over devices. Noise is independent between boards; tolerance is common to boards of one make, as published comparisons of
/// several boards of one model show the same sign for all, and independent between makes.
pub fn sum<'a>(parts: impl IntoIterator<Item = (&'a Figure, &'a Device)>) -> Option<Figure> {
    let mut sum: Option<Figure> = None;
    let (mut variance, mut slack, mut lifted) = (0.0, 0.0, 0.0_f64);
    let mut makes: Vec<(&Device, f64, f64)> = Vec::new();
    let mut below = 0.0;
    for (figure, device) in parts {
        let so_far = sum.get_or_insert(Figure {
            joules: 0.0,
            u95: 0.0,
            scale: 0.0,
            upper: 0.0,
            guess: 0.0,
            common: 0.0,
            method: figure.method,
        });
        so_far.joules += figure.joules;
        so_far.guess += figure.guess;
        so_far.method = Figure::weaker(so_far.method, figure.method);
        variance += figure.u95.powi(2) - figure.common.powi(2);
        // A bound may lie below the value, which is then no figure: that much is certain, and not by chance.
        let room = figure.upper - figure.joules;
        below += room.min(0.0);
        slack += room.max(0.0).powi(2) - figure.common.min(room.max(0.0)).powi(2);
        lifted += figure.common.min(room.max(0.0));
        match makes
            .iter_mut()
            .find(|(d, ..)| d.source == device.source && d.name == device.name)
        {
            Some((_, scale, common)) => {
                *scale += figure.scale;
                *common += figure.common;
            }
            None => makes.push((device, figure.scale, figure.common)),
        }
    }
    let sum = sum.as_mut()?;
    let common = makes.iter().map(|(.., c)| c * c).sum::<f64>();
    sum.u95 = (variance.max(0.0) + common).sqrt();
    sum.upper = sum.joules + below + (slack.max(0.0) + lifted.powi(2)).sqrt();
    sum.common = common.sqrt();
    sum.scale = makes.iter().map(|(_, s, _)| s * s).sum::<f64>().sqrt();
    Some(*sum)
}

/// Half-width (95 %) of the sensor's tolerance on an energy drawn over `seconds`.
///
/// GPUs: boards compared with an external meter (Yang et al., SC24, data in JimZeyuYang/GPU_Power_Benchmark) were off by -8 % to
/// +13 % in energy over about 20 boards; standard uncertainty 3 % for data-centre boards and 6 % for workstation and gaming boards,
/// and 5 W/sqrt 3 of offset. A user's calibration of the board leaves 1 % of gain. RAPL: 3 %, no offset.
/// An estimate from utilization is no measurement: 30 % (95 %).
pub fn scale(device: &Device, joules: f64, seconds: f64) -> f64 {
    if device.source == Source::Estimate {
        return ESTIMATE * joules.abs();
    }
    let (gain, offset_w) = match (device.calibration.is_some(), device.kind) {
        (true, _) => (0.01, 0.5),
        (false, DeviceKind::Gpu | DeviceKind::GpuMemory | DeviceKind::Module) => (
            if is_datacentre(&device.name) { 0.03 } else { 0.06 },
            5.0 / 3.0_f64.sqrt(),
        ),
        (false, _) => (0.03, 0.0),
    };
    K95 * (gain * joules).hypot(offset_w * seconds)
}

/// Of a tolerance, what is that of an estimate.
pub fn guess(device: &Device, scale: f64) -> f64 {
    if device.source == Source::Estimate { scale } else { 0.0 }
}

/// NVIDIA's data-centre boards by the names NVML gives them; a GeForce, TITAN, Quadro or RTX is not one.
fn is_datacentre(name: &str) -> bool {
    const WORKSTATION: [&str; 5] = ["GeForce", "TITAN", "Quadro", "RTX", "Laptop"];
    !WORKSTATION.iter().any(|word| name.contains(word))
}

/// The step by which all values differ; `None` where there is none, or none so small that it can be one (a load has levels of its own).
pub fn step_of(mut values: Vec<f64>) -> Option<f64> {
    const SAME: f64 = 1e-6;
    const COARSEST_W: f64 = 1.01;
    values.sort_by(f64::total_cmp);
    values.dedup_by(|a, b| *a - *b < SAME);
    let step = values.windows(2).map(|pair| pair[1] - pair[0]).reduce(f64::min)?;
    let is_multiple = |value: &f64| {
        let steps = (value - values[0]) / step;
        (steps - steps.round()).abs() < 0.01
    };
    (step < COARSEST_W && values.iter().all(is_multiple)).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::laws;

    #[test]
    fn sums_of_few_rectangles_have_short_tails() {
        // None, and no error at all.
        assert_eq!(k95(5.0, 0.0), K95);
        assert_eq!(k95(0.0, 0.0), K95);
        let alike = |count: f64| k95(count * 0.3, count * 0.09);
        // GUM, G.2.2; a triangle; one rectangle holds 95 % within 0.95 sqrt 3.
        assert!((alike(3.0) - 1.937).abs() < 0.005, "{}", alike(3.0));
        assert!((0.0..0.02).contains(&(alike(2.0) - (1.0 - 0.05_f64.sqrt()) * 6.0_f64.sqrt())));
        assert!(alike(1.0) < alike(2.0) && alike(1.0) > 0.95 * 3.0_f64.sqrt());
    }

    #[test]
    fn grades_follow_the_relative_half_width() {
        assert_eq!(grade(100.0, 1.9), Grade::A);
        assert_eq!(grade(100.0, 2.0), Grade::B);
        assert_eq!(grade(100.0, 29.0), Grade::C);
        assert_eq!(grade(100.0, 30.0), Grade::Unresolved);
        assert_eq!(grade(0.0, 0.0), Grade::Unresolved);
        assert_eq!(grade(-1.0, 0.1), Grade::Unresolved);
        assert_eq!(grade(f64::NAN, 1.0), Grade::Unresolved);
    }

    #[test]
    fn a_long_record_is_taken_at_its_word_and_a_short_one_is_not() {
        assert!(few_values(22, 10_000) < 1.01);
        // Half of the values as lags: 3.48 in place of 1.96.
        assert!((few_values(49, 100).sqrt() - 3.48 / 1.96).abs() < 0.01);
    }

    #[test]
    fn what_is_estimated_counts_in_the_grade_by_its_share() {
        let of = |method, joules: f64, guess: f64| Figure {
            joules,
            u95: 0.0,
            scale: guess,
            upper: joules,
            guess,
            common: 0.0,
            method,
        };
        let estimate = of(Method::Estimate, 10.0, 3.0);
        assert_eq!(estimate.present().grade, Grade::C);
        let cpu = Device {
            source: Source::Estimate,
            ..laws::gpu(1)
        };
        let graded = |measured: f64| {
            let parts = [
                (of(Method::Counter, measured, 0.0), laws::gpu(0)),
                (estimate, cpu.clone()),
            ];
            let whole = sum(parts.iter().map(|(figure, device)| (figure, device)));
            whole.map(|whole| (whole.present().grade, whole.method))
        };
        // 3 J of 20, of 100 and of 1000.
        assert_eq!(graded(10.0), Some((Grade::C, Method::Estimate)));
        assert_eq!(graded(90.0), Some((Grade::B, Method::Estimate)));
        assert_eq!(graded(990.0), Some((Grade::A, Method::Estimate)));
    }

    #[test]
    fn what_boards_of_a_make_have_in_common_does_not_average_out() {
        let one = Figure {
            joules: 100.0,
            u95: 5.0,
            scale: 0.0,
            upper: 105.0,
            guess: 0.0,
            common: 4.0,
            method: Method::Regression,
        };
        let boards: Vec<Device> = (0..4).map(laws::gpu).collect();
        let whole = sum(boards.iter().map(|board| (&one, board))).expect("four boards");
        assert!(
            (whole.u95 - (4.0 * 9.0_f64 + 16.0_f64.powi(2)).sqrt()).abs() < 1e-9,
            "{whole:?}"
        );
        assert!((whole.upper - 400.0 - whole.u95).abs() < 1e-9, "{whole:?}");
    }

    #[test]
    fn a_bound_of_one_board_is_the_bound_of_their_sum() {
        let one = Figure {
            joules: 900.0,
            u95: 900.0,
            scale: 0.0,
            upper: 500.0,
            guess: 0.0,
            common: 4.0,
            method: Method::Regression,
        };
        let board = laws::gpu(0);
        assert_eq!(sum([(&one, &board)]).expect("one board").upper, 500.0);
        let capped = Figure { upper: 902.0, ..one };
        assert_eq!(sum([(&capped, &board)]).expect("one board").upper, 902.0);
    }

    #[test]
    fn over_no_time_there_is_no_energy_and_that_is_known() {
        let mut figure = Figure {
            joules: 0.0,
            u95: 0.0,
            scale: 0.0,
            upper: 0.0,
            guess: 0.0,
            common: 0.0,
            method: Method::Counter,
        };
        assert_eq!(figure.present().joules, Some(Joules(0.0)));
        figure.upper = 1.0;
        assert_eq!(figure.present().joules, None);
    }

    #[test]
    fn sums_on_the_grid_do_not_depend_on_their_order() {
        let parts: Vec<f64> = (1..2000).map(|i| exact_joules(1e5 / f64::from(i))).collect();
        let forward: f64 = parts.iter().sum();
        let backward: f64 = parts.iter().rev().sum();
        assert_eq!(forward.to_bits(), backward.to_bits());
    }

    #[test]
    fn a_step_is_seen_where_all_values_keep_to_it() {
        let near = |found: Option<f64>, step: f64| found.is_some_and(|found| (found - step).abs() < 1e-9);
        assert!(near(step_of(vec![201.0, 200.0, 203.0, 200.0]), 1.0));
        assert!(near(step_of(vec![61.05, 61.3, 60.85, 61.1]), 0.05));
        assert_eq!(step_of(vec![200.0, 201.3, 207.111]), None);
        assert_eq!(step_of(vec![200.0, 200.0]), None);
        assert_eq!(step_of(vec![100.0, 300.0, 100.0]), None, "two levels");
    }
}
