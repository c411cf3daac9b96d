//! Do the 95 % intervals hold the truth? Simulated training, many sensors, many seeds: writes Markdown tables.
//!
//! `cargo bench --bench coverage -- [--seeds N] [--from SEED] [--only WORD] [--show] [--out PATH]`. Cases are named grid, B (power alone), C (with a
//! counter), D (loads and sensors of other kinds), E (drawn at random), F (the grid's sensors, power that ramps over a millisecond or less);
//! `--only` takes part of a name.

mod cases;
mod drawn;
mod simulator;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Instant;

use powerprof::energy::{Options, analyze, spans};
use powerprof::model::analysis::{Analysis, EnergyEstimate};

use cases::{Case, cases};
use simulator::{World, simulate};

fn analysed(world: &World) -> Analysis {
    let recording = &world.recording;
    let spans = spans(&recording.markers, recording.interval());
    let ids = recording.devices.iter().map(|device| &device.id);
    let streams: BTreeMap<_, _> = ids.zip(&world.streams).collect();
    analyze(recording, &spans, &Options::default(), |device| {
        Ok::<_, Infallible>(streams[&device.id].clone())
    })
    .expect("infallible")
}

/// Whether what is said of an energy is true.
fn holds(energy: &EnergyEstimate, truth: f64) -> bool {
    match (energy.joules, energy.u95, energy.upper_bound) {
        (Some(value), Some(u95), _) => (value.get() - truth).abs() <= u95.get(),
        (_, _, Some(bound)) => bound.get() >= truth,
        _ => true,
    }
}

/// What happened to one path over all seeds.
#[derive(Default)]
struct Score {
    resolved: usize,
    covered: usize,
    bounded: usize,
    unresolved: usize,
    errors: Vec<f64>,
    half: Vec<f64>,
}

impl Score {
    fn add(&mut self, energy: &EnergyEstimate, truth: f64) {
        match (energy.joules, energy.u95, energy.upper_bound) {
            (Some(value), Some(u95), _) => {
                self.resolved += 1;
                self.covered += usize::from(holds(energy, truth));
                self.errors.push(value.get() / truth - 1.0);
                self.half.push(u95.get() / truth);
            }
            (_, _, Some(_)) => {
                self.unresolved += 1;
                self.bounded += usize::from(holds(energy, truth));
            }
            _ => self.unresolved += 1,
        }
    }

    /// Root mean square error, mean error, mean half-width, all in per cent.
    fn errors(&self) -> Option<(f64, f64, f64)> {
        let n = self.errors.len() as f64;
        let mean = |of: &dyn Fn(f64) -> f64, values: &[f64]| values.iter().map(|&v| of(v)).sum::<f64>() / n;
        (self.resolved > 0).then(|| {
            (
                100.0 * mean(&|e| e * e, &self.errors).sqrt(),
                100.0 * mean(&|e| e, &self.errors),
                100.0 * mean(&|h| h, &self.half),
            )
        })
    }
}

/// One case over all seeds.
struct Outcome {
    scores: BTreeMap<String, Score>,
    windows: Vec<f64>,
}

fn observe(case: &Case, from: u64, seeds: u64, show: bool) -> Outcome {
    let mut outcome = Outcome {
        scores: BTreeMap::new(),
        windows: Vec::new(),
    };
    for seed in from..from + seeds {
        let own = case.drawn.then(|| drawn::case(&case.name, seed));
        let world = simulate(own.as_ref().unwrap_or(case), seed);
        let analysis = analysed(&world);
        outcome.windows.extend(analysis.devices[0].timing.window_ms);
        if seed == from && show {
            for check in &analysis.checks {
                eprintln!("{:?} {}: {}", check.status, check.name, check.detail);
            }
        }
        let phases = analysis
            .phases
            .iter()
            .map(|p| (p.path.as_str(), &p.energy, world.truth[&p.path]));
        for (path, energy, truth) in phases.chain([("total", &analysis.total, world.total)]) {
            if show && !holds(energy, truth) {
                eprintln!("seed {seed}, {path}: {truth:.2} J in truth, said {energy:?}, {own:?}");
            }
            outcome.scores.entry(path.to_owned()).or_default().add(energy, truth);
        }
    }
    outcome.windows.sort_by(f64::total_cmp);
    outcome
}

