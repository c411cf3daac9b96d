//! The sentences around the tables: banners, verdicts of the checks, and what the marks in the tables mean.
//!
//! Each explanation appears only where the mark it explains is used.

use super::format;
use crate::model::analysis::{
    Analysis, Check, CheckStatus, DeviceAnalysis, EnergyEstimate, Grade, Method, PowerOrigin,
};
use crate::model::device::Source;
use crate::model::wording::counted;

/// When, where, how long, how it ended and its labels: `2026-11-23T22:12:04Z on node17 · 2 m 04 s · exit 0 · model=led, seed=1`.
pub fn run_line(analysis: &Analysis) -> String {
    let run = &analysis.run;
    let hosts = run
        .hosts
        .iter()
        .map(|h| format::printable(h))
        .collect::<Vec<_>>()
        .join(", ");
    let on = if hosts.is_empty() {
        String::new()
    } else {
        format!(" on {hosts}")
    };
    let exit = run
        .exit_code
        .map_or_else(|| "exit status unknown".to_owned(), |code| format!("exit {code}"));
    let started = started_at(run.started_realtime_ns).unwrap_or_else(|| "start unknown".to_owned());
    let labels = run
        .labels
        .iter()
        .map(|(key, value)| format!("{}={}", format::printable(key), format::printable(value)))
        .collect::<Vec<_>>()
        .join(", ");
    let labels = if labels.is_empty() {
        labels
    } else {
        format!(" · {labels}")
    };
    format!("{started}{on} · {} · {exit}{labels}", format::duration(run.wall))
}

/// RFC 3339, to the second. `None` for a log that does not say when it was taken.
pub fn started_at(realtime_ns: i64) -> Option<String> {
    let since = std::time::Duration::from_nanos(u64::try_from(realtime_ns).ok().filter(|&ns| ns > 0)?);
    Some(humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string())
}

/// What must be read before any figure.
pub fn banners(analysis: &Analysis) -> Vec<String> {
    let mut banners = Vec::new();
    if let Some(profile) = &analysis.run.simulated {
        banners.push(format!(
            "SIMULATED (profile {}): no figure here was measured",
            format::printable(profile)
        ));
    }
    if !analysis.run.complete {
        banners.push("INCOMPLETE: the recording was cut off; everything below covers what was kept".to_owned());
    }
    banners
}

/// `5 passed, 1 warning, 0 failed`, or nothing if no check was made.
pub fn checks_summary(analysis: &Analysis) -> Option<String> {
    let of = |status| analysis.checks.iter().filter(|c| c.status == status).count();
    let (pass, warn, fail) = (of(CheckStatus::Pass), of(CheckStatus::Warn), of(CheckStatus::Fail));
    let plural = if warn == 1 { "" } else { "s" };
    (!analysis.checks.is_empty()).then(|| format!("{pass} passed, {warn} warning{plural}, {fail} failed"))
}

/// Warnings of one kind that a terminal shows: eight devices have much the same to say.
const MOST_OF_A_KIND: usize = 3;

/// The checks to show where there is little room: all that failed, a few warnings of each kind, and what was left out.
pub fn main_checks(analysis: &Analysis) -> (Vec<&Check>, Option<String>) {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    let mut shown = Vec::new();
    for check in analysis.checks.iter().filter(|c| c.status != CheckStatus::Pass) {
        let kind = check.name.split(':').next().unwrap_or_default();
        let place = kinds.iter().position(|(other, _)| *other == kind);
        let place = place.unwrap_or_else(|| {
            kinds.push((kind, 0));
            kinds.len() - 1
        });
        kinds[place].1 += usize::from(check.status == CheckStatus::Warn);
        if check.status == CheckStatus::Fail || kinds[place].1 <= MOST_OF_A_KIND {
            shown.push(check);
        }
    }
    let left = kinds.iter().filter(|(_, count)| *count > MOST_OF_A_KIND);
    let left = left.map(|(kind, count)| format!("{} of {}", count - MOST_OF_A_KIND, format::printable(kind)));
    let left = left.collect::<Vec<_>>().join(", ");
    let more = (!left.is_empty()).then(|| format!("more warnings: {left}; --format html or json has all"));
    (shown, more)
}

