//! From a converged fit to leaf energies: their covariance, and what ramps of the power move between them.

use crate::energy::shares;

use super::covariance;
use super::design::{PROPERTIES, Shape, Theta};
use super::fit::{self, Setting, Stream};
use super::halves;
use super::matrix::Symmetric;
use super::ramp::{self, Assumed, Course};
use super::rows::Rows;
use super::skew;
use super::{Inputs, Ramp};

/// Lags (ms) for which it is worked out what they move; between them it is very nearly linear.
const KNOTS: [f64; 5] = [0.0, 0.5, 1.5, 3.0, ramp::MOST_LAG];
/// A ramp is excluded if the logarithm of its likelihood is less than the best one's by more than this: half of chi-squared with one
/// degree of freedom, at 95 %.
const EXCLUDED: f64 = 1.92;
/// How much of a low pass may be the power's, ms.
const LOW_PASS_OWN: f64 = 3.0;
/// Edges that are blurred by more than this (half-width, ms) do not show how rises differ from falls.
const SHARP_MS: f64 = 2.0;

/// Leaf energies and their covariance from streams that converged without ramps; `all` are their rows without thinning.
pub fn energies<'a>(
    inputs: &Inputs,
    setting: &Setting,
    streams: &mut [Stream<'a>],
    known: &fit::Solution,
    all: impl Fn(&Stream<'a>) -> &'a Rows,
) -> Estimate {
    let drift_s = drift_seconds(inputs, setting);
    let of = |streams: &[Stream], powers: &[f64], solution: &fit::Solution| {
        let gradients = covariance::gradients(setting, solution, inputs.seconds, &drift_s);
        let active = covariance::of_energies(setting, streams, powers, solution, &gradients);
        (gradients, active)
    };
    let powers = fit::powers(setting, known);
    let (gradients, active) = of(streams, &powers, known);
    let inflation = inflation(known, &gradients, &active);
    let assumed = ramp::assume(setting, streams, &powers, inflation);
    let likeliest = assumed.iter().max_by(|a, b| a.weight.total_cmp(&b.weight));
    let about = likeliest.map_or(powers, |a| a.powers.clone());
    for stream in streams.iter_mut() {
        stream.rows = all(stream);
    }
    let powers = fit::refine(setting, streams, about.clone());
    let response = response(streams);
    let longest_ms = longest_lag(&assumed).max(own_ms(response));
    let skewed = Setting {
        skewed_ms: streams.iter().all(shows_skew).then_some(longest_ms),
        ..setting.clone()
    };
    let solution = fit::solve(&skewed, streams, Some(&powers));
    let fitted = fit::powers(setting, &solution);
    let skew = skew::unequal(inputs.timeline, &fitted, longest_ms);
    let mut gradients = covariance::gradients(setting, &solution, inputs.seconds, &drift_s);
    for (gradient, &leaf) in gradients.iter_mut().zip(&setting.active) {
        gradient[setting.skew_at()] = skew[leaf];
    }
    let active = covariance::of_energies(&skewed, streams, &powers, &solution, &gradients);
    let looks = looks(setting, streams, &powers);
    let leaves = setting.leaves;
    let mut energies = vec![0.0; leaves];
    let mut covariance = Symmetric::zero(leaves);
    let share = solution.values[setting.skew_at()];
    for (i, &leaf) in setting.active.iter().enumerate() {
        // The gradient's own entry is the time, drift included.
        energies[leaf] = fitted[leaf] * gradients[i][i] + share * skew[leaf];
        for (j, &other) in setting.active.iter().enumerate() {
            covariance.a[leaf * leaves + other] = active.at(i, j);
        }
        covariance.a[leaf * leaves + leaf] += few_looks(setting, energies[leaf], inputs.seconds[leaf], looks[leaf]);
    }
    let statistical = covariance.clone();
    let ramp = average(
        inputs,
        setting,
        (&assumed, response),
        (&about, &fitted),
        &mut energies,
        &mut covariance,
    );
    if skewed.skewed_ms.is_none() {
        add_skew(inputs, skew, &mut covariance);
    }
    let widened = inflation.max(1.0).sqrt();
    let spread = |place: Option<usize>| place.map_or(0.0, |i| widened * solution.inverse.at(i, i).max(0.0).sqrt());
    Estimate {
        energies,
        covariance,
        ramp,
        spreads: streams.iter().map(|s| setting.theta_at(s).map(spread)).collect(),
        halves: halves::differences(setting, streams, &powers, inputs.seconds),
        statistical,
    }
}

/// What the fit says of the leaves.
pub struct Estimate {
    /// Energies, joules, and their covariance, J^2.
    pub energies: Vec<f64>,
    pub covariance: Symmetric,
    /// The covariance without what ramps add.
    pub statistical: Symmetric,
    pub ramp: Ramp,
    /// Standard uncertainty of each stream's window, delay, follow, response.
    pub spreads: Vec<[f64; PROPERTIES]>,
    /// Energies by one half of the readings less those by the other.
    pub halves: Option<Vec<f64>>,
}

/// Average over the courses of the power that are possible: move `energies` to the mean over them, add the distance of the farthest that
/// is not excluded to the covariance.
///
/// What rounds an edge may be the power's, which moves energy by its lag, or the sensor's own (its response, jitter that polls do not
/// show), which moves none: readings do not tell whose it is. Where the sensor's `response` (ms) was found, what is rounded beside it is
/// the power's.
fn average(
    inputs: &Inputs,
    setting: &Setting,
    (assumed, response): (&[Assumed], Option<f64>),
    (about, fitted): (&[f64], &[f64]),
    energies: &mut [f64],
    covariance: &mut Symmetric,
) -> Ramp {
    let knots = ramp::carried_over(inputs.timeline, fitted, &KNOTS);
    let carried = |course: Course| -> Vec<f64> {
        match course {
            Course::Linear(length) => (0..setting.leaves)
                .map(|leaf| between(&knots, leaf, 0.5 * length))
                .collect(),
            Course::Exponential(tau) => skew::followed(inputs.timeline, fitted, tau),
        }
    };
    let of = |one: &Assumed, by_power: bool| {
        let lagging = if by_power {
            carried(one.course)
        } else {
            vec![0.0; setting.leaves]
        };
        let mut by = vec![0.0; setting.leaves];
        for &leaf in &setting.active {
            by[leaf] = (one.powers[leaf] - about[leaf]) * inputs.seconds[leaf] + lagging[leaf];
        }
        Possible {
            weight: one.weight,
            against_best: one.against_best,
            lag: if by_power { one.course.lag() } else { 0.0 },
            by,
        }
    };
    let (linear, exponential) = by_kind(assumed);
    let whose: &[bool] = if response.is_some() { &[true] } else { &[true, false] };
    let ways = [&linear, &exponential]
        .into_iter()
        .flat_map(|kind| whose.iter().map(move |&whose| (kind, whose)));
    let possible: Vec<Vec<Possible>> = ways
        .map(|(kind, by_power)| kind.iter().map(|one| of(one, by_power)).collect())
        .collect();
    let all = || possible.iter().flatten();
    let weights: f64 = all().map(|p| p.weight).sum();
    let mut middle = vec![0.0; setting.leaves];
    for one in all() {
        middle
            .iter_mut()
            .zip(&one.by)
            .for_each(|(m, b)| *m += one.weight / weights * b);
    }
    let lag_ms = all().map(|p| p.weight / weights * p.lag).sum::<f64>();
    let found: Vec<(f64, Vec<f64>)> = possible.iter().flat_map(|way| not_excluded(way)).collect();
    let from_middle = |by: &[f64]| -> Vec<f64> { by.iter().zip(&middle).map(|(b, m)| b - m).collect() };
    let mut farthest_ms = lag_ms;
    for (lag, by) in farthest(&found, lag_ms)
        .into_iter()
        .chain(least_lag(&found, lag_ms, from_middle))
    {
        farthest_ms = if (lag - lag_ms).abs() > (farthest_ms - lag_ms).abs() {
            *lag
        } else {
            farthest_ms
        };
        let off = from_middle(by);
        // The end of an interval that holds 95 %: two standard uncertainties.
        covariance.add_outer(0.25, &off, &off);
    }
    // Of the response that was found, nothing tells how much is the power's.
    let own_ms = own_ms(response);
    let off = carried(Course::Exponential(own_ms));
    covariance.add_outer(0.25, &off, &off);
    energies.iter_mut().zip(&middle).for_each(|(e, m)| *e += m);
    let sd_ms = 0.5 * (farthest_ms - lag_ms).abs().hypot(own_ms);
    Ramp { lag_ms, sd_ms }
}

/// How much of a response (ms) may be the power's own.
fn own_ms(response: Option<f64>) -> f64 {
    response.unwrap_or(0.0).min(ramp::MOST_LAG)
}

/// The longest lag that is not excluded, ms.
fn longest_lag(assumed: &[Assumed]) -> f64 {
    let of = |one: &Assumed| Possible {
        weight: one.weight,
        against_best: one.against_best,
        lag: one.course.lag(),
        by: Vec::new(),
    };
    let of_kind = |kind: Vec<&Assumed>| not_excluded(&kind.into_iter().map(of).collect::<Vec<_>>());
    let (linear, exponential) = by_kind(assumed);
    let found = [of_kind(linear), of_kind(exponential)];
    found.iter().flatten().map(|one| one.0).fold(0.0, f64::max)
}

/// The linear courses, and the others.
fn by_kind(assumed: &[Assumed]) -> (Vec<&Assumed>, Vec<&Assumed>) {
    assumed.iter().partition(|one| matches!(one.course, Course::Linear(_)))
}

/// Whether rows of the stream show how rises differ from falls: sharp edges of boxcars do.
fn shows_skew(stream: &Stream) -> bool {
    let Theta {
        shape, blur, response, ..
    } = stream.theta;
    let is_sharp = 3.0 * blur <= SHARP_MS * SHARP_MS;
    shape == Shape::Boxcar && response == 0.0 && stream.own == 0.0 && is_sharp
}

/// Rises that differ from falls, where no reading shows it. What all leaves have together the readings have seen, whatever the course.
fn add_skew(inputs: &Inputs, mut off: Vec<f64>, covariance: &mut Symmetric) {
    let (sum, seconds) = (off.iter().sum::<f64>(), inputs.seconds.iter().sum::<f64>().max(1e-9));
    off.iter_mut()
        .zip(inputs.seconds)
        .for_each(|(off, own)| *off -= sum * own / seconds);
    covariance.add_outer(skew::SHARE_SD.powi(2), &off, &off);
}

/// Time constant (ms) of what comes before a boxcar, where one was found: the sensor's response, or the power's own. A sensor that is a low
/// pass and no boxcar is one of a kind that was metered, and little of it the power's.
fn response(streams: &[Stream]) -> Option<f64> {
    let power = streams.iter().find(|stream| !stream.is_counter)?;
    match power.theta.shape {
        Shape::LowPass => Some(LOW_PASS_OWN.min(0.5 * power.theta.window)),
        Shape::Boxcar => Some(power.theta.response).filter(|ms| *ms > 0.0),
    }
}

/// A length and a shape of ramp, and what it adds to the energies.
struct Possible {
    weight: f64,
    against_best: f64,
    lag: f64,
    by: Vec<f64>,
}

/// What the readings do not exclude: lags, and what each adds to the energies. `possible` are of one kind, ascending;
/// between them the likelihood is taken to be linear.
fn not_excluded(possible: &[Possible]) -> Vec<(f64, Vec<f64>)> {
    let mut found = Vec::new();
    for (i, one) in possible.iter().enumerate() {
        if one.against_best >= -EXCLUDED {
            found.push((one.lag, one.by.clone()));
            continue;
        }
        for beside in [i.checked_sub(1), Some(i + 1)].into_iter().flatten() {
            let Some(other) = possible.get(beside).filter(|o| o.against_best >= -EXCLUDED) else {
                continue;
            };
            let share = (other.against_best + EXCLUDED) / (other.against_best - one.against_best);
            let to = |from: f64, to: f64| from + share * (to - from);
            let by = other.by.iter().zip(&one.by).map(|(&a, &b)| to(a, b)).collect();
            found.push((to(other.lag, one.lag), by));
        }
    }
    found
}

/// The one whose lag is farthest from `lag_ms`.
fn farthest(found: &[(f64, Vec<f64>)], lag_ms: f64) -> Option<&(f64, Vec<f64>)> {
    let off = |one: &(f64, Vec<f64>)| (one.0 - lag_ms).abs();
    found.iter().max_by(|a, b| off(a).total_cmp(&off(b)))
}

/// Of those that lag less than `lag_ms`, the one that moves the leaves most: a blur that is the sensor's moves what the readings saw, and
/// not what they did not.
fn least_lag(
    found: &[(f64, Vec<f64>)],
    lag_ms: f64,
    from_middle: impl Fn(&[f64]) -> Vec<f64>,
) -> Option<&(f64, Vec<f64>)> {
    let moved = |one: &(f64, Vec<f64>)| from_middle(&one.1).iter().map(|joules| joules.abs()).sum::<f64>();
    let less = found.iter().filter(|one| one.0 < lag_ms);
    less.max_by(|a, b| moved(a).total_cmp(&moved(b)))
}

/// Linear between the knots, and on beyond the last.
fn between(carried: &[Vec<f64>], leaf: usize, lag: f64) -> f64 {
    let i = KNOTS.partition_point(|&k| k <= lag).clamp(1, KNOTS.len() - 1);
    let (from, to) = (carried[i - 1][leaf], carried[i][leaf]);
    from + (to - from) * (lag - KNOTS[i - 1]) / (KNOTS[i] - KNOTS[i - 1])
}

/// The same of `streams` that converged to `solution`.
pub fn inflation_of(inputs: &Inputs, setting: &Setting, streams: &[Stream], solution: &fit::Solution) -> f64 {
    let powers = fit::powers(setting, solution);
    let gradients = covariance::gradients(setting, solution, inputs.seconds, &drift_seconds(inputs, setting));
    let active = covariance::of_energies(setting, streams, &powers, solution, &gradients);
    inflation(solution, &gradients, &active)
}

/// How many times larger the leaves' variances are than independent residuals would make them; the median over leaves.
fn inflation(solution: &fit::Solution, gradients: &[Vec<f64>], active: &Symmetric) -> f64 {
    let naive = |g: &Vec<f64>| solution.inverse.form(g).max(f64::MIN_POSITIVE);
    let mut ratios: Vec<f64> = gradients
        .iter()
        .enumerate()
        .map(|(i, g)| active.at(i, i) / naive(g))
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(1.0)
}

/// How many rows each leaf was seen in, effectively: (sum x)^2 / sum x^2 of its overlaps.
fn looks(setting: &Setting, streams: &[Stream], powers: &[f64]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); setting.leaves];
    for stream in streams {
        fit::visit_raw(setting, stream, Some(powers), |_, columns, _| {
            for (column, &leaf) in columns.iter().zip(&setting.active) {
                sums[leaf].0 += column;
                sums[leaf].1 += column * column;
            }
        });
    }
    sums.iter()
        .map(|(sum, square)| if *square > 0.0 { sum * sum / square } else { 0.0 })
        .collect()
}

