//! What makes a device's figures less sure, however they were found: a sensor that is locked to the steps or that no window explains, a
//! counter that another reading contradicts, readings that were rounded.

use crate::energy::blind;
use crate::energy::cell::Cell;
use crate::energy::curve::Curve;
use crate::energy::sensed::Sensed;
use crate::energy::sensor_model::{self, CounterKind, Model};
use crate::energy::summed::{self, Summed};
use crate::energy::timeline::Timeline;
use crate::energy::uncertainty::{Figure, K95, grade, step_of};
use crate::model::analysis::{Grade, Method};
use crate::model::device::Device;
use crate::model::span::Spans;
use crate::model::time::Interval;

/// What the counter adds up; where that is less than all time, or may be, its cells are doubted by what it does not see.
pub fn of_counter(curve: &mut Curve, device: &Device, (model, stands_still): (Option<&Model>, bool)) -> CounterKind {
    let kind = counter_kind(device, curve, model);
    if kind == CounterKind::Sampled && model.is_some() {
        curve.doubt_counter();
    }
    let calibrated = device.properties.get("counter_kind").map(String::as_str);
    curve.story.gaps = curve.story.gaps.filter(|_| calibrated != Some("continuous"));
    curve.doubt_gaps();
    if stands_still {
        curve.doubt_unseen(kind != CounterKind::Continuous);
    }
    kind
}

/// What the counter adds up: by the model, else by how closely it follows the readings, else by what was measured of it before, or of boards
/// like this one.
fn counter_kind(device: &Device, curve: &Curve, model: Option<&Model>) -> CounterKind {
    let measured = device.properties.get("counter_kind").map(String::as_str);
    let by_model = model
        .map(|model| model.kind)
        .filter(|kind| *kind != CounterKind::Unknown);
    match (by_model, curve.story.summed, measured) {
        (Some(kind), ..) => kind,
        (None, Summed::Yes, _) | (None, Summed::Unknown, Some("sampled")) => CounterKind::Sampled,
        (None, Summed::Unknown, Some("continuous")) => CounterKind::Continuous,
        (None, Summed::No, _) if model.is_none() => CounterKind::Continuous,
        (None, ..) => CounterKind::Unknown,
    }
}

/// A sensor locked to the steps tells nothing of the phases inside them. What bounds alone leave of such a phase is no figure, unless
/// they are narrow.
pub fn refuse(figures: &mut [Figure]) {
    for figure in figures.iter_mut().filter(|f| grade(f.joules, f.u95) > Grade::B) {
        figure.u95 = figure.u95.max(figure.joules.abs());
    }
}

/// A counter of which it is not known whether it adds up all time, beside readings that see all of it: by as much as these two differ the
/// counter may be wrong.
pub fn by_integral(figures: &mut [Figure], curve: &Curve) {
    let Some((ratio, _)) = curve.story.counter_over_integral else {
        return;
    };
    if curve.method != Method::Counter || curve.story.duty < summed::ALL {
        return;
    }
    for figure in figures {
        let off = (ratio - 1.0).abs() * figure.joules.abs();
        figure.u95 += off;
        figure.upper += off;
    }
}

/// A counter that may multiply readings with a period it believes in is as wrong as that is.
pub fn by_drift(figures: &mut [Figure], curve: &Curve) {
    let Some(gaps) = curve.story.gaps.filter(|_| curve.method == Method::Counter) else {
        return;
    };
    for figure in figures {
        let off = gaps.drift * figure.joules.abs();
        figure.u95 += off;
        figure.upper += off;
    }
}

/// A counter of which it is not known whether it adds up all time, beside readings that look at a part of it: it may be made of those, and
/// then has not seen what they, `alone`, did not see. The values stay: if it does add up all time, the counter's are right.
pub fn by_unseen(figures: &mut [Figure], alone: &Curve, timeline: &Timeline, parents: &[Option<usize>]) {
    chance(figures, &blind::unseen(alone, timeline, parents));
}

/// Further doubts that are chance: variances, J^2.
pub fn chance(figures: &mut [Figure], variances: &[f64]) {
    for (figure, variance) in figures.iter_mut().zip(variances) {
        let u95 = figure.u95.hypot(K95 * variance.sqrt());
        figure.upper += u95 - figure.u95;
        figure.u95 = u95;
    }
}

/// A counter that its board's power readings contradict: nobody knows which of the two is wrong, so the tolerance that all phases have in
/// common reaches from one to the other, and counts in the grade. (ml-energy/zeus, issue 181: 187 J by the counter, 327 J by the readings.)
pub fn contradicted(figures: &mut [Figure], curve: &Curve) {
    let Some(share) = curve.story.contradiction().filter(|_| curve.method == Method::Counter) else {
        return;
    };
    for figure in figures {
        let off = share * figure.joules;
        figure.scale = figure.scale.hypot(off);
        figure.guess = figure.guess.hypot(off);
        figure.upper *= 1.0 + share.max(0.0);
    }
}

