//! How sure the leaf energies are: heteroscedasticity and autocorrelation consistent (Newey and West 1987), over both streams.
//!
//! Each row's pull on the energies (its score, carried through the solution) is added up in slots of time, so that a power reading and
//! a counter difference that saw the same scatter of the load count as one event, not two. Slots are then combined with Bartlett
//! weights. What was decided by a prior adds the prior's own width.

use crate::energy::uncertainty::few_values;

use super::fit::{Setting, Solution, Stream, visit};
use super::matrix::{Symmetric, dot};

/// Energies of the active leaves as linear functions of the unknowns: one gradient each.
pub fn gradients(setting: &Setting, solution: &Solution, seconds: &[f64], drift_s: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let count = setting.active.len();
    let gradient = |(i, &leaf): (usize, &usize)| {
        let mut gradient = vec![0.0; setting.unknowns()];
        gradient[i] = seconds[leaf];
        for j in 0..setting.drift {
            gradient[i] += solution.values[count + j] * drift_s[j][leaf];
            gradient[count + j] = solution.values[i] * drift_s[j][leaf];
        }
        gradient
    };
    setting.active.iter().enumerate().map(gradient).collect()
}

/// Covariance of the active leaves' energies, J^2.
pub fn of_energies(
    setting: &Setting,
    streams: &[Stream],
    powers: &[f64],
    solution: &Solution,
    gradients: &[Vec<f64>],
) -> Symmetric {
    let count = setting.active.len();
    let carried: Vec<Vec<f64>> = gradients.iter().map(|g| solution.inverse.times(g)).collect();
    let slot_s = streams.iter().map(|s| s.rows.period).fold(0.0, f64::max).max(1e-3);
    let slots = (setting.run_s / slot_s).ceil() as usize + 1;
    let mut pulls = vec![0.0; slots * count];
    let mut rows = 0;
    for stream in streams {
        let weight = stream.noise.powi(-2);
        visit(setting, stream, Some(powers), |row, columns, target| {
            let residual = target - dot(columns, &solution.values);
            let slot = ((row.end.predicted / slot_s).max(0.0) as usize).min(slots - 1);
            for (pull, carried) in pulls[slot * count..].iter_mut().zip(&carried) {
                *pull += weight * residual * dot(carried, columns);
            }
            rows += 1;
        });
    }
    let mut covariance = newey_west(&pulls, count);
    let free = (rows as f64 - setting.unknowns() as f64).max(0.2 * rows as f64);
    covariance.a.iter_mut().for_each(|a| *a *= rows as f64 / free);
    for (i, one) in carried.iter().enumerate() {
        let believed = solution.precision.times(one);
        for (j, other) in carried.iter().enumerate() {
            covariance.a[i * count + j] += dot(&believed, other);
        }
    }
    covariance
}

/// Long-run covariance of rows of `width` numbers.
fn newey_west(rows: &[f64], width: usize) -> Symmetric {
    let count = rows.len() / width;
    let lags = ((count as f64).cbrt().ceil() as usize).min(count.saturating_sub(1));
    let mut sum = Symmetric::zero(width);
    for lag in 0..=lags {
        let weight = 1.0 - lag as f64 / (lags + 1) as f64;
        let mut one = Symmetric::zero(width);
        for (now, later) in rows.chunks_exact(width).zip(rows[lag * width..].chunks_exact(width)) {
            one.add_outer(weight, now, later);
        }
        for i in 0..width {
            for j in 0..width {
                sum.a[i * width + j] += if lag == 0 {
                    one.at(i, j)
                } else {
                    one.at(i, j) + one.at(j, i)
                };
            }
        }
    }
    let wider = few_values(lags, count);
    sum.a.iter_mut().for_each(|a| *a *= wider);
    sum
}
