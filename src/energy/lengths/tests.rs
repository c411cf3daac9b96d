//! A board whose windows are as long as its period, with ticks that jitter: what its counter adds up, and what the total is worth.

use super::{Gaps, of};
use crate::energy::laws::{analysed_with, gpu, recording};
use crate::energy::{Estimator, Options};
use crate::model::device::{Device, SensorTiming};
use crate::model::marker::MarkerVerb::{Begin, End};
use crate::model::sample::{PowerStream, Times};
use crate::model::time::Timestamp;

const PERIOD_MS: f64 = 100.0;
const JITTER_MS: f64 = 2.5;
const RUN_MS: i64 = 30_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Counter {
    AllTime,
    /// Each reading times the time since the one before, or times the period that is written on the board.
    Readings,
    Periods,
}

/// Numbers between 0 and 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }

    /// With a mean of 0 and a standard deviation of 1, nearly normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

/// Energy up to each millisecond from 1 s before the run, J: phases at two powers, the longest six times as long as the shortest, and 60 W for half a second at its ends.
fn load(random: &mut Random, [low_w, high_w]: [f64; 2], longest_ms: f64) -> Vec<f64> {
    let (mut joules, mut is_high) = (vec![0.0], false);
    while joules.len() < RUN_MS as usize + 2000 {
        is_high = !is_high;
        let is_idle = joules.len() < 1500 || joules.len() > RUN_MS as usize + 500;
        let watts = match (is_idle, is_high) {
            (true, _) => 60.0,
            (false, true) => high_w,
            (false, false) => low_w,
        };
        for _ in 0..(longest_ms * (1.0 + 5.0 * random.next()) / 6.0) as usize {
            joules.push(joules[joules.len() - 1] + watts * 1e-3);
        }
    }
    joules
}

fn observed(counter: Counter, jitter_ms: f64, seed: u64) -> (PowerStream, f64) {
    observed_at(([110.0, 310.0], 30.0), counter, jitter_ms, seed)
}

/// What polls about every 6 ms see of it, and its energy in the run.
fn observed_at(
    (powers_w, longest_ms): ([f64; 2], f64),
    counter: Counter,
    jitter_ms: f64,
    seed: u64,
) -> (PowerStream, f64) {
    let mut random = Random(seed);
    let joules = load(&mut random, powers_w, longest_ms);
    let to = |ms: f64| {
        let at = ms + 1000.0;
        let whole = at as usize;
        joules[whole] + (at - whole as f64) * (joules[whole + 1] - joules[whole])
    };
    let mut ticks: Vec<(f64, f64, f64)> = Vec::new();
    for k in -5..(RUN_MS / 100 + 5) {
        let tick = PERIOD_MS * k as f64 + 13.0 + jitter_ms * random.normal();
        let reading = (to(tick) - to(tick - PERIOD_MS)) / (PERIOD_MS * 1e-3);
        let before = ticks.last().copied();
        let counted = match (before, counter) {
            (_, Counter::AllTime) | (None, _) => to(tick),
            (Some((at, _, counted)), Counter::Readings) => counted + reading * (tick - at) * 1e-3,
            (Some((_, _, counted)), Counter::Periods) => counted + reading * PERIOD_MS * 1e-3,
        };
        ticks.push((tick, reading, counted));
    }
    let (mut power, mut times) = (PowerStream::default(), Times::default());
    power.counter_unit_joules = 1e-3;
    let mut at = -300.0;
    while at < RUN_MS as f64 + 300.0 {
        at += 3.0 + 6.0 * random.next();
        let (_, reading, counted) = ticks[ticks.partition_point(|tick| tick.0 <= at) - 1];
        times.push(Timestamp::from_nanos((at * 1e6) as i64), 10_000);
        power.watts.push((reading * 1e3).round() * 1e-3);
        power.counter.push(Some((counted * 1e3) as u64));
    }
    power.times = times;
    (power, to(RUN_MS as f64) - to(0.0))
}