/// Readings that no window explains were averaged over nobody knows how long, up to the longest windows that were looked for: so far may
/// each edge of a phase be off, by all that readings differ. What that leaves of phases of seconds is no figure either.
pub fn distrust(figures: &mut [Figure], spans: &Spans, inclusive: &[f64], curve: &Curve, run: Interval) {
    const WINDOW_S: f64 = 1e-3 * sensor_model::LONGEST_WINDOW_MS;
    let reach = |within: &dyn Fn(&Cell) -> bool| {
        let known = curve
            .cells
            .iter()
            .filter(|cell| cell.known && within(cell))
            .map(Cell::watts);
        let (low, high) = known.fold((f64::INFINITY, 0.0_f64), |(low, high), w| (low.min(w), high.max(w)));
        (high - low).max(0.0)
    };
    let doubt = |figure: &mut Figure, off: f64, seconds: f64| {
        figure.u95 = figure.u95.max(off.min(figure.joules.abs()));
        figure.upper = figure.upper.max(figure.joules + off).min(curve.range.ceiling * seconds);
    };
    let (phases, anywhere) = (spans.phases.len(), reach(&|_| true));
    for (phase, figure) in figures.iter_mut().enumerate().take(phases) {
        let times = spans.instances.iter().filter(|span| span.phase.0 == phase).count();
        doubt(figure, 2.0 * times as f64 * WINDOW_S * anywhere, inclusive[phase]);
    }
    // At its ends the device may be idle, and then nothing is off.
    let window = (WINDOW_S * 1e9) as i64;
    let ends = [run.start, run.end].map(|end| {
        let near = |cell: &Cell| cell.end > end.as_nanos() - window && cell.start < end.as_nanos() + window;
        WINDOW_S * reach(&near)
    });
    if let Some(whole) = figures.get_mut(phases + 1) {
        doubt(whole, ends.iter().sum(), inclusive[phases + 1]);
    }
}

/// A phase that draws more than the device can on average is none that the model understood: its value is no figure. Boards exceed their
/// limits for milliseconds, not for as long as phases are measured.
pub fn beyond_the_device(figures: &mut [Figure], inclusive: &[f64], curve: &Curve) {
    const SLACK: f64 = 1.25;
    for (figure, seconds) in figures.iter_mut().zip(inclusive) {
        let most = SLACK * curve.range.ceiling * seconds;
        if figure.method == Method::Regression && figure.joules > most {
            figure.u95 = figure.u95.max(figure.joules);
            figure.upper = figure.upper.min(most);
        }
    }
}

/// Power readings are rounded, to 1 W in some logs: of a steady load all of them are off by the same, anything up to half a step. Not of a
/// counter's figures.
pub fn of_rounding(figures: &mut [Figure], inclusive: &[f64], curve: &Curve, sensed: &Sensed<'_>) {
    if curve.method != Method::Integral {
        return;
    }
    let watts: Vec<f64> = sensed.updates().iter().map(|update| update.watts).collect();
    let Some(step) = step_of(watts) else {
        return;
    };
    for (figure, seconds) in figures.iter_mut().zip(inclusive) {
        let off = K95 * step / 12.0_f64.sqrt() * seconds;
        let u95 = figure.u95.hypot(off);
        figure.upper += u95 - figure.u95;
        figure.u95 = u95;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::curve::{PowerRange, Story};

    #[test]
    fn more_than_the_board_can_draw_is_no_figure() {
        let curve = Curve {
            cells: Vec::new(),
            range: PowerRange {
                floor: 30.0,
                ceiling: 400.0,
            },
            method: Method::Integral,
            story: Story::default(),
            delay_sd_s: 0.0,
            reach: (i64::MIN, i64::MAX),
        };
        let figure = |joules: f64| Figure {
            joules,
            u95: 5.0,
            scale: 0.0,
            upper: joules + 5.0,
            guess: 0.0,
            common: 0.0,
            method: Method::Regression,
        };
        // A second each: 400 W are the limit, and a little more is not impossible.
        let mut figures = [figure(450.0), figure(900.0)];
        beyond_the_device(&mut figures, &[1.0, 1.0], &curve);
        assert_eq!(figures[0], figure(450.0));
        assert_eq!(figures[1].present().grade, Grade::Unresolved);
        assert_eq!(figures[1].upper, 500.0);
    }
}
