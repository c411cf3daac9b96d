//! Sensors and loads that are simulated.

/// A phase of a step: name, milliseconds, watts.
pub type PhaseSpec = (&'static str, f64, f64);

pub const PHASES: [PhaseSpec; 6] = [
    ("data", 3.0, 90.0),
    ("h2d", 0.8, 110.0),
    ("forward", 9.0, 330.0),
    ("backward", 17.0, 380.0),
    ("optimizer", 2.2, 210.0),
    ("log", 0.3, 100.0),
];

const SECONDS: [PhaseSpec; 4] = [
    ("data", 300.0, 90.0),
    ("forward", 900.0, 330.0),
    ("backward", 1700.0, 380.0),
    ("log", 4.0, 100.0),
];

/// A sensor and a load. Times in ms.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub steps: usize,
    pub phases: Vec<PhaseSpec>,
    /// Power at a phase's beginning and end against its mean: 0.3 is from -30 % to +30 %.
    pub slope: f64,
    /// Time of the step that no phase has: mean of an exponential distribution, ms, at idle power.
    pub gaps: f64,
    /// Every second step or so takes this many times longer.
    pub long_steps: f64,
    /// After so many steps a phase of a second.
    pub validate_every: usize,
    /// The last phase runs from this step on only.
    pub late_from: usize,
    /// Relative scatter of durations and of watts.
    pub duration_scatter: f64,
    pub power_scatter: f64,
    pub ramp: f64,
    /// Time constant of exponential ramps.
    pub settling: f64,
    pub period: f64,
    pub window: f64,
    /// What the board's name makes expect.
    pub believed_window: Option<f64>,
    /// The sensor is a low pass of half the window's time constant.
    pub low_pass: bool,
    pub power: bool,
    pub counter: Option<f64>,
    pub counter_step_j: f64,
    pub counter_sampled: bool,
    pub tick_jitter: f64,
    /// The sensor's clock wanders to and fro by so much in a minute, ms.
    pub wander: f64,
    pub delay: (f64, f64),
    pub noise_w: f64,
    pub poll: f64,
    /// All other properties are drawn anew for each seed.
    pub drawn: bool,
    /// As many ranks, each with its own load on a device of its own.
    pub ranks: usize,
    /// Polls stand still for 2 s and for 0.5 s; the counter starts again from nothing in the first of these.
    pub stalls: bool,
}

