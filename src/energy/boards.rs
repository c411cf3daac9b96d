//! What boards of one model, in one run, say of each other's sensors.
//!
//! Eight equal boards have one kind of sensor, and each is looked at alone: where its ranks wait for others, or its phases draw about the
//! same, a board's own readings leave its window open, or let a wrong one look right. Then the others tell.
//!
//! ```text
//! windows found   20.5 ± 0.4   -   19.5 ± 0.5   18.6 ± 1.3   -   20.2 ± 0.8 ms       believed of such boards: 100 ms
//! taken for                    20.2                          20.2
//! ```
//!
//! - A *window* is theirs if two thirds of what was found, by weight (1/variance), lies within 15 % of its weighted median; two voices at
//!   least. What is believed of such boards is one voice. Boards that found another, or none, are looked at again with it.
//! - What a *counter* adds up is the same for all of them, if those that tell agree.
//!
//! What the user's own calibration found of a board is kept, and its window is a voice. Units: milliseconds.

use crate::model::analysis::{Check, CheckStatus, FoundSensor, PowerOrigin};
use crate::model::device::{Device, DeviceId, DeviceKind};
use crate::model::wording::listed;

use super::uncertainty::K95;

/// No window is found better than this share of itself, and what is believed of such boards is as good as this (standard uncertainty).
const SURE: f64 = 0.02;
const BELIEVED: f64 = 0.03;
/// Windows within this share of each other are the same, but for the differences between boards of a model: one standard deviation of
/// those (the survey's A100s read 23.6 to 25.4 ms, its H100s 21 to 25).
const SAME: f64 = 0.15;
const DIFFER: f64 = 0.05;
/// A board with a window farther from theirs than this share is looked at again.
const APART: f64 = 0.1;
const MOST: f64 = 2.0 / 3.0;

/// One board as it was found alone.
#[derive(Clone, Copy)]
pub struct Board<'a> {
    pub device: &'a Device,
    pub origin: Option<PowerOrigin>,
    pub found: Option<&'a FoundSensor>,
}

/// What the others tell of a board.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    window_ms: Option<f64>,
    counter_kind: Option<&'static str>,
    by: Vec<DeviceId>,
}

impl Told {
    /// Believe it.
    pub fn complete(&self, device: &mut Device) {
        if let Some(window) = self.window_ms {
            device.power_timing.window_ms = Some(window);
            let sd = (DIFFER * window).to_string();
            device.properties.insert("power_window_u95_ms".into(), sd);
        }
        if let Some(kind) = self.counter_kind {
            device.properties.insert("counter_kind".into(), kind.into());
        }
    }

    /// What is said of the board's sensor, with what was assumed of it.
    pub fn added_to(&self, device: &Device, check: Option<Check>) -> Check {
        let windows = self.window_ms.map(|ms| format!("windows of about {ms:.1} ms"));
        let counter = self.counter_kind.map(|kind| match kind {
            "sampled" => "a counter that adds up the readings".to_owned(),
            _ => "a counter that adds up all time".to_owned(),
        });
        let what: Vec<String> = windows.into_iter().chain(counter).collect();
        let by: Vec<&str> = self.by.iter().map(|id| id.0.as_str()).collect();
        let assumed = format!(
            "assumed, as found of {} of the same name: {}",
            listed(&by),
            what.join(" and ")
        );
        let id = &device.id;
        match check {
            Some(check) => Check {
                detail: format!("{}; {assumed}", check.detail),
                ..check
            },
            None => Check {
                name: format!("sensor:{id}"),
                status: CheckStatus::Pass,
                detail: format!("{id}: {assumed}"),
            },
        }
    }
}

/// For each board, what the others tell of it that it did not tell itself.
pub fn tell(boards: &[Board<'_>]) -> Vec<Option<Told>> {
    boards
        .iter()
        .map(|board| {
            let alike: Vec<Board<'_>> = boards.iter().filter(|other| are_alike(board, other)).copied().collect();
            let window = window_of(&alike).filter(|(window, _)| lacks(board, *window));
            let kind = kind_of(&alike).filter(|_| kind(board).is_none() && !is_calibrated(board, "counter_kind"));
            let mut by: Vec<DeviceId> = window.iter().flat_map(|(_, by)| by.clone()).collect();
            by.extend(kind.iter().flat_map(|(_, by)| by.clone()));
            by.retain(|id| *id != board.device.id);
            by.sort();
            by.dedup();
            let told = Told {
                window_ms: window.map(|(window, _)| window),
                counter_kind: kind.map(|(kind, _)| kind),
                by,
            };
            (told.window_ms.is_some() || told.counter_kind.is_some()).then_some(told)
        })
        .collect()
}

fn are_alike(a: &Board<'_>, b: &Board<'_>) -> bool {
    let is_one = |board: &Board<'_>| board.device.kind == DeviceKind::Gpu;
    is_one(a)
        && is_one(b)
        && a.origin == b.origin
        && a.device.source == b.device.source
        && a.device.name == b.device.name
}

/// A window that one of them was found with, or that is believed of all of them.
struct Voice<'a> {
    of: Option<&'a DeviceId>,
    ms: f64,
    /// Standard uncertainty as a share.
    share: f64,
    is_boxcar: bool,
}