/// What the columns and marks mean.
pub fn legend(analysis: &Analysis) -> Vec<String> {
    let energies = all_energies(analysis);
    let mut notes = Vec::new();
    if energies.iter().any(|e| e.joules.is_some() && e.u95.is_some()) {
        notes.push(
            "±: half-width of the 95 % interval from noise, timing and phase edges".to_owned() + &scale(analysis),
        );
    }
    let unresolved = energies
        .iter()
        .any(|e| e.grade == Grade::Unresolved && e.upper_bound.is_some());
    let question_mark = if unresolved {
        "; ?: the sensor cannot resolve it, ≤ is a 95 % upper bound"
    } else {
        ""
    };
    if energies.iter().any(|e| e.grade != Grade::Unresolved) || unresolved {
        let is_contradiction = |c: &Check| c.status == CheckStatus::Fail && c.name.starts_with("counter_vs_integral");
        let is_estimate = energies.iter().any(|e| e.method == Method::Estimate);
        let estimated = match (is_estimate, analysis.checks.iter().any(is_contradiction)) {
            (false, false) => "",
            (true, false) => ", with 30 % of what is an estimate,",
            (false, true) => ", with what contradicting sensors differ by,",
            (true, true) => ", with 30 % of what is an estimate and what contradicting sensors differ by,",
        };
        notes.push(format!(
            "grade: the interval{estimated} is under 2 % (A), 10 % (B) or 30 % (C) of the value{question_mark}"
        ));
    }
    if energies.iter().any(|e| e.method == Method::Estimate) {
        let ids = ids(analysis.devices.iter().filter(|d| d.energy.method == Method::Estimate));
        notes.push(format!(
            "~: wholly or partly an estimate, not a measurement ({ids}: utilization times an assumed power)"
        ));
    }
    if !analysis.phases.is_empty() {
        let times = if tops_overlap(analysis) {
            " in energy; ranks were in different ones at once, so times do not"
        } else {
            ""
        };
        notes.push(format!(
            "a phase includes the phases inside it; the top ones and unattributed add up to the total{times}"
        ));
    }
    let inside = ids(analysis.devices.iter().filter(|d| !d.in_total));
    if !inside.is_empty() {
        notes.push(format!(
            "({inside}): already contained in another device, not added to the total"
        ));
    }
    notes.extend(idle(analysis));
    notes.extend(timing(analysis));
    notes.extend(calls(analysis));
    notes.extend(study(analysis));
    notes
}

/// Whether ranks were in different top phases at once.
fn tops_overlap(analysis: &Analysis) -> bool {
    let tops = analysis.phases.iter().filter(|p| p.depth == 0);
    let tops: f64 = tops.filter_map(|p| p.wall).map(|wall| wall.get()).sum();
    tops + analysis.unattributed.wall.get() > analysis.run.wall.get() + 1e-6
}

fn all_energies(analysis: &Analysis) -> Vec<&EnergyEstimate> {
    let of_devices = analysis.devices.iter().map(|d| &d.energy);
    let of_phases = analysis.phases.iter().map(|p| &p.energy);
    of_devices
        .chain(of_phases)
        .chain([&analysis.total, &analysis.unattributed.energy])
        .collect()
}

/// The sensors' own tolerance: common to all phases of a device, so it is told once.
fn scale(analysis: &Analysis) -> String {
    let mut groups: Vec<(String, Vec<&DeviceAnalysis>)> = Vec::new();
    for d in &analysis.devices {
        let (Some(joules), Some(scale)) = (d.energy.joules, d.energy.u95_scale) else {
            continue;
        };
        let percent = format::significant((scale / joules).abs() * 100.0, 2);
        if joules.get() != 0.0 {
            match groups.iter_mut().find(|(p, _)| *p == percent) {
                Some((_, members)) => members.push(d),
                None => groups.push((percent, vec![d])),
            }
        }
    }
    if groups.is_empty() {
        return String::new();
    }
    let parts = groups
        .iter()
        .map(|(percent, members)| format!("{percent} % for {}", ids(members.iter().copied())));
    let contradicted = |d: &&DeviceAnalysis| d.energy.contradiction.is_some_and(|joules| joules.get() > 0.0);
    let contradicted = ids(analysis.devices.iter().filter(contradicted));
    let but = if contradicted.is_empty() {
        String::new()
    } else {
        format!(", but for what the sensors of {contradicted} contradict each other by")
    };
    format!(
        "; on top of it the sensor's own tolerance, ± {}, the same for every phase, cancels when phases or runs of one device are \
         compared{but}",
        parts.collect::<Vec<_>>().join(", ")
    )
}

