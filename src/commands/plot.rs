//! `powerprof plot RUN.h5 -o OUT.svg`: power over time with the phases, and energy per phase.

use anyhow::bail;

use super::load::{self, Loaded};
use super::output::{self, Outcome};
use crate::cli::PlotArgs;
use crate::energy;
use crate::report::plot::{self, PlotInput, PowerSeries};

pub fn run(args: &PlotArgs) -> Outcome {
    let kind = args
        .output
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if kind != "svg" && kind != "png" {
        let error = anyhow::anyhow!(
            "-o {}: not a kind of picture\nhint: end the name in .svg or .png",
            args.output.display()
        );
        return Err(error.into());
    }
    let loaded = load::load_run(&args.recordings)?;
    let power = power_series(&loaded)?;
    let input = input(&loaded, &power);
    let data = if kind == "svg" {
        plot::svg(&input)?.into_bytes()
    } else {
        plot::png(&input)?
    };
    output::deliver(&data, Some(&args.output), args.force)?;
    Ok(0)
}

/// What the pictures are drawn from.
pub fn input<'a>(loaded: &'a Loaded, power: &'a [PowerSeries]) -> PlotInput<'a> {
    PlotInput {
        analysis: &loaded.analysis,
        spans: &loaded.spans,
        power,
    }
}

/// The power of every device over the run, in seconds from its start.
pub fn power_series(loaded: &Loaded) -> anyhow::Result<Vec<PowerSeries>> {
    let origin = loaded.analysis.run.started;
    let mut all = Vec::new();
    let first = &loaded.nodes[0].recording;
    for node in &loaded.nodes {
        let shift = energy::shift(first, &node.recording);
        for device in &node.recording.devices {
            let power = node.streams(device)?.power;
            let readings = power.times.t.iter().zip(&power.watts);
            let known = readings.filter(|(_, watts)| watts.is_finite());
            let (t_s, watts): (Vec<f64>, Vec<f64>) = known
                .map(|(t, watts)| (t.plus_nanos(shift).seconds_since(origin), *watts))
                .unzip();
            if !power.watts.is_empty() {
                all.push(PowerSeries {
                    device: device.id.to_string(),
                    t_s,
                    watts,
                });
            }
        }
    }
    if loaded.nodes.iter().all(|node| node.recording.devices.is_empty()) {
        bail!("the recording holds no device\nhint: `powerprof doctor` says which sensors are here");
    }
    Ok(all)
}
