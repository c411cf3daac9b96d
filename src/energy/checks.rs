//! Tests a recording is put to, each a verdict and a sentence, and the warnings that follow from them.

mod refusals;

pub use refusals::of_refusal;

use crate::model::analysis::{Check, CheckStatus, FoundMs, PowerOrigin};
use crate::model::device::Device;
use crate::model::recording::Recording;
use crate::model::span::Spans;
use crate::model::wording::counted;

use super::combine::Together;
use super::curve::Story;
use super::sensor_model::{CounterKind, Model};

/// A sweep later than this many intervals is worth a word.
const LATE_INTERVALS: f64 = 2.0;

fn check(name: impl Into<String>, status: CheckStatus, detail: impl Into<String>) -> Check {
    Check {
        name: name.into(),
        status,
        detail: detail.into(),
    }
}

/// Checks of one device's readings over a run of `run_s` seconds.
pub fn of_device(device: &Device, story: &Story, run_s: f64) -> Vec<Check> {
    let id = &device.id;
    let mut checks = vec![coverage(device, story, run_s)];
    if story.resets > 0 || story.stuck_s > 0.0 || story.late_s > 0.0 {
        checks.push(of_counter(device, story));
    }
    if let Some((ratio, seconds)) = story.counter_over_integral {
        checks.push(agreement(device, story.contradiction().is_some(), ratio, seconds));
    }
    if let Some((ratio, seconds)) = story.samples_over_polled {
        checks.push(of_samples(device, ratio, seconds));
    }
    if story.glitches > 0 {
        let readings = counted(
            story.glitches,
            &format!("impossible reading of {id} (a single zero, a fall and rise) was"),
            &format!("impossible readings of {id} (single zeros, falls and rises) were"),
        );
        checks.push(check(
            format!("glitches:{id}"),
            CheckStatus::Warn,
            format!("{readings} left out"),
        ));
    }
    checks
}

/// A counter that started anew, or did not go on.
fn of_counter(device: &Device, story: &Story) -> Check {
    let mut parts = Vec::new();
    if story.resets > 0 {
        parts.push(format!("was reset {}", counted(story.resets, "time", "times")));
    }
    if story.stuck_s > 0.0 {
        parts.push(format!("stood still for {:.1} s while power flowed", story.stuck_s));
    }
    if story.late_s > 0.0 {
        parts.push(format!("stood still for {:.1} s and then caught up", story.late_s));
    }
    let id = &device.id;
    check(
        format!("counter:{id}"),
        CheckStatus::Warn,
        format!(
            "the energy counter of {id} {}; power readings stand in there",
            parts.join(" and ")
        ),
    )
}

fn coverage(device: &Device, story: &Story, run_s: f64) -> Check {
    let id = &device.id;
    let share = story.hole_s / run_s.max(1e-9);
    let status = match share {
        s if s < 0.005 => CheckStatus::Pass,
        s if s < 0.2 => CheckStatus::Warn,
        _ => CheckStatus::Fail,
    };
    let detail = match status {
        CheckStatus::Pass => format!("readings of {id} cover {:.1} % of the run", 100.0 * (1.0 - share)),
        _ => format!(
            "{id} gave no readings for {:.2} s of the run (longest hole {:.2} s): the power around is held there, with bounds as wide as the device",
            story.hole_s, story.longest_hole_s
        ),
    };
    check(format!("coverage:{id}"), status, detail)
}

/// Counter against integral. Short runs differ by their edges alone: a tenth of a second of it is allowed for.
fn agreement(device: &Device, is_contradiction: bool, ratio: f64, seconds: f64) -> Check {
    let id = &device.id;
    let is_usual = (ratio - 1.0).abs() < Story::usual_difference(seconds);
    let status = match (is_usual, is_contradiction) {
        (true, _) => CheckStatus::Pass,
        (_, false) => CheckStatus::Warn,
        (_, true) => CheckStatus::Fail,
    };
    let reach = if is_contradiction {
        ", and its tolerance and the grades allow for what the power readings say"
    } else {
        ""
    };
    let detail = match status {
        CheckStatus::Pass => format!(
            "counter and power integral of {id} agree: {:+.1} % over {seconds:.0} s",
            100.0 * (ratio - 1.0)
        ),
        _ => format!(
            "the counter of {id} says {:+.1} % against the integral of its power readings over {seconds:.0} s: one of the two is wrong, or the power reading does not see all of the load; the counter is used{reach}",
            100.0 * (ratio - 1.0)
        ),
    };
    check(format!("counter_vs_integral:{id}"), status, detail)
}