/// Where the net energies come from.
fn idle(analysis: &Analysis) -> Option<String> {
    let idle = analysis.idle.as_ref()?;
    let polling = idle.polling.as_deref().map_or(String::new(), |how| format!(" ({how})"));
    Some(format!(
        "net of idle: without what the devices drew in the {} before the command ran, polled as during the run, every {}{polling}",
        format::duration(idle.wall),
        format::duration(idle.interval)
    ))
}

/// What the measuring itself may have cost.
fn calls(analysis: &Analysis) -> Option<String> {
    let live: Vec<f64> = analysis.devices.iter().filter_map(|d| d.call_share).collect();
    let most = live.iter().copied().reduce(f64::max)?;
    let percent = |share: f64| format!("{} %", format::significant(100.0 * share, 2));
    Some(match live.len() {
        1 => format!("{} of the run was spent inside the sensor's calls", percent(most)),
        _ => format!(
            "{} of the run was spent inside the sensors' calls ({} for the slowest device)",
            percent(live.iter().sum()),
            percent(most)
        ),
    })
}

/// How the study's figures came about, each beside the exact one.
fn study(analysis: &Analysis) -> Vec<String> {
    let Some(study) = &analysis.study else {
        return Vec::new();
    };
    let device = study.device.as_deref().unwrap_or("no GPU");
    let rows = format!(
        "{}: {} of {} s from {device}, as wandb 0.12.9 took them",
        format::STUDY,
        counted(study.rows as u64, "row", "rows"),
        crate::model::study::Study::ROW_S
    );
    let figures = study
        .figures
        .iter()
        .map(|f| format!("{}: {}", f.name.replace('_', " "), f.method));
    std::iter::once(rows).chain(figures).collect()
}

/// What one reading of each sensor stands for.
fn timing(analysis: &Analysis) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&DeviceAnalysis>)> = Vec::new();
    for d in analysis.devices.iter().filter(|d| d.device.source != Source::Estimate) {
        let ms = |v: f64| format!("{} ms", format::significant(v, 3).trim_end_matches(".0"));
        let text = match (d.timing.update_period_ms, d.timing.window_ms) {
            (Some(update), Some(window)) => format!("a new reading every {}, the mean of {}", ms(update), ms(window)),
            (Some(update), None) => format!("a new reading every {}", ms(update)),
            (None, Some(window)) => format!("a reading is the mean of {}", ms(window)),
            (None, None) => continue,
        };
        let text = if d.origin == Some(PowerOrigin::Samples) {
            text + ", from the driver's own samples"
        } else {
            text
        };
        match groups.iter_mut().find(|(t, _)| *t == text) {
            Some((_, members)) => members.push(d),
            None => groups.push((text, vec![d])),
        }
    }
    groups
        .iter()
        .map(|(text, members)| format!("sensor of {}: {text}", ids(members.iter().copied())))
        .collect()
}

/// Warnings that no check beside them says already, each as its lines: what is wrong, and its hint.
pub fn other_warnings(analysis: &Analysis) -> Vec<Vec<String>> {
    let said = |warning: &&String| analysis.checks.iter().any(|check| check.detail == **warning);
    let others = analysis.warnings.iter().filter(|warning| !said(warning));
    others
        .map(|warning| warning.lines().map(format::printable).collect())
        .collect()
}

/// `gpu0, gpu1, cpu0`; four and more of one kind that follow on each other as `gpu0…gpu7`.
fn ids<'a>(devices: impl Iterator<Item = &'a DeviceAnalysis>) -> String {
    let all: Vec<&DeviceAnalysis> = devices.collect();
    let mut groups: Vec<Vec<&DeviceAnalysis>> = Vec::new();
    for d in all {
        match groups.last_mut() {
            Some(group) if follows(group[group.len() - 1], d) => group.push(d),
            _ => groups.push(vec![d]),
        }
    }
    let name = |d: &&DeviceAnalysis| format::printable(&d.device.id.0);
    let words = groups.iter().flat_map(|group| match group.as_slice() {
        [first, .., last] if group.len() > 3 => vec![format!("{}…{}", name(first), name(last))],
        few => few.iter().map(name).collect(),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Whether `next` is the one behind `last`, of the same kind.
fn follows(last: &DeviceAnalysis, next: &DeviceAnalysis) -> bool {
    let indices = last.device.index.zip(next.device.index);
    last.device.kind == next.device.kind && indices.is_some_and(|(last, next)| next == last + 1)
}
