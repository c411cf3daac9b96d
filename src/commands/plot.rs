//! `powerprof plot RUN.h5 -o OUT.svg`: power over time with the phases, and energy per phase.

use anyhow::bail;

use super::load::{self, Loaded};
use super::output::{self, Outcome};
use crate::cli::PlotArgs;
use crate::energy;
use crate::model::device::Device;
use crate::model::sample::PowerStream;
use crate::model::time::Timestamp;
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
            if !power.watts.is_empty() {
                all.push(series(device, &power, |t| t.plus_nanos(shift).seconds_since(origin)));
            }
        }
    }
    if loaded.nodes.iter().all(|node| node.recording.devices.is_empty()) {
        bail!("the recording holds no device\nhint: `powerprof doctor` says which sensors are here");
    }
    Ok(all)
}

/// One device's power readings, with the user's calibration as in every figure beside them; `seconds` places a time in the run.
fn series(device: &Device, power: &PowerStream, seconds: impl Fn(Timestamp) -> f64) -> PowerSeries {
    let readings = power.times.t.iter().zip(&power.watts);
    let known = readings.filter(|(_, watts)| watts.is_finite());
    let (t_s, watts) = known.map(|(&t, &watts)| (seconds(t), device.true_watts(watts))).unzip();
    PowerSeries {
        device: device.id.to_string(),
        t_s,
        watts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::{Calibration, DeviceKind, Source};
    use crate::model::units::Watts;
    use crate::report::fixture;

    #[test]
    fn the_curve_is_calibrated_as_the_figures_are() {
        let mut device = fixture::device("gpu0", DeviceKind::Gpu, Source::Nvml, "");
        let mut power = PowerStream::default();
        for (second, watts) in [(1, 100.0), (2, f64::NAN), (3, 170.0)] {
            power.times.push(Timestamp::from_nanos(second * 1_000_000_000), 0);
            power.watts.push(watts);
        }
        let drawn = |device: &Device| series(device, &power, |t| t.as_nanos() as f64 * 1e-9);
        assert_eq!(drawn(&device).watts, [100.0, 170.0]);
        device.calibration = Some(Calibration {
            gain: 0.75,
            offset: Watts(5.0),
        });
        let drawn = drawn(&device);
        assert_eq!((drawn.t_s, drawn.watts), (vec![1.0, 3.0], vec![95.0 / 0.75, 220.0]));
    }
}