/// Variance (J^2) that the residuals cannot show: a leaf seen in a few rows fits them whatever it drew, and one mean power over a run
/// is an assumption that holds to a part in a thousand at best.
fn few_looks(setting: &Setting, joules: f64, seconds: f64, looks: f64) -> f64 {
    const ENOUGH: f64 = 12.0;
    const IDEAL: f64 = 5e-4;
    let unknown = (1.0 - looks / ENOUGH).max(0.0) / looks.max(1.0);
    unknown * (setting.watts_sd * seconds).powi(2) + (IDEAL * joules).powi(2)
}

/// For each cosine of the drift, its integral over each leaf's time.
fn drift_seconds(inputs: &Inputs, setting: &Setting) -> Vec<Vec<f64>> {
    const BINS: i64 = 1024;
    let mut sums = vec![vec![0.0; setting.leaves]; setting.drift];
    let (start, length) = (inputs.run.start.as_nanos(), inputs.run.nanos());
    let edge = |i: i64| start + (i128::from(length) * i128::from(i) / i128::from(BINS)) as i64;
    shares::walk(
        inputs.timeline,
        (0..BINS).map(|i| (edge(i), edge(i + 1))),
        |i, shares| {
            let middle = (i as f64 + 0.5) / BINS as f64 * setting.run_s;
            for (j, sums) in sums.iter_mut().enumerate() {
                let cosine = setting.cosine(j + 1, middle);
                shares.iter().for_each(|&(leaf, s)| sums[leaf] += s * cosine);
            }
        },
    );
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each (length, likelihood against the best one's) a ramp that lags by half of it. A leaf that gets 10 J for each millisecond of
    /// lag.
    fn possible(lengths: &[(f64, f64)]) -> Vec<Possible> {
        let one = |&(length, against_best): &(f64, f64)| Possible {
            weight: against_best.exp(),
            against_best,
            lag: 0.5 * length,
            by: vec![5.0 * length],
        };
        lengths.iter().map(one).collect()
    }

    #[test]
    fn the_interval_reaches_to_the_longest_ramp_that_is_not_excluded() {
        // Between 1 ms and 2 ms the likelihood falls from 0.92 to 2.92 below the best: 1.92 is halfway.
        let farthest = |lengths: &[(f64, f64)], lag: f64| {
            let found = not_excluded(&possible(lengths));
            super::farthest(&found, lag).cloned().expect("not all are excluded")
        };
        let (lag, by) = farthest(&[(0.0, 0.0), (1.0, -0.92), (2.0, -2.92), (3.0, -8.0)], 0.1);
        assert!((lag - 0.75).abs() < 1e-9 && (by[0] - 7.5).abs() < 1e-9, "{lag}, {by:?}");
        // Where nothing tells lengths apart, to the longest.
        let (lag, _) = farthest(&[(0.0, 0.0), (1.0, -0.1), (6.0, -0.2)], 0.1);
        assert!((lag - 3.0).abs() < 1e-9, "{lag}");
        // Where no ramp is what is excluded, as far down as it is: a quarter of the way from 2 ms to none.
        let (lag, _) = farthest(&[(0.0, -7.68), (2.0, 0.0), (3.0, -9.0)], 1.0);
        assert!((lag - 0.75).abs() < 1e-9, "{lag}");
    }
}
