//! One device: its readings to a figure for each phase, with the sensor model where it has something to add.

mod doubts;
mod placed;
#[cfg(test)]
mod tests;

use crate::model::analysis::{Check, CheckStatus, FoundSensor, Method, PowerOrigin};
use crate::model::device::{Device, SensorTiming, Source};
use crate::model::recording::{DeviceStreams, Recording};
use crate::model::span::Spans;
use crate::model::time::Interval;

use super::blind;
use super::boards::Told;
use super::calls;
use super::checks;
use super::combine::{self, Facts};
use super::curve::{self, Curve, Sources};
use super::edges::{Expected, Rest};
use super::interval;
use super::levels::REPEATED;
use super::sensed::Sensed;
use super::sensor_model::{self, CounterKind, Model, Ramp, Refusal};
use super::shares;
use super::state::{self, Means};
use super::summed::Summed;
use super::timeline::Timeline;
use super::uncertainty::{self, Figure};
use super::{Estimator, Options};
use placed::{placed, timed};

/// How often the split at the cells' edges is made anew with what the split before says of the leaves' powers.
const SHARPENED: usize = 3;
/// The model's power of a leaf that ran a few times is taken if its relative standard uncertainty is below this.
const RESOLVED: f64 = 0.1;

/// What one device contributes.
pub struct Part<'a> {
    pub device: &'a Device,
    pub in_total: bool,
    /// Each phase, then outside, then the run; empty where no sensor said anything.
    pub figures: Vec<Figure>,
    pub means: Vec<Means>,
    pub max_memory: Option<u64>,
    pub max_power: Option<f64>,
    pub timing: SensorTiming,
    pub found: Option<FoundSensor>,
    pub call_share: Option<f64>,
    pub origin: Option<PowerOrigin>,
}

/// What all devices of a recording share.
pub struct Common<'a> {
    pub recording: &'a Recording,
    pub run: Interval,
    pub spans: &'a Spans,
    pub parents: &'a [Option<usize>],
    pub options: &'a Options,
    /// So many threads each device may use.
    pub threads: usize,
}