impl Case {
    pub fn ideal(period: f64, window: f64, counter: Option<f64>) -> Self {
        let counter_name = counter.map_or("none".into(), |c| format!("{c}"));
        Self {
            name: format!("grid {period}/{window}, counter {counter_name}"),
            steps: 4000,
            phases: PHASES.to_vec(),
            slope: 0.0,
            gaps: 0.0,
            long_steps: 1.0,
            validate_every: usize::MAX,
            late_from: 0,
            duration_scatter: 0.04,
            power_scatter: 0.03,
            ramp: 0.0,
            settling: 0.0,
            period,
            window,
            believed_window: Some(window),
            low_pass: false,
            power: true,
            counter,
            counter_step_j: 1e-3,
            counter_sampled: false,
            tick_jitter: 0.3,
            wander: 0.0,
            delay: (1.0, 1.0),
            noise_w: 0.4,
            poll: 1.0,
            drawn: false,
            ranks: 1,
            stalls: false,
        }
    }
    pub fn named(mut self, what: &str, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self.name = format!("{}, {what}", self.name);
        self
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (period, window) in [(20.0, 10.0), (100.0, 25.0), (100.0, 100.0), (100.0, 1000.0)] {
        for counter in [None, Some(10.0), Some(20.0), Some(100.0)] {
            cases.push(Case::ideal(period, window, counter));
        }
    }
    for (counter, base) in [(None, "B"), (Some(100.0), "C")] {
        let plain = || Case {
            name: format!(
                "{base} 100/25, counter {}",
                counter.map_or("none".into(), |ms| format!("{ms}"))
            ),
            ..Case::ideal(100.0, 25.0, counter)
        };
        cases.push(plain().named("2 ms tick jitter", |c| c.tick_jitter = 2.0));
        cases.push(plain().named("delay 5-10 ms", |c| c.delay = (5.0, 10.0)));
        cases.push(plain().named("delay 8 ms", |c| c.delay = (8.0, 8.0)));
        cases.push(plain().named("2 ms ramps", |c| c.ramp = 2.0));
        cases.push(plain().named("8 % scatter", |c| (c.duration_scatter, c.power_scatter) = (0.08, 0.08)));
        cases.push(plain().named("10 ms polls", |c| c.poll = 10.0));
        if counter.is_some() {
            cases.push(plain().named("0.1 J counter", |c| c.counter_step_j = 0.1));
            cases.push(plain().named("sampled counter", |c| c.counter_sampled = true));
            cases.push(plain().named("counter only", |c| c.power = false));
        }
        type Change = fn(&mut Case);
        let defects: [(&str, Change); 5] = [
            ("jitter", |c| c.tick_jitter = 2.0),
            ("delay", |c| c.delay = (5.0, 10.0)),
            ("ramps", |c| c.ramp = 2.0),
            ("scatter", |c| (c.duration_scatter, c.power_scatter) = (0.08, 0.08)),
            ("coarse counter", |c| c.counter_step_j = 0.1),
        ];
        cases.push(plain().named("all together", |c| defects.iter().for_each(|(_, change)| change(c))));
        for (without, _) in &defects[..if counter.is_some() { 5 } else { 4 }] {
            let others = |c: &mut Case| {
                defects
                    .iter()
                    .filter(|d| d.0 != *without)
                    .for_each(|(_, change)| change(c))
            };
            cases.push(plain().named(&format!("all but {without}"), others));
        }
        cases.push(plain().named("stalls and a reset", |c| c.stalls = true));
        cases.push(plain().named("locked load", locked));
        cases.push(Case {
            name: format!(
                "{base} 100/100, step as long as the window, counter {}",
                counter.map_or("none", |_| "100")
            ),
            ..Case::ideal(100.0, 100.0, counter).named("", |c| {
                locked(c);
                c.duration_scatter = 0.01;
            })
        });
    }
    cases.extend(others());
    cases.extend(lagging());
    cases.push(Case {
        name: "E drawn at random".into(),
        drawn: true,
        ..Case::ideal(100.0, 25.0, None)
    });
    cases
}

/// A load whose step is exactly the sensor's period.
fn locked(case: &mut Case) {
    case.phases = vec![
        ("data", 20.0, 90.0),
        ("forward", 30.0, 330.0),
        ("backward", 50.0, 380.0),
    ];
    (case.duration_scatter, case.steps) = (0.0, 1200);
}

/// The grid's sensors under loads whose power takes a millisecond or less to follow: what their intervals are as wide as they are for.
fn lagging() -> Vec<Case> {
    let mut cases = Vec::new();
    for (period, window) in [(20.0, 10.0), (100.0, 25.0), (100.0, 100.0)] {
        for counter in [None, Some(10.0), Some(20.0), Some(100.0)] {
            for ramp in [0.7, 1.0] {
                let ideal = Case::ideal(period, window, counter);
                let case = Case {
                    name: ideal.name.replace("grid", "F"),
                    ..ideal
                };
                cases.push(case.named(&format!("ramps of {ramp} ms"), |c| c.ramp = ramp));
            }
        }
    }
    cases
}

/// Loads and sensors that the model was not made for.
fn others() -> Vec<Case> {
    let mut cases = Vec::new();
    for counter in [None, Some(100.0)] {
        let plain = || Case {
            name: format!(
                "D 100/25, counter {}",
                counter.map_or("none".into(), |ms| format!("{ms}"))
            ),
            ..Case::ideal(100.0, 25.0, counter)
        };
        cases.push(plain().named("low-pass sensor", |c| c.low_pass = true));
        cases.push(plain().named("delay 40 ms", |c| c.delay = (40.0, 40.0)));
        cases.push(plain().named("delay 60 ms", |c| c.delay = (60.0, 60.0)));
        cases.push(plain().named("delay 190 ms", |c| c.delay = (190.0, 190.0)));
        cases.push(plain().named("a window of 60 ms that nobody expects", |c| {
            (c.window, c.believed_window) = (60.0, Some(25.0));
        }));
        cases.push(plain().named("four ranks on four devices", |c| c.ranks = 4));
        cases.push(plain().named("exponential ramps of 1 ms", |c| c.settling = 1.0));
        cases.push(plain().named("sawtooth phases", |c| c.slope = 0.3));
        cases.push(plain().named("three phases", |c| {
            c.phases = vec![
                ("data", 12.0, 120.0),
                ("forward", 20.0, 330.0),
                ("backward", 41.0, 380.0),
            ];
        }));
        cases.push(plain().named("random gaps", |c| c.gaps = 4.0));
        cases.push(plain().named("two lengths of step", |c| c.long_steps = 1.6));
        cases.push(plain().named("validation every 500 steps", |c| c.validate_every = 500));
        cases.push(plain().named("a phase that comes late", |c| {
            c.phases.push(("checkpoint", 6.0, 150.0));
            c.late_from = 2500;
        }));
        cases.push(plain().named("50 steps", |c| c.steps = 50));
        cases.push(plain().named("polled twice a second", |c| c.poll = 500.0));
        cases.push(plain().named("polled once a second", |c| c.poll = 1000.0));
        cases.push(plain().named("polled once a second, steps of seconds", |c| {
            c.poll = 1000.0;
            c.phases = SECONDS.to_vec();
            c.steps = 100;
        }));
        cases.push(plain().named("a clock that wanders by 3 ms", |c| c.wander = 3.0));
        cases.push(plain().named("steps of seconds", |c| {
            c.phases = SECONDS.to_vec();
            c.steps = 60;
        }));
        cases.push(Case {
            name: format!("D 33/50, counter {}", counter.map_or("none", |_| "100")),
            ..Case::ideal(33.0, 50.0, counter)
        });
    }
    cases
}