/// The driver's own samples against the polled readings. Readings that look at part of the time only may be some percent off by chance.
fn of_samples(device: &Device, ratio: f64, seconds: f64) -> Check {
    let id = &device.id;
    let agree = (ratio - 1.0).abs() < 0.10 + 0.5 / seconds.max(0.5);
    let percent = 100.0 * (ratio - 1.0);
    let (status, detail) = if agree {
        (
            CheckStatus::Pass,
            format!(
                "the driver's own samples of {id} are used as its power, and say {percent:+.1} % against the polled readings over {seconds:.0} s"
            ),
        )
    } else {
        (
            CheckStatus::Warn,
            format!(
                "the driver's own samples of {id} say {percent:+.1} % against its polled readings over {seconds:.0} s: one of the two does not see all of the load; the samples are used"
            ),
        )
    };
    check(format!("samples_vs_polled:{id}"), status, detail)
}

/// A time with its half-width.
fn with(ms: FoundMs) -> String {
    format!("{:.1} ± {:.1}", ms.value, ms.u95.max(0.1))
}

/// How long after its end a window is seen, or a tick. A delay below zero is not one: of slow polls it says where between two of them the
/// new value came, and of a driver's samples where in its window the stamp lies.
fn later(delay: FoundMs, is_sampled: bool) -> String {
    let early = FoundMs {
        value: -delay.value,
        ..delay
    };
    match (delay.value < 0.0, is_sampled) {
        (false, _) => format!("seen {} ms later", with(delay)),
        (true, true) => format!("stamped {} ms before its end", with(early)),
        (true, false) => format!("new {} ms after the middle between two polls", with(early)),
    }
}

/// What was found about the sensor.
pub fn of_model(device: &Device, model: &Model) -> Option<Check> {
    let id = &device.id;
    let found = model.found();
    let mut parts = Vec::new();
    if let Some(power) = &found.power {
        let is_sampled = found.origin == Some(PowerOrigin::Samples);
        let what = if is_sampled {
            "the driver's own power samples come"
        } else {
            "power updates"
        };
        parts.push(format!(
            "{what} every {:.2} ms (jitter {:.1} ms)",
            power.period.value, power.jitter_ms
        ));
        parts.push(match power.window.zip(power.delay) {
            Some(((window, shape), delay)) => {
                format!(
                    "each is a mean over {} ms ({shape}), {}",
                    with(window),
                    later(delay, is_sampled)
                )
            }
            None => "what each is the mean of cannot be told, for all phases draw about the same".into(),
        });
    }
    if let Some(counter) = &found.counter {
        let seen = counter
            .delay
            .map_or(String::new(), |delay| format!(", {}", later(delay, false)));
        parts.push(format!(
            "the counter moves every {:.2} ms (jitter {:.1} ms){seen}",
            counter.period.value, counter.jitter_ms
        ));
    }
    parts.push(format!("power lags behind the markers by {} ms", with(found.lag)));
    if found.in_parts {
        parts.push("the power inside phases has a shape, so they were estimated in parts".into());
    }
    let (of_counter, status) = match model.kind {
        CounterKind::Continuous if model.may_have_gaps => (
            Some("the counter adds up all time, or the power readings: all but what is between their windows"),
            CheckStatus::Pass,
        ),
        CounterKind::Continuous => (Some("the counter adds up all time"), CheckStatus::Pass),
        CounterKind::Sampled => (
            Some("the counter adds up the power readings, not all time: not used for short phases"),
            CheckStatus::Warn,
        ),
        CounterKind::Unknown => (None, CheckStatus::Pass),
    };
    parts.extend(of_counter.map(str::to_owned));
    Some(check(
        format!("sensor:{id}"),
        status,
        format!("{id}: {}", parts.join("; ")),
    ))
}

/// Two halves of the readings, each fitted alone: do they differ by more than the intervals allow?
pub fn of_halves(device: &Device, spans: &Spans, model: &Model) -> Option<Check> {
    /// The largest of a few dozen normal deviations stays below the first, and never comes near the second.
    const USUAL: f64 = 3.5;
    const NEVER: f64 = 7.0;
    let id = &device.id;
    let halves = model.halves.as_ref()?;
    let deviation = |&(difference, sd): &(f64, f64)| if sd > 0.0 { difference.abs() / sd } else { 0.0 };
    let worst = (0..halves.len()).max_by(|&a, &b| deviation(&halves[a]).total_cmp(&deviation(&halves[b])))?;
    let size = deviation(&halves[worst]);
    let name = spans
        .phases
        .get(worst)
        .map_or("the time outside all phases", |p| p.path.as_str());
    let status = match size {
        s if s < USUAL => CheckStatus::Pass,
        s if s < NEVER => CheckStatus::Warn,
        _ => CheckStatus::Fail,
    };
    let detail = match status {
        CheckStatus::Pass => format!(
            "every second block of readings of {id} gives the same energies as the others: the largest difference, at {name}, is {size:.1} of its standard uncertainties"
        ),
        _ => format!(
            "two halves of the readings of {id} disagree about {name} by {size:.1} standard uncertainties: its power follows something that no marker says, and intervals of short phases are too narrow"
        ),
    };
    Some(check(format!("split_half:{id}"), status, detail))
}

