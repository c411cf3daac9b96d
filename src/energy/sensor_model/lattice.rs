//! The sensor's own clock: a lattice of update times from update times seen through a poller.
//!
//! A poll sees an update some time after it happened; the mean over hundreds of updates does not. Each update gets its predicted time
//! on the lattice and how far the seen time lies from it; the fit finds out how much of that is the sensor's own jitter (`follow`).
//! A clock that wanders is followed by a moving mean.

/// Updates around one whose mean deviation the lattice follows, where it wanders.
const NEIGHBOURS: usize = 16;

/// Predicted times of updates, seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Lattice {
    pub period: f64,
    /// Standard uncertainty of the period, seconds.
    pub period_sd: f64,
    pub predicted: Vec<f64>,
    /// How many periods each update is after the one before (the first: 0).
    pub steps: Vec<u32>,
    /// Standard deviation of seen minus predicted, seconds.
    pub scatter: f64,
}

/// Fit a lattice to `seen` (ascending, seconds, each known to about `half`); `None` with too few updates to tell.
pub fn fit(seen: &[f64], half: f64) -> Option<Lattice> {
    if seen.len() < 12 {
        return None;
    }
    let mut period = usual_gap(seen);
    if period <= 0.0 {
        return None;
    }
    let mut steps = Vec::new();
    let mut line = (0.0, period);
    // What the gaps say of the period may be off by more than a line over all updates is: count again by that.
    for _ in 0..3 {
        steps = count(seen, period);
        line = least_squares(seen, &steps);
        if (line.1 - period).abs() < 1e-9 * period {
            break;
        }
        period = line.1;
    }
    steps.insert(0, 0);
    let mut n = 0.0;
    let mut predicted: Vec<f64> = steps
        .iter()
        .map(|&s| {
            n += f64::from(s);
            line.0 + line.1 * n
        })
        .collect();
    let residuals: Vec<f64> = seen.iter().zip(&predicted).map(|(s, p)| s - p).collect();
    let wander = moving_mean(&residuals);
    let sd = |values: &[f64]| (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
    // Averages of independent deviations shrink with the root of their number; a clock that wanders keeps them large. A poller that
    // beats with the lattice feigns the same, but by no more than it can be late.
    if sd(&wander) > (2.5 * sd(&residuals) / ((2 * NEIGHBOURS + 1) as f64).sqrt()).max(half) {
        predicted.iter_mut().zip(&wander).for_each(|(p, w)| *p += w);
    }
    let scatter = spread(seen.iter().zip(&predicted).map(|(s, p)| (s - p).abs()).collect());
    // The slope of a line through so many evenly spread points.
    let period_sd = scatter * 12.0_f64.sqrt() / (n * (seen.len() as f64).sqrt()).max(1.0);
    Some(Lattice {
        period: line.1,
        period_sd,
        predicted,
        steps,
        scatter,
    })
}

/// The mean of the gaps that are no more than half a period off the median: a coarse poller shows few lengths, of which the median is one.
fn usual_gap(seen: &[f64]) -> f64 {
    let mut gaps: Vec<f64> = seen.windows(2).map(|p| p[1] - p[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let median = gaps[gaps.len() / 2];
    gaps.retain(|gap| (0.5 * median..=1.5 * median).contains(gap));
    gaps.iter().sum::<f64>() / gaps.len().max(1) as f64
}

/// How many periods each update but the first is after the one before. Counted from where the lattice is by the updates so far, and not
/// from the update before: that one may have been seen late by half a period, and this one not.
fn count(seen: &[f64], period: f64) -> Vec<u32> {
    const FOLLOW: f64 = 0.2;
    let mut at = seen[0];
    let mut steps: Vec<u32> = Vec::with_capacity(seen.len());
    for &t in &seen[1..] {
        let mut step = ((t - at) / period).round().max(0.0) as u32;
        at += f64::from(step) * period;
        match steps.last_mut() {
            // The one before was so late that it was taken for this one.
            Some(before) if step == 0 && *before > 1 => (*before, step) = (*before - 1, 1),
            _ if step == 0 => (at, step) = (at + period, 1),
            _ => {}
        }
        at += FOLLOW * (t - at).clamp(-0.5 * period, 0.5 * period);
        steps.push(step);
    }
    steps
}

/// Offset and slope of `seen` over the running number of steps. An update seen after a stalled poll is late by seconds, not by the
/// clock: what lies far off a first line does not count for the second.
fn least_squares(seen: &[f64], steps: &[u32]) -> (f64, f64) {
    const FAR: f64 = 5.0;
    let mut points = vec![(0.0, seen[0])];
    let mut n = 0.0;
    points.extend(steps.iter().zip(&seen[1..]).map(|(&step, &t)| {
        n += f64::from(step);
        (n, t)
    }));
    let first = line(&points);
    let off = |&(x, y): &(f64, f64)| (y - first.0 - first.1 * x).abs();
    let reach = FAR * typical(points.iter().map(off).collect());
    points.retain(|point| off(point) <= reach);
    if points.len() < 4 { first } else { line(&points) }
}

fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let (mx, my) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), p| (x + p.0 / count, y + p.1 / count));
    let xy: f64 = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    let xx: f64 = points.iter().map(|(x, _)| (x - mx) * (x - mx)).sum();
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    (my - slope * mx, slope)
}

