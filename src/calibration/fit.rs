//! Least squares for a window over a wave: two powers, and the window's length, delay and response.
//!
//! The powers are linear and solved for exactly; the others by Gauss-Newton (Levenberg damping, numeric derivatives) from a coarse grid.
//! Doubts come from the full Jacobian, so that not knowing one property is part of the doubt about the others.

use super::observe::Observation;
use super::wave::Wave;

/// Where an observation's window begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// A length of its own, to be found.
    Free,
    /// At the observation before: a counter that adds up all time.
    Between,
    /// A length that is known.
    Fixed(f64),
}

/// The properties that are found: seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theta {
    pub window: f64,
    pub delay: f64,
    pub response: f64,
}

/// A fit: values with their half-widths (95 %).
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    pub theta: Theta,
    pub u95: Theta,
    pub low_w: f64,
    pub high_w: f64,
    /// Root mean square of what is left, watts.
    pub rms_w: f64,
    pub observations: usize,
}

/// Fewer observations than this fit anything.
const FEWEST: usize = 24;
/// Two powers closer than this many times the rest of the scatter are one.
const CONTRAST: f64 = 3.0;

/// Which of the properties are free.
#[derive(Clone, Copy)]
struct Free {
    window: bool,
    response: bool,
}

impl Free {
    fn list(self, theta: Theta) -> Vec<f64> {
        let mut values = vec![theta.delay];
        if self.window {
            values.push(theta.window);
        }
        if self.response {
            values.push(theta.response);
        }
        values
    }

    fn set(self, theta: Theta, values: &[f64]) -> Theta {
        let mut values = values.iter().copied();
        let delay = values.next().unwrap_or(theta.delay);
        let window = if self.window {
            values.next().unwrap_or(theta.window)
        } else {
            theta.window
        };
        let response = if self.response {
            values.next().unwrap_or(theta.response)
        } else {
            theta.response
        };
        Theta {
            window: window.max(1e-4),
            delay,
            response: response.max(0.0),
        }
    }
}

/// Share of each observation's window in which the load was on.
fn shares(wave: &Wave, observations: &[Observation], window: Window, theta: Theta) -> Vec<f64> {
    let on = wave.on_time(theta.response);
    let share = |o: &Observation| {
        let end = o.t - theta.delay;
        let start = match window {
            Window::Between => o.before - theta.delay,
            Window::Free => end - theta.window,
            Window::Fixed(length) => end - length,
        };
        on.mean(start, end)
    };
    observations.iter().map(share).collect()
}

/// The two powers for these shares, and the sum of squares that is left.
fn powers(shares: &[f64], observations: &[Observation]) -> Option<(f64, f64, f64)> {
    let n = shares.len() as f64;
    let (mx, my) = (
        shares.iter().sum::<f64>() / n,
        observations.iter().map(|o| o.watts).sum::<f64>() / n,
    );
    let xx: f64 = shares.iter().map(|x| (x - mx).powi(2)).sum();
    let xy: f64 = shares
        .iter()
        .zip(observations)
        .map(|(x, o)| (x - mx) * (o.watts - my))
        .sum();
    if xx < 1e-9 {
        return None;
    }
    let (slope, low) = (xy / xx, my - xy / xx * mx);
    let rest = shares
        .iter()
        .zip(observations)
        .map(|(x, o)| (o.watts - low - slope * x).powi(2))
        .sum();
    Some((low, slope, rest))
}

/// Fit the observations that lie whole in the wave. `period`: of the sensor, seconds, where the search looks for windows and delays.
/// `None`: too few, or the load makes no difference.
pub fn fit(wave: &Wave, observations: &[Observation], window: Window, period: f64) -> Option<Fit> {
    let (first, last) = wave.span()?;
    // The longest window that is looked for, and the longest delay, must lie in the wave.
    let usable = |o: &&Observation| {
        o.t - 1.6 * period > first && o.t < last && o.before.is_finite() && o.t - o.before < 4.0 * period
    };
    let kept: Vec<Observation> = observations.iter().filter(usable).copied().collect();
    if kept.len() < FEWEST {
        return None;
    }
    let start = coarse(wave, &kept, window, period)?;
    let sharp = Free {
        window: window == Window::Free,
        response: false,
    };
    let soft = Free {
        response: true,
        ..sharp
    };
    let plain = descend(wave, &kept, window, start, sharp)?;
    let begun = Theta {
        response: 0.02 * period,
        ..plain.0
    };
    let slow = descend(wave, &kept, window, begun, soft)?;
    // A response is believed where it explains clearly more than noise would (F test, one more parameter, about 99.9 %).
    let n = kept.len() as f64;
    let (theta, free) = if plain.1 - slow.1 > 11.0 * slow.1 / (n - 5.0) && slow.0.response > 0.0 {
        (slow.0, soft)
    } else {
        (plain.0, sharp)
    };
    finish(wave, &kept, window, theta, free)
}

/// The best of a grid.
fn coarse(wave: &Wave, observations: &[Observation], window: Window, period: f64) -> Option<Theta> {
    let windows: Vec<f64> = match window {
        Window::Free => (1..=22).map(|i| 0.05 * f64::from(i) * period).collect(),
        Window::Between | Window::Fixed(_) => vec![period],
    };
    let mut best: Option<(f64, Theta)> = None;
    for &length in &windows {
        for step in -6..=24 {
            let theta = Theta {
                window: length,
                delay: 0.02 * f64::from(step) * period,
                response: 0.0,
            };
            let Some((_, slope, rest)) = powers(&shares(wave, observations, window, theta), observations) else {
                continue;
            };
            if slope > 0.0 && best.is_none_or(|(least, _)| rest < least) {
                best = Some((rest, theta));
            }
        }
    }
    best.map(|(_, theta)| theta)
}

