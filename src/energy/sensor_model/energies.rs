//! From a converged fit to leaf energies: their covariance, and what ramps of the power move between them.

use crate::energy::shares;
use crate::energy::uncertainty::K95;

use super::covariance;
use super::design::{PROPERTIES, Shape, Theta};
use super::fit::{self, Setting, Stream};
use super::halves;
use super::lags;
use super::matrix::{Symmetric, dot};
use super::ramp;
use super::rows::Rows;
use super::skew;
use super::{Inputs, Ramp};

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
    let assumed = ramp::assume(setting, streams, &powers, (inflation, inputs.are_stamped));
    let likeliest = assumed.iter().max_by(|a, b| a.weight.total_cmp(&b.weight));
    let about = likeliest.map_or(powers, |a| a.powers.clone());
    for stream in streams.iter_mut() {
        stream.rows = all(stream);
    }
    let powers = fit::refine(setting, streams, about.clone());
    let response = lags::response(streams);
    let longest_ms = lags::longest(&assumed, response);
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
    let by_skew = by_skew(&skewed, &solution, &gradients);
    for (i, &leaf) in setting.active.iter().enumerate() {
        // The gradient's own entry is the time, drift included. What looks like a skew may be something else that is not in the model: the
        // value is that of equal rises and falls.
        energies[leaf] = fitted[leaf] * gradients[i][i] + share * (skew[leaf] - by_skew[leaf]);
        for (j, &other) in setting.active.iter().enumerate() {
            covariance.a[leaf * leaves + other] = active.at(i, j);
        }
        covariance.a[leaf * leaves + leaf] += few_looks(setting, energies[leaf], inputs.seconds[leaf], looks[leaf]);
    }
    let mut statistical = covariance.clone();
    if skewed.skewed_ms.is_some() {
        // What of the skew is only believed, all boards of a make have in common.
        let believed = with_skew(&skewed, &solution, &gradients);
        statistical.add_outer(-skew::SHARE_SD.powi(-2), &believed, &believed);
    }
    let ramp = lags::average(
        (inputs.timeline, inputs.seconds),
        &setting.active,
        (&assumed, response, lags::Whose::of(streams)),
        (&about, &fitted),
        &mut energies,
        &mut covariance,
    );
    if skewed.skewed_ms.is_some() {
        // Or it may be one: the end of the interval.
        let share = share.clamp(-skew::MOST, skew::MOST);
        covariance.add_outer((share / K95).powi(2), &by_skew, &by_skew);
    } else {
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

/// Whether rows of the stream show how rises differ from falls: sharp edges of boxcars do.
fn shows_skew(stream: &Stream) -> bool {
    let Theta {
        shape, blur, response, ..
    } = stream.theta;
    let is_sharp = 3.0 * blur <= SHARP_MS * SHARP_MS;
    shape == Shape::Boxcar && response == 0.0 && stream.own == 0.0 && is_sharp
}

/// What u = 1 moves of each leaf's energy, with the powers and the sensor's properties that go with it.
fn by_skew(skewed: &Setting, solution: &fit::Solution, gradients: &[Vec<f64>]) -> Vec<f64> {
    let variance = solution.inverse.at(skewed.skew_at(), skewed.skew_at());
    let with = with_skew(skewed, solution, gradients);
    with.iter().map(|covariance| covariance / variance).collect()
}

/// Covariance of each leaf's energy with u, joules, as far as the noise is what it seems: next to nothing where the readings tell it.
fn with_skew(skewed: &Setting, solution: &fit::Solution, gradients: &[Vec<f64>]) -> Vec<f64> {
    let at = skewed.skew_at();
    let row: Vec<f64> = (0..skewed.unknowns()).map(|i| solution.inverse.at(at, i)).collect();
    let mut by = vec![0.0; skewed.leaves];
    for (gradient, &leaf) in gradients.iter().zip(&skewed.active) {
        by[leaf] = dot(gradient, &row);
    }
    by
}

/// Rises that differ from falls, where no reading shows it. What all leaves have together the readings have seen, whatever the course.
fn add_skew(inputs: &Inputs, mut off: Vec<f64>, covariance: &mut Symmetric) {
    let (sum, seconds) = (off.iter().sum::<f64>(), inputs.seconds.iter().sum::<f64>().max(1e-9));
    off.iter_mut()
        .zip(inputs.seconds)
        .for_each(|(off, own)| *off -= sum * own / seconds);
    covariance.add_outer(skew::SHARE_SD.powi(2), &off, &off);
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
            for (sums, cosine) in sums.iter_mut().zip(setting.cosines(middle)) {
                shares.iter().for_each(|&(leaf, s)| sums[leaf] += s * cosine);
            }
        },
    );
    sums
}