impl Voice<'_> {
    fn weight(&self) -> f64 {
        self.share.powi(-2)
    }
}

fn weight<'a>(voices: impl IntoIterator<Item = &'a Voice<'a>>) -> f64 {
    voices.into_iter().map(Voice::weight).sum()
}

fn voice<'a>(board: &Board<'a>) -> Option<Voice<'a>> {
    let (found, shape) = board.found?.power?.window?;
    Some(Voice {
        of: Some(&board.device.id),
        ms: found.value,
        share: SURE.hypot(found.u95 / K95 / found.value),
        is_boxcar: shape == "boxcar",
    })
}

fn kind(board: &Board<'_>) -> Option<&'static str> {
    board
        .found
        .map(|found| found.counter_kind)
        .filter(|kind| *kind != "unknown")
}

/// Whether the user's own calibration says this of it.
fn is_calibrated(board: &Board<'_>, what: &str) -> bool {
    board.device.properties.contains_key(what)
}

/// Whether a board's own window, or the one that stands for it, is another than this. A low pass has none to compare.
fn lacks(board: &Board<'_>, theirs: f64) -> bool {
    let (ms, least) = match voice(board) {
        Some(own) if own.is_boxcar => (Some(own.ms), 2.0 * (own.share * own.ms).hypot(DIFFER * theirs)),
        Some(_) => return false,
        None => (board.device.power_timing.window_ms, 0.0),
    };
    !is_calibrated(board, "power_window_u95_ms") && ms.is_none_or(|ms| (ms - theirs).abs() > least.max(APART * theirs))
}

/// The window that most of what was found of these boards agrees on, and whose that is. Low passes speak against it.
fn window_of(alike: &[Board<'_>]) -> Option<(f64, Vec<DeviceId>)> {
    let believed = alike.first()?.device.power_timing.window_ms.map(|ms| Voice {
        of: None,
        ms,
        share: BELIEVED,
        is_boxcar: true,
    });
    let voices = alike.iter().filter_map(voice).chain(believed);
    let (mut boxcars, low_passes): (Vec<Voice<'_>>, Vec<Voice<'_>>) = voices.partition(|voice| voice.is_boxcar);
    boxcars.sort_by(|a, b| a.ms.total_cmp(&b.ms));
    let all = weight(&boxcars);
    let mut so_far = 0.0;
    let median = boxcars.iter().find(|voice| {
        so_far += voice.weight();
        so_far >= 0.5 * all
    })?;
    let near = || {
        boxcars
            .iter()
            .filter(|voice| (voice.ms - median.ms).abs() <= SAME * median.ms)
    };
    let boards = || near().filter_map(|voice| Some((voice, voice.of?.clone())));
    if near().count() < 2 || boards().next().is_none() || weight(near()) < MOST * (all + weight(&low_passes)) {
        return None;
    }
    let summed: f64 = boards().map(|(voice, _)| voice.weight() * voice.ms).sum();
    let mean = summed / boards().map(|(voice, _)| voice.weight()).sum::<f64>();
    Some((mean, boards().map(|(_, id)| id).collect()))
}

/// What the counters add up by those that tell, if they agree.
fn kind_of(alike: &[Board<'_>]) -> Option<(&'static str, Vec<DeviceId>)> {
    let told: Vec<(&'static str, &DeviceId)> = alike
        .iter()
        .filter_map(|board| Some((kind(board)?, &board.device.id)))
        .collect();
    let &(first, _) = told.first()?;
    told.iter()
        .all(|(kind, _)| *kind == first)
        .then(|| (first, told.iter().map(|(_, id)| (*id).clone()).collect()))
}

#[cfg(test)]
mod tests;