/// Gauss-Newton from `theta`: where it ends, and the sum of squares there.
fn descend(
    wave: &Wave,
    observations: &[Observation],
    window: Window,
    theta: Theta,
    free: Free,
) -> Option<(Theta, f64)> {
    let mut theta = theta;
    let (_, _, mut rest) = powers(&shares(wave, observations, window, theta), observations)?;
    let mut damping = 1e-3;
    for _ in 0..60 {
        let (normal, gradient) = normal_equations(wave, observations, window, theta, free)?;
        let size = gradient.len();
        let mut damped = normal.clone();
        for (i, row) in damped.iter_mut().enumerate() {
            row[i] *= 1.0 + damping;
        }
        let Some(step) = solve(damped, gradient) else { break };
        // The two powers come first.
        let values: Vec<f64> = free
            .list(theta)
            .iter()
            .zip(&step[2..size])
            .map(|(v, s)| v + s)
            .collect();
        let tried = free.set(theta, &values);
        match powers(&shares(wave, observations, window, tried), observations) {
            Some((_, _, less)) if less < rest => {
                let done = rest - less < 1e-10 * rest;
                (theta, rest) = (tried, less);
                damping = (damping * 0.3_f64).max(1e-9);
                if done {
                    break;
                }
            }
            _ if damping > 1e6 => break,
            _ => damping *= 4.0,
        }
    }
    Some((theta, rest))
}

/// JᵀJ and Jᵀr over (low, high - low, delay[, window][, response]).
fn normal_equations(
    wave: &Wave,
    observations: &[Observation],
    window: Window,
    theta: Theta,
    free: Free,
) -> Option<(Vec<Vec<f64>>, Vec<f64>)> {
    let here = shares(wave, observations, window, theta);
    let (low, slope, _) = powers(&here, observations)?;
    let mut columns = vec![vec![1.0; here.len()], here.clone()];
    let values = free.list(theta);
    for i in 0..values.len() {
        const STEP: f64 = 2e-5;
        let moved = |by: f64| {
            let mut values = values.clone();
            values[i] += by;
            shares(wave, observations, window, free.set(theta, &values))
        };
        let (up, down) = (moved(STEP), moved(-STEP));
        columns.push(
            up.iter()
                .zip(&down)
                .map(|(u, d)| slope * (u - d) / (2.0 * STEP))
                .collect(),
        );
    }
    let residual: Vec<f64> = here
        .iter()
        .zip(observations)
        .map(|(x, o)| o.watts - low - slope * x)
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let normal = columns
        .iter()
        .map(|a| columns.iter().map(|b| dot(a, b)).collect())
        .collect();
    let gradient = columns.iter().map(|a| dot(a, &residual)).collect();
    Some((normal, gradient))
}

fn finish(wave: &Wave, observations: &[Observation], window: Window, theta: Theta, free: Free) -> Option<Fit> {
    let (low, slope, rest) = powers(&shares(wave, observations, window, theta), observations)?;
    let (normal, gradient) = normal_equations(wave, observations, window, theta, free)?;
    let (n, size) = (observations.len() as f64, gradient.len());
    let variance = rest / (n - size as f64);
    if slope < CONTRAST * variance.sqrt() {
        return None;
    }
    let doubt = |i: usize| {
        let mut unit = vec![0.0; size];
        unit[i] = 1.0;
        solve(normal.clone(), unit).map(|column| 2.0 * (column[i].max(0.0) * variance).sqrt())
    };
    let poll = observations.iter().map(|o| o.half).sum::<f64>() / n;
    // When a value appeared is known to the poll; a sensor in step with the poller always hides the same part of it.
    let timing = 2.0 * poll / 3.0_f64.sqrt();
    let window_u95 = if free.window { doubt(3)? } else { 0.0 };
    Some(Fit {
        theta,
        u95: Theta {
            delay: doubt(2)?.hypot(timing),
            window: window_u95,
            response: if free.response { doubt(size - 1)? } else { 0.0 },
        },
        low_w: low,
        high_w: low + slope,
        rms_w: (rest / n).sqrt(),
        observations: observations.len(),
    })
}

/// Gaussian elimination with pivots; `None` where the matrix is singular.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs()))?;
        if a[pivot][i].abs() < 1e-300 {
            return None;
        }
        a.swap(i, pivot);
        b.swap(i, pivot);
        for row in i + 1..n {
            let factor = a[row][i] / a[i][i];
            if factor != 0.0 {
                let (upper, lower) = a.split_at_mut(row);
                lower[0][i..]
                    .iter_mut()
                    .zip(&upper[i][i..])
                    .for_each(|(x, y)| *x -= factor * y);
                b[row] -= factor * b[i];
            }
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| a[i][j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved_and_singular_ones_refused() {
        let x = solve(vec![vec![0.0, 2.0], vec![3.0, 1.0]], vec![4.0, 5.0]).expect("regular");
        assert!((x[0] - 1.0).abs() < 1e-12 && (x[1] - 2.0).abs() < 1e-12);
        assert_eq!(solve(vec![vec![1.0, 1.0], vec![1.0, 1.0]], vec![1.0, 2.0]), None);
    }
}
