//! Cells where the model found the sensors' windows to lie, and made good by what it says they saw.

use crate::energy::blind;
use crate::energy::curve::{self, Curve, DELAY_SD_S, Sources, USUAL_DELAY_S};
use crate::energy::difference::Differences;
use crate::energy::interval::Split;
use crate::energy::late_ends;
use crate::energy::levels::Levels;
use crate::energy::noise;
use crate::energy::sensed::Sensed;
use crate::energy::sensor_model::{self, CounterKind, Found, Look, Model, Ramp, Symmetric};
use crate::energy::timeline::Timeline;
use crate::energy::uncertainty::K95;
use crate::model::analysis::Method;
use crate::model::device::{Device, SensorTiming};
use crate::model::time::{Interval, Timestamp};

/// Whether a delay was found more surely than it is believed of all boards, or far from that: then this is not such a board.
fn is_news(found: &Found, believed: SensorTiming) -> bool {
    const FAR: f64 = 3.0;
    let sd_ms = 1e3 * DELAY_SD_S;
    let off = (found.theta.delay - believed.delay_ms.unwrap_or(1e3 * USUAL_DELAY_S)).abs();
    found.delay_sd_ms < sd_ms || off > FAR * found.delay_sd_ms.hypot(sd_ms)
}

/// Whether the power's windows, as `found`, are clearly shorter than was believed.
fn sees_less(believed: SensorTiming, found: &Device) -> bool {
    const CLEARLY: f64 = 0.8;
    let windows = found.power_timing.window_ms.zip(believed.window_ms);
    windows.is_some_and(|(found, believed)| found < CLEARLY * believed)
}

/// The device with its sensors' windows where the model found them, where it knows that better than what is believed of all boards.
pub fn timed(device: &Device, model: Option<&Model>) -> Device {
    let Some(model) = model.filter(|model| model.is_told) else {
        return device.clone();
    };
    let news = |found: &Option<Found>, believed| found.filter(|found| is_news(found, believed));
    let power = news(&model.power, device.power_timing);
    let counter = news(&model.counter, device.counter_timing);
    // Of slow polls longer windows are found than there are; what a shorter one would not have seen is doubted.
    let believed_ms = device.power_timing.window_ms.unwrap_or(f64::INFINITY);
    let window_ms = |found: &Found| {
        let least = if found.is_blurred { believed_ms } else { f64::INFINITY };
        found.theta.window.min(least)
    };
    let timing = |found: Found| SensorTiming {
        update_period_ms: Some(found.period_ms),
        window_ms: Some(window_ms(&found)),
        delay_ms: Some(found.theta.delay),
    };
    Device {
        power_timing: power.map_or(device.power_timing, timing),
        counter_timing: SensorTiming {
            delay_ms: counter.map_or(device.counter_timing.delay_ms, |found| Some(found.theta.delay)),
            ..device.counter_timing
        },
        ..device.clone()
    }
}