/// Root mean square of all but the largest twentieth: a missed update is not the clock's scatter.
fn typical(mut sizes: Vec<f64>) -> f64 {
    sizes.sort_by(f64::total_cmp);
    sizes.truncate(sizes.len() - sizes.len() / 20);
    (sizes.iter().map(|s| s * s).sum::<f64>() / sizes.len() as f64).sqrt()
}

/// Root mean square of all that belongs to the clock, which a missed update or a stall does not.
fn spread(mut sizes: Vec<f64>) -> f64 {
    const FAR: f64 = 4.0;
    let reach = FAR * typical(sizes.clone());
    sizes.retain(|s| *s <= reach);
    (sizes.iter().map(|s| s * s).sum::<f64>() / sizes.len().max(1) as f64).sqrt()
}

fn moving_mean(values: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for v in values {
        sums.push(sums[sums.len() - 1] + v);
    }
    (0..values.len())
        .map(|i| {
            let (from, to) = (i.saturating_sub(NEIGHBOURS), (i + NEIGHBOURS + 1).min(values.len()));
            (sums[to] - sums[from]) / (to - from) as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lattice_is_found_through_coarse_polls_and_missing_updates() {
        let truth: Vec<f64> = (0..500)
            .filter(|i| i % 7 != 3)
            .map(|i| 0.013 + 0.1012 * f64::from(i))
            .collect();
        let seen: Vec<f64> = truth.iter().map(|t| (t / 0.013).ceil() * 0.013 - 0.0065).collect();
        let lattice = fit(&seen, 0.0065).expect("a lattice");
        assert!((lattice.period - 0.1012).abs() < 1e-5, "{}", lattice.period);
        let worst = lattice
            .predicted
            .iter()
            .zip(&truth)
            .map(|(p, t)| (p - t).abs())
            .fold(0.0, f64::max);
        assert!(worst < 0.002, "{worst}");
    }

    #[test]
    fn a_stalled_poll_does_not_bend_the_lattice() {
        let mut seen: Vec<f64> = (0..400)
            .filter(|i| !(201..=212).contains(i))
            .map(|i| 0.1 * f64::from(i))
            .collect();
        // Seen when polls came back: late, but nearer to its own place than to the next.
        seen[200] += 0.04;
        let lattice = fit(&seen, 0.0005).expect("a lattice");
        let last = lattice.predicted[lattice.predicted.len() - 1];
        assert!((last - 39.9).abs() < 1e-6, "{last}");
        assert!((lattice.period - 0.1).abs() < 1e-9);
    }

    #[test]
    fn polls_half_a_period_apart_do_not_make_it_lose_count() {
        // Polls 5 ms apart, give or take a quarter of a millisecond, see updates every 10 ms.
        let truth: Vec<f64> = (0..4000).map(|i| 0.003 + 0.01 * f64::from(i)).collect();
        let (mut seen, mut poll, mut i) = (Vec::new(), 0.0, 0_u32);
        for t in &truth {
            let mut before = poll;
            while poll < *t {
                before = poll;
                i += 1;
                poll += 0.005 + 0.0005 * (f64::from(i * 7919 % 1000) / 1000.0 - 0.5);
            }
            seen.push(0.5 * (before + poll));
        }
        let lattice = fit(&seen, 0.0025).expect("a lattice");
        assert!((lattice.period - 0.01).abs() < 1e-6, "{}", lattice.period);
        assert!(lattice.steps[1..].iter().all(|&s| s == 1));
    }

    #[test]
    fn too_few_updates_are_no_lattice() {
        assert_eq!(fit(&[0.0, 1.0, 2.0], 0.1), None);
    }
}
