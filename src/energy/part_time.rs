//! What an A100 tells that looks at a quarter of the time: where it is locked to the steps, in short runs, and where nothing changes; and
//! counters of which nobody can tell then what they add up.

use super::laws::{analysed, gpu, recording};
use crate::model::analysis::{Analysis, EnergyEstimate};
use crate::model::device::{Device, SensorTiming};
use crate::model::marker::MarkerVerb::{self, Begin, End};
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Timestamp;

const MS: i64 = 1_000_000;
const PERIOD_MS: i64 = 100;
const BELIEVED_MS: i64 = 25;
const IDLE_MS: i64 = 1000;

/// Steps of two phases, ms and watts of each, their lengths scattering by so many ms to either side.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub steps: i64,
    pub phases: [(i64, f64); 2],
    pub scatter_ms: i64,
    pub idle_w: f64,
    pub noise_w: f64,
    pub window_ms: i64,
    /// What a calibration found of the counter.
    pub counter_kind: Option<&'static str>,
}

/// A run of a load, as a board recorded it.
pub(super) struct Recorded {
    pub power: PowerStream,
    pub lines: Vec<(f64, MarkerVerb, &'static str, u32)>,
    pub run_ms: i64,
    /// The load's energy in truth.
    pub joules: f64,
}

impl Load {
    fn length_ms(&self, step: i64, phase: usize) -> i64 {
        let scatter = (step * 7919 + phase as i64 * 31) % (2 * self.scatter_ms + 1) - self.scatter_ms;
        self.phases[phase].0 + scatter
    }
}

/// A board whose readings end `at_ms` after each tenth of a second, and whose counter adds up those or all time.
pub(super) fn recorded(load: &Load, at_ms: i64, adds_up_readings: bool) -> Recorded {
    recorded_by(7, load, at_ms, adds_up_readings)
}

/// The same, asked every `poll_ms`.
pub(super) fn recorded_by(poll_ms: usize, load: &Load, at_ms: i64, adds_up_readings: bool) -> Recorded {
    let mut watts = vec![load.idle_w; 2 * IDLE_MS as usize];
    let mut lines = vec![(IDLE_MS as f64, Begin, "train", 0)];
    let mut now = IDLE_MS;
    for step in 0..load.steps {
        lines.push((now as f64, Begin, "step", 0));
        for (phase, name) in ["forward", "optimizer"].into_iter().enumerate() {
            let ms = load.length_ms(step, phase);
            lines.extend([(now as f64, Begin, name, 0), ((now + ms) as f64, End, name, 0)]);
            watts.extend((0..ms).map(|_| load.phases[phase].1));
            now += ms;
        }
        lines.push((now as f64, End, "step", 0));
    }
    lines.push((now as f64, End, "train", 0));
    watts.extend(vec![load.idle_w; 2 * IDLE_MS as usize]);
    let mut joules = vec![0.0];
    joules.extend(watts.iter().scan(0.0, |sum, watts| {
        *sum += watts * 1e-3;
        Some(*sum)
    }));
    let before = |ms: i64| load.idle_w * (ms + IDLE_MS).min(0) as f64 * 1e-3;
    let to = |ms: i64| before(ms) + joules[(ms + IDLE_MS).max(0) as usize];
    let reading = |tick: i64| {
        let end = tick * PERIOD_MS + at_ms;
        let noise = load.noise_w / 6.0 * ((tick * 7919).rem_euclid(13) - 6) as f64;
        (to(end) - to(end - load.window_ms)) / (load.window_ms as f64 * 1e-3) + noise
    };
    let (mut power, mut times) = (PowerStream::default(), Times::default());
    power.counter_unit_joules = 1e-3;
    let run_ms = now + IDLE_MS;
    for ms in (-300..run_ms + 300).step_by(poll_ms) {
        let tick = (ms - at_ms).div_euclid(PERIOD_MS);
        times.push(Timestamp::from_nanos(ms * MS), 10_000);
        power.watts.push(reading(tick));
        let counted: f64 = if adds_up_readings {
            (-3..=tick).map(|k| reading(k) * PERIOD_MS as f64 * 1e-3).sum()
        } else {
            to(tick * PERIOD_MS + at_ms)
        };
        power.counter.push(Some(((1000.0 + counted) * 1e3) as u64));
    }
    power.times = times;
    Recorded {
        power,
        lines,
        run_ms,
        joules: to(now) - to(IDLE_MS),
    }
}

/// Such a board, of which `load` says what is known of its counter, and an A100's window is believed.
pub(super) fn board(n: u32, load: &Load) -> Device {
    let kind = load
        .counter_kind
        .map(|kind| ("counter_kind".to_owned(), kind.to_owned()));
    Device {
        properties: kind.into_iter().collect(),
        power_timing: SensorTiming {
            update_period_ms: Some(PERIOD_MS as f64),
            window_ms: Some(BELIEVED_MS as f64),
            delay_ms: None,
        },
        ..gpu(n)
    }
}

/// What is said of the run of one board; and the load's energy in truth.
fn observed(load: &Load, at_ms: i64, adds_up_readings: bool) -> (Analysis, f64) {
    observed_with(BELIEVED_MS, load, at_ms, adds_up_readings)
}

/// The same of a board of which another window is believed.
fn observed_with(believed_ms: i64, load: &Load, at_ms: i64, adds_up_readings: bool) -> (Analysis, f64) {
    let run = recorded(load, at_ms, adds_up_readings);
    let mut device = board(0, load);
    device.power_timing.window_ms = Some(believed_ms as f64);
    let recording = recording(vec![device], run.run_ms, &run.lines);
    (analysed(&recording, run.power), run.joules)
}

fn energy<'a>(analysis: &'a Analysis, path: &str) -> &'a EnergyEstimate {
    let found = analysis.phases.iter().find(|phase| phase.path == path);
    &found.expect("a phase of the load").energy
}

