//! The true power of a GPU as a function of time, and its exact integral: what every figure of a tool is judged
//! against. Owns evaluating it; `curve.rs` owns the table of pieces, `periodic.rs` and `generated.rs` the endless
//! loads, `trace.rs` a load that another process is still writing. Leaves to `sensor.rs` what a sensor makes of it.
//!
//! Power is piecewise linear, in whole microwatts at whole nanoseconds, so that energy is exact in femtojoules:
//! `energy(a, b) + energy(b, c) == energy(a, c)` to the last digit, after any time.

mod curve;
mod generated;
mod periodic;
mod trace;

use std::path::PathBuf;
use std::sync::Mutex;

use crate::config::{ConfigError, Shape};
use curve::{Curve, Piece};
use generated::Generated;
use periodic::Periodic;
use trace::Trace;

/// Exact energy: 1 fJ = 1 µW·ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Femtojoules(pub i128);

impl Femtojoules {
    #[must_use]
    pub fn joules(self) -> f64 {
        self.0 as f64 / 1e15
    }
}

impl std::ops::Sub for Femtojoules {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::ops::Add for Femtojoules {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// The true power of one GPU, for all time.
#[derive(Debug)]
pub struct Truth {
    load: Load,
}

#[derive(Debug)]
enum Load {
    Finite(Curve),
    Periodic(Periodic),
    Generated(Mutex<Generated>),
    Trace(Mutex<Trace>),
}

impl Truth {
    /// `origin_ns` is the zero of the shape's own times; a shape holds its first level before it. `seed` and `gpu`
    /// select the scatter of a load that has any.
    ///
    /// # Errors
    /// When the shape has no extent, steps back in time, or names a negative or infinite power.
    pub fn new(shape: &Shape, ramp_ms: f64, origin_ns: i64, seed: u64, gpu: u32) -> Result<Self, ConfigError> {
        let ramp_ns = crate::config::nanoseconds(ramp_ms, 1e6);
        let load = match shape {
            Shape::Constant(watts) => Load::Finite(Curve::new(origin_ns, microwatts(*watts)?, 0)),
            Shape::Breakpoints(points) => Load::Finite(breakpoints(points, origin_ns, ramp_ns)?),
            Shape::Square(square) => {
                let high_ns = crate::config::nanoseconds(square.period_ms * square.duty, 1e6);
                let low_ns = crate::config::nanoseconds(square.period_ms, 1e6) - high_ns;
                let steps = [
                    (high_ns, microwatts(square.high_w)?),
                    (low_ns, microwatts(square.low_w)?),
                ];
                Load::Periodic(Periodic::new(&steps, ramp_ns, origin_ns)?)
            }
            Shape::Steps(steps) => {
                let list = steps
                    .list
                    .iter()
                    .map(|&[ms, watts]| Ok((crate::config::nanoseconds(ms, 1e6), microwatts(watts)?)))
                    .collect::<Result<Vec<_>, ConfigError>>()?;
                if steps.duration_scatter == 0.0 && steps.watts_scatter == 0.0 {
                    Load::Periodic(Periodic::new(&list, ramp_ns, origin_ns)?)
                } else {
                    let scatter = generated::Scatter {
                        duration: steps.duration_scatter,
                        watts: steps.watts_scatter,
                    };
                    let seed = steps.seed.unwrap_or(seed);
                    Load::Generated(Mutex::new(Generated::new(
                        list, scatter, ramp_ns, origin_ns, seed, gpu,
                    )?))
                }
            }
            Shape::Trace(trace) => {
                let initial = microwatts(trace.initial_w)?;
                let path = PathBuf::from(&trace.path);
                Load::Trace(Mutex::new(Trace::new(path, gpu, initial, ramp_ns)))
            }
        };
        Ok(Self { load })
    }

    /// True power at one moment, in watts.
    #[must_use]
    pub fn power_w(&self, at_ns: i64) -> f64 {
        self.with_pieces(at_ns, |pieces| pieces.holding(at_ns).microwatts_at(at_ns) as f64 * 1e-6)
    }

    /// True energy between two moments (negative where the second is the earlier one).
    #[must_use]
    pub fn energy(&self, from_ns: i64, to_ns: i64) -> Femtojoules {
        self.with_pieces(from_ns.max(to_ns), |pieces| {
            pieces.energy_at(to_ns) - pieces.energy_at(from_ns)
        })
    }

    /// True energy between two moments, in joules: what a test compares a tool's figure with.
    #[must_use]
    pub fn energy_j(&self, from_ns: i64, to_ns: i64) -> f64 {
        self.energy(from_ns, to_ns).joules()
    }