/// Analyse one device's readings over its timeline, with what boards like it have told.
pub fn one_device<'a>(
    common: &Common<'_>,
    (device, told): (&'a Device, Option<&Told>),
    readings: &DeviceStreams,
    timeline: &Timeline,
) -> (Part<'a>, Vec<Check>) {
    let Common {
        recording,
        run,
        spans,
        parents,
        ..
    } = *common;
    let (means, max_memory) = state::means(&readings.state, timeline, parents);
    let contained = device.contained_in.as_ref();
    let mut sensed = Sensed::of(device, readings, run);
    if let Some(told) = told {
        told.complete(sensed.device.to_mut());
    }
    let mut part = Part {
        device,
        in_total: !recording.devices.iter().any(|other| Some(&other.id) == contained),
        figures: Vec::new(),
        means,
        max_memory,
        max_power: None,
        timing: device.power_timing,
        found: None,
        call_share: calls::share(device, readings, run),
        origin: sensed.origin(),
    };
    let Some(mut curve) = curve::build(&sensed.device, &sensed, run, Sources::All) else {
        let detail = format!("{} gave no usable reading of power or energy", device.id);
        let check = Check {
            name: format!("coverage:{}", device.id),
            status: CheckStatus::Fail,
            detail,
        };
        return (part, vec![check]);
    };
    blind::by_context(&mut curve, timeline, parents);
    let mut split = interval::split(&curve, timeline, parents, None, None);
    let (mut model, mut doubts) = model_of(common, &sensed, timeline, &curve, &split);
    if let Ok(Some(found)) = &model
        && found.is_told
        && let Some(placed) = placed((&sensed, run), (timeline, parents), found)
    {
        curve = placed.beside(&curve, found.sees_part());
        // With the window that was found, and not the one that was believed, the counter is too close to the readings.
        if curve.story.summed == Summed::Yes && found.kind != CounterKind::Sampled {
            (model, doubts) = model_of(common, &sensed, timeline, &curve, &split);
        }
    }
    let is_locked = matches!(model, Err(Refusal::Locked(_)));
    let is_refused = is_locked || matches!(model, Err(Refusal::Whole { .. }));
    let stands_still = is_locked || matches!(&model, Ok(Some(model)) if model.lock.is_some());
    let mut is_unexplained = matches!(model, Err(Refusal::Unexplained));
    let mut model = model.ok().flatten();
    let mut kind = doubts::of_counter(&mut curve, &sensed.device, (model.as_ref(), stands_still));
    if let Some(model) = &mut model {
        model.kind = kind;
        model.may_have_gaps = curve.method == Method::Counter && curve.story.gaps.is_some();
        doubts = checks::of_model(device, model);
    }
    // The first split only served to tell what the leaves draw.
    let made_good = model
        .as_ref()
        .and_then(|model| placed::made_good((&sensed, run), (timeline, parents), (model, &split), &mut curve));
    if let Some(model) = &model {
        placed::doubt_noise((&sensed, run), timeline, (model, &split), &mut curve);
        placed::doubt_ends(timeline, (model, &split), &mut curve);
    }
    let known = model.as_ref().map(|model| {
        let looks = || placed::looks((&sensed, run), model);
        // What runs outside between many phases the model knows.
        let is_rest = timeline.segments()[timeline.outside()] < REPEATED;
        let rest = if is_rest {
            Rest::seen(&curve, timeline, looks)
        } else {
            None
        };
        (model, rest, placed::lag((&sensed.device, &curve), model))
    });
    split = sharpened(&curve, timeline, parents, known);
    if let Some(variances) = &made_good {
        doubts::chance(&mut split.figures, variances);
    }
    let mut together = Vec::new();
    let combined = model.as_ref().map(|model| {
        let mut unseen_j2 = blind::unseen(&curve, timeline, parents);
        if let Some(variances) = &made_good {
            unseen_j2.iter_mut().zip(variances).for_each(|(unseen, v)| *unseen += v);
        }
        let facts = Facts {
            parents,
            segments: &timeline.segments(),
            cell_s: curve.cell_seconds(),
            unseen_sd_w: curve.range.sd(),
            unseen_j2: &unseen_j2,
            estimator: common.options.estimator,
            uneven: if curve.is_part_time() && made_good.is_none() {
                model.uneven
            } else {
                0.0
            },
        };
        combine::combine(&split, model, &facts)
    });
    match combined {
        None => {}
        Some(Some((combined, pairs))) => {
            split = combined;
            together.extend(pairs.iter().filter_map(|pair| checks::of_pair(device, spans, pair)));
        }
        // Nothing of it is used, and that the cells lie where it has them neither.
        Some(None) => {
            model = None;
            curve = curve::build(&sensed.device, &sensed, run, Sources::All).unwrap_or(curve);
            blind::by_context(&mut curve, timeline, parents);
            kind = doubts::of_counter(&mut curve, &sensed.device, (None, stands_still));
            split = sharpened(&curve, timeline, parents, None);
            is_unexplained = true;
            together.push(checks::of_contradiction(device));
        }
    }
    if is_refused {
        doubts::refuse(&mut split.figures);
    }
    let inclusive = shares::inclusive(&split.seconds, parents);
    if kind == CounterKind::Unknown || kind == CounterKind::Sampled && model.is_none() {
        if model.is_some() {
            doubts::by_integral(&mut split.figures, &curve);
        }
        if let Some(alone) = part_time_alone((&sensed, run), (timeline, parents), model.as_ref(), &curve) {
            doubts::by_unseen(&mut split.figures, &alone, timeline, parents);
        }
    }
    if kind != CounterKind::Unknown || model.is_none() {
        doubts::by_drift(&mut split.figures, &curve);
    }
    if is_unexplained && curve.method == Method::Integral {
        doubts::distrust(&mut split.figures, spans, &inclusive, &curve, run);
    }
    doubts::beyond_the_device(&mut split.figures, &inclusive, &curve);
    doubts::of_rounding(&mut split.figures, &inclusive, &curve, &sensed);
    for (figure, seconds) in split.figures.iter_mut().zip(inclusive) {
        figure.scale = uncertainty::scale(device, figure.joules, seconds);
        figure.guess = uncertainty::guess(device, figure.scale);
    }
    doubts::contradicted(&mut split.figures, &curve);
    part.figures = split.figures;
    part.max_power = max_power(device, readings, &curve, run);
    part.timing = timing(&sensed.device, &curve, model.as_ref());
    part.found = model.as_ref().map(Model::found);
    let mut found = checks::of_device(device, &curve.story, run.seconds());
    found.extend(match told {
        Some(told) => Some(told.added_to(device, doubts)),
        None => doubts,
    });
    found.extend(model.as_ref().and_then(|model| checks::of_halves(device, spans, model)));
    found.extend(together);
    (part, found)
}

/// The split, made anew until what it says of the leaves' powers hardly moves it.
fn sharpened(
    curve: &Curve,
    timeline: &Timeline,
    parents: &[Option<usize>],
    known: Option<(&Model, Option<Rest>, Ramp)>,
) -> interval::Split {
    let segments = timeline.segments();
    let mut split = interval::split(curve, timeline, parents, None, None);
    for round in 1..=SHARPENED {
        let mut watts = leaf_watts(&split, curve, known.map(|(model, ..)| model), &segments);
        if let Some((_, Some(rest), _)) = known {
            watts[timeline.outside()] = rest
                .watts
                .clamp(curve.range.floor.max(1e-3), curve.range.ceiling.max(1e-3));
        }
        // The doubts are asked for once, at the end. What a counter's cells hold of which nobody knows what it adds up is no surprise.
        let counts =
            |(model, ..): &(&Model, _, _)| curve.method != Method::Counter || model.kind == CounterKind::Continuous;
        let expected = known.filter(|_| round == SHARPENED).filter(counts);
        let expected = expected.and_then(|known| {
            Expected::new(
                curve,
                (timeline, parents),
                (&watts, &split.seconds),
                known,
                split.long(),
            )
        });
        split = interval::split(curve, timeline, parents, Some(&watts), expected.as_ref());
    }
    split
}