/// 40 ms at 320 W and 60 ms at 120 W in each tenth of a second: readings that see 12 and 13 ms of them say 216 W, and it is 200.
pub(super) const LOCKED: Load = Load {
    steps: 100,
    phases: [(40, 320.0), (60, 120.0)],
    scatter_ms: 0,
    idle_w: 60.0,
    noise_w: 0.6,
    window_ms: BELIEVED_MS,
    counter_kind: None,
};

/// Windows of 60 ms, where 25 are believed.
pub(super) const SIXTY: Load = Load {
    steps: 250,
    phases: [(17, 330.0), (26, 150.0)],
    scatter_ms: 5,
    window_ms: 60,
    ..LOCKED
};

#[test]
fn a_counter_that_says_what_a_locked_sensor_says_has_bounds() {
    let (analysis, truth) = observed(&LOCKED, 53, true);
    for energy in [&analysis.total, energy(&analysis, "train")] {
        assert_eq!(energy.joules, None, "{energy:?}");
        assert!(
            energy.upper_bound.is_some_and(|bound| bound.get() > truth),
            "{energy:?} of {truth} J"
        );
    }
}

#[test]
fn a_counter_that_is_known_to_add_up_all_time_keeps_the_total_beside_a_locked_sensor() {
    let of = |kind: Option<&'static str>| {
        let load = Load {
            counter_kind: kind,
            ..LOCKED
        };
        let (analysis, truth) = observed(&load, 53, false);
        (*energy(&analysis, "train"), truth)
    };
    let (train, truth) = of(Some("continuous"));
    let (joules, u95) = (train.joules.expect("a value").get(), train.u95.expect("known").get());
    assert!(
        (joules - truth).abs() < u95 && u95 < 0.01 * truth,
        "{joules} ± {u95} J of {truth}"
    );
    // That it says something else than the readings does not tell: it may have looked at another part of the steps.
    assert_eq!(of(None).0.joules, None);
}

