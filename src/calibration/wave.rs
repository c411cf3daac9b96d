//! The load as it was switched, and its running on-time, also behind a first-order response.

/// On and off over time. Times are seconds from an origin of the caller's.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    /// Ascending; each with what the load is from then on.
    edges: Vec<(f64, bool)>,
}

/// The running integral of a wave behind a response of one time constant.
#[derive(Debug, Clone)]
pub struct OnTime<'a> {
    wave: &'a Wave,
    tau: f64,
    /// At each edge: the response's state, and the integral of it so far.
    states: Vec<(f64, f64)>,
}

impl Wave {
    /// From edges in the order of time; before the first the load is off.
    pub fn new(mut edges: Vec<(f64, bool)>) -> Self {
        edges.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { edges }
    }

    /// First and last edge.
    pub fn span(&self) -> Option<(f64, f64)> {
        Some((self.edges.first()?.0, self.edges.last()?.0))
    }

    /// The integral of the load's state behind a response of time constant `tau` (0: none).
    pub fn on_time(&self, tau: f64) -> OnTime<'_> {
        let mut states = Vec::with_capacity(self.edges.len());
        let (mut state, mut sum) = (0.0, 0.0);
        for (i, &(t, on)) in self.edges.iter().enumerate() {
            if let Some(&(before, was_on)) = i.checked_sub(1).map(|j| &self.edges[j]) {
                (state, sum) = respond(state, sum, was_on, t - before, tau);
            } else {
                state = 0.0;
            }
            if tau <= 0.0 {
                state = f64::from(u8::from(on));
            }
            states.push((state, sum));
        }
        OnTime {
            wave: self,
            tau,
            states,
        }
    }
}

/// State and integral `dt` after an instant at which the load became `on`.
fn respond(state: f64, sum: f64, on: bool, dt: f64, tau: f64) -> (f64, f64) {
    let target = f64::from(u8::from(on));
    if tau <= 0.0 {
        return (target, sum + target * dt);
    }
    let left = (-dt / tau).exp();
    let state_then = target + (state - target) * left;
    (state_then, sum + target * dt + (state - target) * tau * (1.0 - left))
}

impl OnTime<'_> {
    /// Seconds of (responded) on-time up to `t`.
    pub fn at(&self, t: f64) -> f64 {
        let i = self.wave.edges.partition_point(|(edge, _)| *edge <= t);
        let Some(i) = i.checked_sub(1) else { return 0.0 };
        let ((edge, on), (state, sum)) = (self.wave.edges[i], self.states[i]);
        respond(state, sum, on, t - edge, self.tau).1
    }

    /// Mean state over a window.
    pub fn mean(&self, from: f64, to: f64) -> f64 {
        if to - from < 1e-9 {
            return 0.0;
        }
        (self.at(to) - self.at(from)) / (to - from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_time_with_and_without_a_response() {
        let wave = Wave::new(vec![(1.0, true), (2.0, false), (4.0, true)]);
        let sharp = wave.on_time(0.0);
        assert_eq!(
            (sharp.at(0.5), sharp.at(1.5), sharp.at(3.0), sharp.at(5.0)),
            (0.0, 0.5, 1.0, 2.0)
        );
        assert_eq!(sharp.mean(1.5, 2.5), 0.5);
        let slow = wave.on_time(0.1);
        // A response delays by its time constant, and loses nothing.
        assert!((slow.at(1.9) - 0.8).abs() < 1e-3, "{}", slow.at(1.9));
        assert!((slow.at(3.9) - 1.0).abs() < 1e-6);
    }
}