/// Decimals that show two digits of a figure, and no less than two decimals.
fn digits(figure: f64) -> usize {
    let small = -figure.max(1e-6).log10().floor();
    (small.max(0.0) as usize + 1).max(2)
}

const HEAD: &str = "| case | window found, ms (all seeds within) | intervals | cover % | worst bias / half-width | bounds held |\n|---|---|---|---|---|---|\n";
const DETAIL: &str = "| case | phase | rms error % | mean error % | half-width % | intervals | cover % | bounds held |\n|---|---|---|---|---|---|---|---|\n";

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 {
        "".into()
    } else {
        format!("{:.1}", 100.0 * part as f64 / whole as f64)
    }
}

fn write(case: &Case, outcome: &Outcome, summary: &mut String, detail: &mut String) {
    let mut all = Score::default();
    let mut worst = None;
    for (path, s) in &outcome.scores {
        all.resolved += s.resolved;
        all.covered += s.covered;
        all.unresolved += s.unresolved;
        all.bounded += s.bounded;
        let shown = s.errors().map_or("| |".into(), |(rms, mean, half)| {
            let digits = digits(rms);
            format!("{rms:.digits$} | {mean:+.digits$} | {half:.digits$}")
        });
        let _ = writeln!(
            detail,
            "| {} | {path} | {shown} | {} | {} | {}/{} |",
            case.name,
            s.resolved,
            percent(s.covered, s.resolved),
            s.bounded,
            s.unresolved
        );
        // A handful that passed for resolved by chance says nothing of a bias.
        if let Some((_, mean, half)) = s.errors().filter(|_| s.resolved > s.unresolved) {
            worst = Some(f64::max(worst.unwrap_or(0.0), mean.abs() / half));
        }
    }
    let w = &outcome.windows;
    let window = match (w.first(), w.last()) {
        (Some(low), Some(high)) => format!("{:.1} ({low:.1} to {high:.1})", w[w.len() / 2]),
        _ => String::new(),
    };
    let _ = writeln!(
        summary,
        "| {} | {window} | {} | **{}** | {} | {}/{} |",
        case.name,
        all.resolved,
        percent(all.covered, all.resolved),
        worst.map_or(String::new(), |w| format!("{w:.2}")),
        all.bounded,
        all.unresolved
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |flag: &str| {
        let at = arguments.iter().position(|a| a == flag);
        at.and_then(|i| arguments.get(i + 1))
    };
    // `cargo test --all-targets` runs this too, without `--bench`: one case, to see that it still works.
    let real = arguments.iter().any(|a| a == "--bench" || a == "--seeds");
    let seeds = after("--seeds")
        .and_then(|s| s.parse().ok())
        .unwrap_or(if real { 100 } else { 2 });
    let only = after("--only").cloned().unwrap_or(if real {
        String::new()
    } else {
        "grid 20/10, counter none".into()
    });
    let from = after("--from").and_then(|s| s.parse().ok()).unwrap_or(0);
    let show = arguments.iter().any(|a| a == "--show");
    let (mut summary, mut detail) = (String::from(HEAD), String::from(DETAIL));
    for case in cases().iter().filter(|c| c.name.contains(&only)) {
        let begun = Instant::now();
        let outcome = observe(case, from, seeds, show);
        write(case, &outcome, &mut summary, &mut detail);
        eprintln!("{}: {:.1} s", case.name, begun.elapsed().as_secs_f64());
    }
    let text = format!("{seeds} seeds\n\n{summary}\n{detail}");
    match after("--out") {
        Some(path) => std::fs::write(path, text).expect("the tables can be written"),
        None => println!("{text}"),
    }
}