/// The curve again, its cells where the model found the sensors' windows to lie, where it knows that better than what is believed
/// of all boards.
pub fn placed(
    (sensed, run): (&Sensed<'_>, Interval),
    (timeline, parents): (&Timeline, &[Option<usize>]),
    model: &Model,
) -> Option<Curve> {
    let device = timed(&sensed.device, Some(model));
    // A counter that adds up power readings says nothing that they do not, and says it later; unless slow polls missed some.
    let missed = model.power.is_some_and(|power| power.is_blurred);
    let counter_counts = model.kind != CounterKind::Sampled || model.counter.is_some() || missed;
    let sources = if counter_counts {
        Sources::All
    } else {
        Sources::PowerAlone
    };
    let mut curve = curve::build(&device, sensed, run, sources)?;
    blind::by_context(&mut curve, timeline, parents);
    let (found, believed) = if curve.method == Method::Counter {
        (&model.counter, sensed.device.counter_timing)
    } else {
        (&model.power, sensed.device.power_timing)
    };
    match found.as_ref().filter(|found| is_news(found, believed)) {
        Some(by) => {
            let was_measured = was_measured(&sensed.device, &curve);
            let lag_ms = if was_measured { model.ramp.most_ms() } else { 0.0 };
            curve.delay_sd_s = by.delay_sd_ms.hypot(lag_ms / K95) * 1e-3;
            curve.doubt_jitter(by.jitter_ms * 1e-3);
        }
        // Of the counter's cells no more is known than before; but that the readings beside it see less than was believed.
        None if curve.method == Method::Counter && sees_less(sensed.device.power_timing, &device) => {}
        None => return None,
    }
    Some(curve)
}

/// A delay that was measured takes no lag of the power with it: what lags is seen as if cells lay elsewhere.
fn was_measured(device: &Device, curve: &Curve) -> bool {
    curve.method == Method::Integral && sensor_model::delay_was_measured(device)
}

/// How far the power lags behind the markers where cells lie as if it did not: of a delay that was measured that is a doubt alone.
pub fn lag((device, curve): (&Device, &Curve), model: &Model) -> Ramp {
    if was_measured(device, curve) {
        Ramp {
            lag_ms: 0.0,
            sd_ms: model.ramp.most_ms() / K95,
        }
    } else {
        model.ramp
    }
}

/// The power's readings in the run and beside it, and where they looked.
pub fn looks((sensed, run): (&Sensed<'_>, Interval), model: &Model) -> Vec<Look> {
    let beside = (sensor_model::LONGEST_WINDOW_MS * 1e6) as i64;
    let at = |nanos: i64| Timestamp::from_nanos(nanos);
    let time = Interval::new(at(run.start.as_nanos() - beside), at(run.end.as_nanos() + beside));
    sensor_model::looks(model, sensed, time)
}

/// Doubt the curve's cells by the noise of their readings, where windows tile the time and others between overlap with them.
pub fn doubt_noise(
    (sensed, run): (&Sensed<'_>, Interval),
    timeline: &Timeline,
    (model, split): (&Model, &Split),
    curve: &mut Curve,
) {
    let is_long = |found: &Found| found.theta.window > 3.0 * found.period_ms;
    if curve.method != Method::Integral
        || curve.is_part_time()
        || !model.is_told
        || !model.power.as_ref().is_some_and(is_long)
    {
        return;
    }
    let watts = super::leaf_watts(split, curve, Some(model), &timeline.segments());
    let looks = sensor_model::looks(model, sensed, run);
    if let Some(variance) = noise::variance(timeline, &looks, &watts) {
        curve.doubt_noise(variance);
    }
}

/// Doubt where cells of a counter that adds up all time end, by how far their energies do not follow their lengths.
pub fn doubt_ends(timeline: &Timeline, (model, split): (&Model, &Split), curve: &mut Curve) {
    if curve.method != Method::Counter || model.kind != CounterKind::Continuous {
        return;
    }
    let segments = timeline.segments();
    let watts = super::leaf_watts(split, curve, Some(model), &segments);
    let levels = Levels::of_load(curve, timeline, &watts);
    let variance = late_ends::variance(curve, timeline, &watts, &levels);
    for end_s in curve.cells.iter_mut().filter(|c| c.known).flat_map(|c| &mut c.ends_s) {
        *end_s = end_s.hypot(variance.sqrt());
    }
}

/// Make the curve's part-time cells good by what the model says their windows saw; what that leaves to doubt in each figure for what the
/// leaves draw, J^2. `None` where no cell was.
pub fn made_good(
    (sensed, run): (&Sensed<'_>, Interval),
    (timeline, parents): (&Timeline, &[Option<usize>]),
    (model, split): (&Model, &Split),
    curve: &mut Curve,
) -> Option<Vec<f64>> {
    if !curve.is_part_time() || !model.is_told {
        return None;
    }
    let looks = sensor_model::looks(model, sensed, run);
    let windows: Vec<(i64, i64)> = looks.iter().map(|look| (look.start, look.end)).collect();
    let watts = super::leaf_watts(split, curve, Some(model), &timeline.segments());
    let differences = Differences::new(curve, timeline, &windows, &watts);
    let corrected = blind::by_model(curve, (timeline, parents), &differences.expected);
    if !corrected.contains(&true) {
        return None;
    }
    let (leaves, seconds) = (timeline.leaves, &split.seconds);
    let mut covariance = Symmetric::zero(leaves);
    for (i, a) in covariance.a.iter_mut().enumerate() {
        let (leaf, other) = (i / leaves, i % leaves);
        if seconds[leaf] > 0.0 && seconds[other] > 0.0 {
            *a = model.covariance.at(leaf, other) / (seconds[leaf] * seconds[other]);
        }
    }
    Some(differences.variances((curve, &corrected), (timeline, parents), &covariance))
}
