//! The doctor's findings for people.

use std::fmt::Write;
use std::time::Duration;

use super::examined::Examined;
use super::precision::{Expected, PLACES, Precision, REPEATED_FOR_S};
use crate::model::analysis::Grade;
use crate::model::device::{SensorTiming, Source};
use crate::sensors::finding::{Finding, Status};

/// Everything, a line feed at the end.
pub fn render(findings: &[Finding], examined: &[Examined], watched: Duration) -> String {
    let mut text: String = findings.iter().map(line).collect();
    text.push('\n');
    for one in examined {
        text.push_str(&describe(one));
    }
    if examined.is_empty() {
        text.push_str("no device can be recorded; phases would have their times and no energy\n");
        return text;
    }
    let seconds = humantime::format_duration(watched);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nseen: while the sensors were watched for {seconds}. expected: from published measurements of such boards, or from your own\n\
         calibration; a window is not seen at rest, `powerprof calibrate` measures it, and so does each recording with short phases.\n\
         precision: half-width of the 95 % interval that `powerprof report` would give a phase of that length, executed once (the middle\n\
         of what it gets at {PLACES} places in the sensor's period), and again and again for {REPEATED_FOR_S:.0} s: a made-up load (phases at 4/5 of the\n\
         limit, the rest at 1/4, scattering by a few percent) is played to a sensor of this rhythm and analysed as a recording is. The\n\
         sensor's own tolerance comes on top of it.\n"
    );
    text
}

fn line(finding: &Finding) -> String {
    let word = match finding.status {
        Status::Found => "found  ",
        Status::Absent => "absent ",
        Status::Blocked => "BLOCKED",
        Status::Note => "note   ",
    };
    let devices: Vec<&str> = finding.devices.iter().map(|id| id.0.as_str()).collect();
    let about = if devices.is_empty() {
        String::new()
    } else {
        format!(" [{}]", devices.join(", "))
    };
    let mut text = format!("{word} {}: {}{about}\n", finding.family.as_str(), finding.detail);
    for hint in finding.hint.iter().flat_map(|hint| hint.lines()) {
        let _ = writeln!(text, "        fix: {hint}");
    }
    text
}

fn describe(e: &Examined) -> String {
    let device = &e.device;
    let mut text = format!("{:<6} {}\n", device.id.to_string(), device.name);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "       {name:<12} {value}");
    };
    if let Some(uuid) = &device.uuid {
        row("uuid", uuid.clone());
    }
    if e.columns.watts {
        let now = e.mean_watts.map_or(String::new(), |w| format!("{w:.1} W; "));
        row("power", now + &rhythm(&device.power_timing, e.power_period_ms));
    }
    if e.columns.counter.is_some() {
        row("counter", rhythm(&device.counter_timing, e.counter_period_ms));
    }
    if let (Some(median), Some(p99)) = (e.call_median_us, e.call_p99_us) {
        row(
            "call",
            format!("{median:.0} µs (median), {p99:.0} µs (99 %) of {} calls", e.calls),
        );
    }
    if e.failures > 0 {
        let why = e.failure.as_deref().unwrap_or("no reason given");
        row("FAILURES", format!("{} of {} calls: {why}", e.failures, e.calls));
    }
    if let Some(buffer) = &e.buffer {
        let spacing = buffer
            .spacing_ms
            .map_or("at an unknown spacing".to_owned(), |ms| format!("{ms:.1} ms apart"));
        let clock = buffer.clock.unwrap_or("no known clock");
        // As recording does; `sample_buffer` below has its reason.
        let use_of_it = if e.columns.samples {
            "recorded where finer than the power readings"
        } else {
            "not recorded"
        };
        row(
            "buffer",
            format!(
                "the driver keeps {} power samples {spacing}, stamped by {clock}; {use_of_it}",
                buffer.length
            ),
        );
    }
    match &e.precision {
        Some(all) => {
            for p in all {
                let length = humantime::format_duration(Duration::from_secs_f64(p.phase_s));
                row(
                    "precision",
                    format!(
                        "a phase of {length}: once {}, repeated {}",
                        once(p),
                        expected(&p.repeated)
                    ),
                );
            }
        }
        None => row("precision", e.no_precision.to_owned()),
    }
    if let Some(limit) = device.power_limit {
        row("limit", format!("{:.0} W", limit.get()));
    }
    if let Some(container) = &device.contained_in {
        row("part of", format!("{container}, and never added to it"));
    }
    if device.source == Source::Estimate {
        row(
            "estimate",
            "no measurement: never better than grade C, whatever its interval".to_owned(),
        );
    }
    for (name, value) in &device.properties {
        row(name, value.clone());
    }
    text
}

fn rhythm(believed: &SensorTiming, seen_ms: Option<f64>) -> String {
    let seen = seen_ms.map(|ms| format!("a new value every {ms:.1} ms (seen)"));
    let expected = believed.update_period_ms.map(|ms| format!("every {ms} ms (expected)"));
    let period = match (seen, expected) {
        (Some(seen), Some(expected)) => format!("{seen}, {expected}"),
        (Some(seen), None) => seen,
        (None, Some(expected)) => format!("a new value {expected}; no change was seen"),
        (None, None) => "no change was seen, and nothing is expected".to_owned(),
    };
    match believed.window_ms {
        Some(ms) => format!("{period}, each the mean of {ms} ms (expected)"),
        None => period,
    }
}

fn expected(e: &Expected) -> String {
    let grade = if e.grade == Grade::Unresolved {
        "?"
    } else {
        e.grade.as_str()
    };
    match e.relative_u95 {
        Some(relative) => format!("± {:.1} % ({grade})", 100.0 * relative),
        None => "not resolved".to_owned(),
    }
}

/// One execution, and how much luck it needs where it needs any.
fn once(p: &Precision) -> String {
    let unresolved = p.once_unresolved;
    match p.once.relative_u95 {
        _ if [0, PLACES].contains(&unresolved) => expected(&p.once),
        Some(_) => format!(
            "{} but not resolved at {unresolved} of {PLACES} places",
            expected(&p.once)
        ),
        None => format!("not resolved at {unresolved} of {PLACES} places"),
    }
}