/// Two phases of which only the sum is known; `None` where one of them is the time outside all phases.
pub fn of_pair(device: &Device, spans: &Spans, pair: &Together) -> Option<Check> {
    let (a, b) = (spans.phases.get(pair.leaves.0)?, spans.phases.get(pair.leaves.1)?);
    let id = &device.id;
    // Two digits of the half-width.
    let digits = (1.0 - pair.u95.max(f64::MIN_POSITIVE).log10().floor()).clamp(0.0, 6.0) as usize;
    Some(check(
        format!("separation:{id}"),
        CheckStatus::Warn,
        format!(
            "the sensor of {id} sees {} and {} (without what is inside them) only together: {:.digits$} ± {:.digits$} J",
            a.path, b.path, pair.joules, pair.u95
        ),
    ))
}

/// A model of the sensor that says what its readings exclude.
pub fn of_contradiction(device: &Device) -> Check {
    let id = &device.id;
    check(
        format!("model:{id}"),
        CheckStatus::Warn,
        format!(
            "what was found of the sensor of {id} contradicts its own readings over longer times: it is not used, and short phases have bounds alone"
        ),
    )
}

/// Checks of the recording as a whole.
pub fn of_recording(recording: &Recording, spans: &Spans) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(sampler(recording));
    checks.push(markers(recording, spans));
    checks
}

fn sampler(recording: &Recording) -> Option<Check> {
    let mut late: Vec<u32> = recording.sweeps.late_ns.clone();
    if late.is_empty() {
        return None;
    }
    late.sort_unstable();
    let at = |share: f64| f64::from(late[((late.len() - 1) as f64 * share) as usize]) * 1e-6;
    let interval_ms = recording.run.interval_ns as f64 * 1e-6;
    let (middle, tail) = (at(0.5), at(0.99));
    let status = if tail > LATE_INTERVALS * interval_ms {
        CheckStatus::Warn
    } else {
        CheckStatus::Pass
    };
    let busy: f64 = recording.sweeps.busy_ns.iter().map(|&b| f64::from(b)).sum::<f64>() * 1e-9;
    let share = 100.0 * busy / recording.interval().seconds().max(1e-9);
    Some(check(
        "sampler",
        status,
        format!(
            "{} sweeps, late by {middle:.2} ms (median) and {tail:.2} ms (99 %); {share:.2} % of the time was spent in sensor calls",
            late.len()
        ),
    ))
}

fn markers(recording: &Recording, spans: &Spans) -> Check {
    let faults = &spans.faults;
    let heard = &recording.marker_faults;
    let told = [
        (heard.bad_lines, "line", "lines", " that could not be understood"),
        (heard.dropped, "line", "lines", " that writers could not send"),
        (faults.never_ended, "span", "spans", " that never ended"),
        (faults.never_begun, "end", "ends", " without a begin"),
        (faults.ended_by_outer, "span", "spans", " ended by the span around"),
        (faults.out_of_order, "marker", "markers", " out of order"),
    ];
    let mut parts: Vec<String> = told
        .iter()
        .filter(|told| told.0 > 0)
        .map(|(n, one, many, what)| counted(*n, one, many) + what)
        .collect();
    if parts.is_empty() {
        return check(
            "markers",
            CheckStatus::Pass,
            format!(
                "{}, all in order",
                counted(recording.markers.len() as u64, "marker", "markers")
            ),
        );
    }
    // Some of each, for either may be many.
    let each = (0..3).flat_map(|i| [heard.examples.get(i), faults.examples.get(i)]);
    parts.extend(each.flatten().take(3).map(|e| format!("e.g. {e}")));
    check("markers", CheckStatus::Warn, parts.join("; "))
}

/// What a user must not overlook, from the checks.
pub fn warnings(checks: &[Check]) -> Vec<String> {
    checks
        .iter()
        .filter(|c| c.status != CheckStatus::Pass)
        .map(|c| c.detail.clone())
        .collect()
}