/// The curve of the power readings alone beside a counter that may be made of them, where they look at a part of the time.
fn part_time_alone(
    (sensed, run): (&Sensed<'_>, Interval),
    (timeline, parents): (&Timeline, &[Option<usize>]),
    model: Option<&Model>,
    curve: &Curve,
) -> Option<Curve> {
    if curve.method != Method::Counter || curve.story.blind_w2 <= 0.0 || curve.story.summed == Summed::No {
        return None;
    }
    let device = timed(&sensed.device, model.filter(|model| model.sees_part()));
    let mut alone = curve::build(&device, sensed, run, Sources::PowerAlone)?;
    blind::by_context(&mut alone, timeline, parents);
    Some(alone)
}

/// The sensor model where it has something to add, or why there is none.
fn model_of(
    common: &Common<'_>,
    sensed: &Sensed<'_>,
    timeline: &Timeline,
    curve: &Curve,
    split: &interval::Split,
) -> (Result<Option<Model>, Refusal>, Option<Check>) {
    let run = common.run;
    let device: &Device = &sensed.device;
    if common.options.estimator == Estimator::Interval || timeline.leaves < 2 || device.source == Source::Estimate {
        return (Ok(None), None);
    }
    let inputs = sensor_model::Inputs {
        device,
        sensed,
        timeline,
        run,
        seconds: &split.seconds,
        mean_watts: split.leaves.iter().sum::<f64>() / run.seconds().max(1e-9),
        range: curve.range,
        contradiction: curve
            .story
            .counter_over_integral
            .is_some_and(|(ratio, _)| (ratio - 1.0).abs() > 0.1),
        adds_up: curve.story.summed == Summed::Yes,
        are_stamped: common.recording.markers.iter().all(|marker| marker.stamped),
        threads: common.threads,
    };
    match sensor_model::fit(&inputs) {
        Ok(model) => (Ok(Some(model)), None),
        Err(refusal) => {
            let check = checks::of_refusal(device, &refusal);
            (Err(refusal), check)
        }
    }
}

/// What each leaf draws by the model, where it is one for the model; else by the split before. Of leaves that ran often the model may
/// know little one by one, but it knows what they draw together, and a cell holds several.
fn leaf_watts(split: &interval::Split, curve: &Curve, model: Option<&Model>, segments: &[u64]) -> Vec<f64> {
    let known = |(leaf, &seconds): (usize, &f64)| {
        let of_model = model.map(|m| (m.energies[leaf], m.covariance.at(leaf, leaf).sqrt()));
        let joules = match of_model {
            Some((joules, sd)) if segments[leaf] >= REPEATED || sd < RESOLVED * joules => joules,
            _ if seconds > split.unseen_s[leaf] => split.seen_joules[leaf] * seconds / (seconds - split.unseen_s[leaf]),
            _ => split.leaves[leaf],
        };
        (joules / seconds.max(1e-9)).clamp(curve.range.floor.max(1e-3), curve.range.ceiling.max(1e-3))
    };
    split.seconds.iter().enumerate().map(known).collect()
}

/// The highest power reading of the run; of a device with a counter alone, the highest mean between two ticks.
fn max_power(device: &Device, readings: &DeviceStreams, curve: &Curve, run: Interval) -> Option<f64> {
    let inside = readings.power.times.t.iter().map(|&t| t >= run.start && t <= run.end);
    let read = readings
        .power
        .watts
        .iter()
        .zip(inside)
        .filter(|(w, inside)| *inside && w.is_finite());
    let read = read.map(|(w, _)| device.true_watts(*w)).reduce(f64::max);
    read.or_else(|| {
        curve
            .cells
            .iter()
            .filter(|c| c.known)
            .map(|c| c.watts())
            .reduce(f64::max)
    })
}

/// What the data say of the sensor, else what is believed.
fn timing(device: &Device, curve: &Curve, model: Option<&Model>) -> SensorTiming {
    if let Some((model, found)) = model.and_then(|m| Some((m, m.power?))) {
        let believed = device.power_timing;
        // Of slow polls the period is the poller's.
        let own = believed.update_period_ms.filter(|_| found.is_blurred);
        let told = |found: f64, believed: Option<f64>| if model.is_told { Some(found) } else { believed };
        return SensorTiming {
            update_period_ms: own.or(Some(found.period_ms)),
            window_ms: told(found.theta.window, believed.window_ms),
            delay_ms: told(found.theta.delay, believed.delay_ms),
        };
    }
    let seen = match device.power_timing.update_period_ms {
        Some(_) => curve.story.power_period_ms.or(curve.story.counter_period_ms),
        None => curve.story.counter_period_ms.or(curve.story.power_period_ms),
    };
    SensorTiming {
        update_period_ms: seen.or(device.power_timing.update_period_ms),
        ..device.power_timing
    }
}