fn device() -> Device {
    Device {
        power_timing: SensorTiming {
            update_period_ms: Some(PERIOD_MS),
            window_ms: Some(PERIOD_MS),
            delay_ms: None,
        },
        ..gpu(0)
    }
}

fn told(power: &PowerStream) -> (bool, Option<Gaps>) {
    of(&device(), power, [PERIOD_MS * 1e-3; 2])
}

#[test]
fn lengths_that_wander_off_the_ticks_are_those_of_a_counter_of_all_time() {
    for seed in 1..6 {
        assert_eq!(
            told(&observed(Counter::AllTime, JITTER_MS, seed).0),
            (true, None),
            "{seed}"
        );
    }
}

#[test]
fn lengths_that_follow_the_ticks_or_are_all_the_same_may_be_those_of_readings() {
    for seed in 1..6 {
        for counter in [Counter::Readings, Counter::Periods] {
            let (adds_up_all_time, gaps) = told(&observed(counter, JITTER_MS, seed).0);
            let gap_ms = 1e3 * gaps.expect("gaps").each_s2.sqrt();
            let expected = JITTER_MS * 2.0_f64.sqrt();
            assert!(!adds_up_all_time, "{counter:?} {seed}");
            assert!((gap_ms / expected - 1.0).abs() < 0.3, "{counter:?} {seed}: {gap_ms}");
        }
    }
}

/// A board of 100.3 ms whose counter multiplies with 100.
#[test]
fn a_period_that_is_not_the_sensors_is_a_share_of_the_energy() {
    let (mut power, _) = observed(Counter::Periods, JITTER_MS, 1);
    let mut times = Times::default();
    let slower = |t: &Timestamp| Timestamp::from_nanos((t.as_nanos() as f64 * 1.003) as i64);
    power.times.t.iter().for_each(|t| times.push(slower(t), 10_000));
    power.times = times;
    let drift = told(&power).1.expect("gaps").drift;
    assert!((drift - 0.003).abs() < 5e-4, "{drift}");
}

/// Over long phases the reading before is most often the same, and its lengths wander: those of all readings about have to.
#[test]
fn the_lengths_that_scatter_least_need_not_be_the_right_ones() {
    for seed in 1..11 {
        let (power, _) = observed_at(([200.0, 208.0], 1000.0), Counter::Readings, JITTER_MS, seed);
        assert!(!told(&power).0, "{seed}");
    }
}

#[test]
fn without_jitter_nothing_is_told_and_nothing_doubted() {
    for counter in [Counter::AllTime, Counter::Readings] {
        let (adds_up_all_time, gaps) = told(&observed(counter, 0.0, 1).0);
        let variance = gaps.expect("gaps").variance(0.1, 100.0);
        assert!(!adds_up_all_time && variance < 1e-3, "{counter:?}: {variance} J^2");
    }
}

#[test]
fn polls_as_slow_as_the_sensor_tell_nothing() {
    let (mut power, _) = observed(Counter::AllTime, JITTER_MS, 1);
    let kept = |i: &usize| i.is_multiple_of(15);
    let polls = 0..power.watts.len();
    power.watts = polls.clone().filter(kept).map(|i| power.watts[i]).collect();
    power.counter = polls.clone().filter(kept).map(|i| power.counter[i]).collect();
    let mut times = Times::default();
    polls.filter(kept).for_each(|i| times.push(power.times.t[i], 10_000));
    power.times = times;
    assert_eq!(told(&power), (false, None));
}