    /// Mean over `[to − window, to]` of the power seen through a first-order low-pass of time constant `tau_ns`; the
    /// momentary value where the window is 0.
    ///
    /// With `τ·F′ + F = P`, the mean of F is `(∫P − τ·ΔF) / W`: no second integral is needed.
    #[must_use]
    pub fn filtered_mean_w(&self, to_ns: i64, window_ns: i64, tau_ns: i64) -> f64 {
        self.with_pieces(to_ns, |pieces| {
            let from_ns = to_ns - window_ns;
            if window_ns <= 0 {
                return pieces.low_passed_w(to_ns, tau_ns);
            }
            let energy = pieces.energy_at(to_ns) - pieces.energy_at(from_ns);
            let mean_w = energy.0 as f64 / window_ns as f64 * 1e-6;
            if tau_ns == 0 {
                return mean_w;
            }
            let change_w = pieces.low_passed_w(to_ns, tau_ns) - pieces.low_passed_w(from_ns, tau_ns);
            mean_w - change_w * tau_ns as f64 / window_ns as f64
        })
    }

    /// The steps of a scattered load up to `until_ns`, as (start, index in the list): the phases of the trainer that it
    /// plays. Empty for the other shapes, whose phases follow from their configuration.
    #[must_use]
    pub fn scattered_steps(&self, until_ns: i64) -> Vec<(i64, usize)> {
        match &self.load {
            Load::Generated(generated) => {
                let mut generated = lock(generated);
                generated.extend_past(until_ns);
                generated.steps(until_ns)
            }
            _ => Vec::new(),
        }
    }

    /// Runs `body` on the table of pieces, extended at least to `until_ns` first.
    fn with_pieces<R>(&self, until_ns: i64, body: impl FnOnce(&dyn Pieces) -> R) -> R {
        match &self.load {
            Load::Finite(curve) => body(curve),
            Load::Periodic(periodic) => body(periodic),
            Load::Generated(generated) => {
                let mut generated = lock(generated);
                generated.extend_past(until_ns);
                body(generated.curve())
            }
            Load::Trace(trace) => {
                let mut trace = lock(trace);
                trace.refresh();
                body(trace.curve())
            }
        }
    }
}

/// A table of pieces, numbered in order of time.
trait Pieces {
    /// Number of the piece that holds `at_ns`.
    fn index_at(&self, at_ns: i64) -> i64;
    /// Piece of that number; `None` before the first one.
    fn piece(&self, index: i64) -> Option<Piece>;
    /// Energy since the table's own zero.
    fn energy_at(&self, at_ns: i64) -> Femtojoules;
    /// The piece that holds `at_ns`.
    fn holding(&self, at_ns: i64) -> Piece;

    /// Power through a first-order low-pass, in watts.
    ///
    /// Walks back from `at_ns`; what lies more than 40 τ back weighs e⁻⁴⁰ = 4·10⁻¹⁸, less than the last bit of the sum.
    fn low_passed_w(&self, at_ns: i64, tau_ns: i64) -> f64 {
        if tau_ns == 0 {
            return self.holding(at_ns).microwatts_at(at_ns) as f64 * 1e-6;
        }
        let tau = tau_ns as f64;
        let horizon_ns = at_ns - 40 * tau_ns;
        let mut index = self.index_at(at_ns);
        let mut end_ns = at_ns;
        let mut sum_uw = 0.0;
        while let Some(piece) = self.piece(index) {
            let start_ns = piece.start_ns.max(horizon_ns);
            // ∫ from start to end of (p + m·(s − end))·e^(−(at − s)/τ)/τ ds, p the power at the end, m the slope
            let slope = piece.slope_uw_per_ns();
            let power_at_end = piece.power_uw(end_ns);
            let weight_of_end = (-((at_ns - end_ns) as f64) / tau).exp();
            let length = (end_ns - start_ns) as f64;
            let gone = (-length / tau).exp();
            sum_uw += weight_of_end * ((power_at_end - slope * tau) - gone * (power_at_end - slope * (length + tau)));
            if start_ns == horizon_ns {
                break;
            }
            end_ns = start_ns;
            index -= 1;
        }
        sum_uw * 1e-6
    }
}

fn breakpoints(points: &[[f64; 2]], origin_ns: i64, ramp_ns: i64) -> Result<Curve, ConfigError> {
    let [[first_s, first_w], rest @ ..] = points else {
        return Err(ConfigError::invalid(
            "truth.breakpoints",
            "is empty",
            "give at least one [seconds, watts]",
        ));
    };
    let mut curve = Curve::new(
        origin_ns + crate::config::nanoseconds(*first_s, 1e9),
        microwatts(*first_w)?,
        ramp_ns,
    );
    for &[seconds, watts] in rest {
        if !curve.step_to(origin_ns + crate::config::nanoseconds(seconds, 1e9), microwatts(watts)?) {
            return Err(ConfigError::invalid(
                "truth.breakpoints",
                &format!("goes back in time at {seconds} s"),
                "sort the points by time",
            ));
        }
    }
    Ok(curve)
}

fn microwatts(watts: f64) -> Result<i64, ConfigError> {
    if (0.0..=1e6).contains(&watts) {
        Ok((watts * 1e6).round() as i64)
    } else {
        Err(ConfigError::invalid(
            "truth",
            &format!("has a power of {watts} W"),
            "give 0 to 1e6 W",
        ))
    }
}

/// A poisoned table is still a table: whoever panicked did so outside the few lines that change it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