#[test]
fn steps_that_fill_their_phase_are_no_surer_than_it() {
    let short = Load {
        steps: 80,
        phases: [(17, 330.0), (26, 150.0)],
        scatter_ms: 5,
        ..LOCKED
    };
    let (analysis, truth) = observed(&short, 0, true);
    let [train, step] = ["train", "train/step"].map(|path| {
        let energy = energy(&analysis, path);
        (energy.joules.expect("a value").get(), energy.u95.expect("known").get())
    });
    assert!((step.0 - truth).abs() < step.1, "{step:?} of {truth} J");
    assert!(step.1 > 0.9 * train.1, "{step:?}, and train {train:?}");
}

#[test]
fn a_counter_beside_readings_that_see_less_than_was_believed_is_as_sure_as_with_the_right_belief() {
    let load = Load {
        steps: 230,
        phases: [(17, 330.0), (26, 150.0)],
        scatter_ms: 5,
        ..LOCKED
    };
    let train = |believed_ms: i64| {
        let (analysis, joules) = observed_with(believed_ms, &load, 0, true);
        let train = energy(&analysis, "train");
        let off = train.joules.expect("a value").get() - joules;
        (off.abs(), train.u95.expect("known").get())
    };
    let [(_, known), (off, u95)] = [BELIEVED_MS, PERIOD_MS].map(train);
    assert!(
        off < u95 && (0.5 * known..2.0 * known).contains(&u95),
        "off by {off} J, said to {u95}, and {known} with the right belief"
    );
}

#[test]
fn windows_as_long_as_a_step_tell_nothing_inside_it_and_the_report_says_why() {
    let of = |window_ms: i64| {
        let load = Load {
            steps: 250,
            phases: [(23, 330.0), (34, 150.0)],
            window_ms,
            ..LOCKED
        };
        let (analysis, joules) = observed_with(window_ms, &load, 0, true);
        let why = |detail: &str| detail.contains("is the mean over whole steps");
        (analysis.checks.iter().any(|check| why(&check.detail)), analysis, joules)
    };
    let (why, analysis, joules) = of(57);
    assert!(why, "{:?}", analysis.checks);
    let inside = ["train/step/forward", "train/step/optimizer"].map(|path| energy(&analysis, path).joules);
    assert_eq!(inside, [None, None]);
    let train = energy(&analysis, "train");
    let said = train.joules.expect("a value").get();
    assert!((said / joules - 1.0).abs() < 0.005, "{said} of {joules} J");
    assert!(!of(47).0, "a sixth of a step is left to tell");
}

#[test]
fn readings_that_never_change_are_no_riddle() {
    let constant = Load {
        phases: [(40, 200.0), (57, 200.0)],
        idle_w: 200.0,
        noise_w: 0.0,
        ..LOCKED
    };
    let (analysis, truth) = observed(&constant, 0, false);
    let unexplained = |detail: &str| detail.contains("no window and delay");
    assert!(
        !analysis.checks.iter().any(|check| unexplained(&check.detail)),
        "{:?}",
        analysis.checks
    );
    let train = energy(&analysis, "train");
    assert!(
        train
            .joules
            .is_some_and(|joules| (joules.get() / truth - 1.0).abs() < 0.01)
    );
}

/// A window of 60 ms where 25 are believed: with a hundred readings and more it is found, of 50 most is what was believed.
#[test]
fn what_is_unusual_needs_many_readings_and_not_many_phases_alone() {
    let window_of = |steps: i64| {
        let (analysis, _) = observed(&Load { steps, ..SIXTY }, 0, false);
        analysis.devices[0].timing.window_ms.expect("a window")
    };
    assert!((window_of(250) - 60.0).abs() < 2.0, "{}", window_of(250));
    assert!(window_of(70) < 35.0, "{}", window_of(70));
}

/// The same sixty, of a board whose window was measured as 25: they are not looked for.
#[test]
fn a_measured_window_is_looked_for_nowhere_else() {
    let run = recorded(&SIXTY, 0, false);
    let mut device = board(0, &SIXTY);
    device.properties.insert("power_window_u95_ms".into(), "1".into());
    let analysis = analysed(&recording(vec![device], run.run_ms, &run.lines), run.power);
    let window = analysis.devices[0].timing.window_ms.expect("a window");
    assert!(window < 35.0, "{window} ms");
}