/// Of 30 s, one that the sensor did not answer in; or that nobody asked in.
#[test]
fn an_update_that_did_not_come_leaves_a_window_unseen_and_a_poll_that_did_not_does_not() {
    let (power, _) = observed(Counter::Readings, JITTER_MS, 1);
    let is_in = |t: &Timestamp| (10_000..11_000).contains(&(t.as_nanos() / 1_000_000));
    let at = power
        .times
        .t
        .partition_point(|t| !is_in(t) && t.as_nanos() < 10_000_000_000);
    let mut silent = power.clone();
    for i in (0..power.watts.len()).filter(|&i| is_in(&power.times.t[i])) {
        (silent.watts[i], silent.counter[i]) = (power.watts[at], power.counter[at]);
    }
    let mut unasked = power.clone();
    let kept = |i: &usize| !is_in(&power.times.t[*i]);
    unasked.watts = (0..power.watts.len()).filter(kept).map(|i| power.watts[i]).collect();
    unasked.counter = (0..power.watts.len()).filter(kept).map(|i| power.counter[i]).collect();
    let mut times = Times::default();
    (0..power.watts.len())
        .filter(kept)
        .for_each(|i| times.push(power.times.t[i], 10_000));
    unasked.times = times;
    let missed = |power: &PowerStream| told(power).1.expect("gaps").missed;
    assert!((missed(&silent) - 9.0 / 300.0).abs() < 5e-3, "{}", missed(&silent));
    assert_eq!((missed(&power), missed(&unasked)), (0.0, 0.0));
    let gaps = Gaps {
        each_s2: 1e-6,
        missed: 0.03,
        step_w2: 400.0,
        period_s: 0.1,
        drift: 0.0,
    };
    assert!((gaps.variance(0.1, 100.0) - (0.01 + 0.12)).abs() < 1e-9);
}

/// A total by a counter of readings is no surer than what their gaps can have held; one by a counter of all time is.
#[test]
fn totals_are_as_sure_as_what_the_counter_adds_up() {
    let options = Options {
        estimator: Estimator::Interval,
    };
    for seed in 1..6 {
        let u95 = [Counter::AllTime, Counter::Readings, Counter::Periods].map(|counter| {
            let (power, truth) = observed(counter, JITTER_MS, seed);
            let lines = [(0.0, Begin, "train", 0), (RUN_MS as f64, End, "train", 0)];
            let total = analysed_with(&recording(vec![device()], RUN_MS, &lines), power, &options).total;
            let (joules, u95) = (total.joules.expect("a value").get(), total.u95.expect("known").get());
            let off = (joules - truth).abs();
            assert!(off < u95, "{counter:?} {seed}: {joules} ± {u95} J of {truth}");
            u95
        });
        // The ends of the run are worth 6 J, and 300 gaps of 3.5 ms, at a power of anything up to 400 W, 13 J.
        assert!(
            u95[0] < 8.0 && u95[1..].iter().all(|u95| (11.0..20.0).contains(u95)),
            "{u95:?}"
        );
    }
}

/// Phases of 10 to 60 ms, marked: no window tells the two counters apart, so that a report must not say which it is where lengths do not.
#[test]
fn what_a_counter_is_called_is_what_was_seen_of_it() {
    const LOAD: ([f64; 2], f64) = ([110.0, 310.0], 60.0);
    let joules = load(&mut Random(3), LOAD.0, LOAD.1);
    let is_high = |ms: usize| joules[ms + 1001] - joules[ms + 1000] > 0.2;
    let mut lines = Vec::new();
    for ms in 500..RUN_MS as usize - 500 {
        let names = [is_high(ms - 1), is_high(ms)].map(|high| if high { "high" } else { "low" });
        let is_first = ms == 500;
        if !is_first && names[0] != names[1] {
            lines.push((ms as f64, End, names[0], 0));
        }
        if is_first || names[0] != names[1] {
            lines.push((ms as f64, Begin, names[1], 0));
        }
    }
    for (counter, kind) in [(Counter::AllTime, "continuous"), (Counter::Readings, "unknown")] {
        let (power, _) = observed_at(LOAD, counter, JITTER_MS, 3);
        let analysis = analysed_with(&recording(vec![device()], RUN_MS, &lines), power, &Options::default());
        let sensor = analysis.devices[0].found.as_ref().expect("a model");
        assert_eq!(sensor.counter_kind, kind, "{counter:?} {:?}", analysis.checks);
        let check = analysis.checks.iter().find(|check| check.name.starts_with("sensor:"));
        let is_sure = check.is_some_and(|check| check.detail.ends_with("the counter adds up all time"));
        assert_eq!(is_sure, counter == Counter::AllTime, "{check:?}");
    }
}
