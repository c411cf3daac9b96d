//! Whether windows that look at part of the time looked at all of a step alike.
//!
//! A step of 150 ms and a sensor of 101: every third window begins 3.6 ms later in the step, and for minutes some parts of it are seen
//! twice as often as others. The mean of the readings is then not the mean power, by more than readings scatter from one to the next.
//! The model knows where each window lay and what runs there.

use super::design::Design;
use super::fit::{Setting, Stream};
use super::matrix::dot;

/// By which share the mean of what the windows saw differs from the mean of all the time between the first and the last of them, if
/// leaves draw `powers`.
pub fn share(setting: &Setting, stream: &Stream, powers: &[f64]) -> f64 {
    let mut design = Design::new(setting.overlap, stream.theta, stream.rows.rows.len());
    let (mut sum, mut count, mut reach) = (0.0, 0.0, None);
    for row in &stream.rows.rows {
        let (start, end) = Design::window(row, &stream.theta);
        if start < 0.0 || end > setting.run_s {
            continue;
        }
        design.row(row, None);
        sum += dot(&design.columns, powers);
        count += 1.0;
        reach = Some((reach.map_or(start, |(first, _)| first), end));
    }
    let Some((first, last)) = reach else { return 0.0 };
    let mut seconds = vec![0.0; setting.leaves];
    setting.overlap.add(last, 1.0, &mut Default::default(), &mut seconds);
    setting.overlap.add(first, -1.0, &mut Default::default(), &mut seconds);
    let mean = dot(&seconds, powers) / (last - first).max(1e-9);
    (sum / count / mean - 1.0).abs()
}
