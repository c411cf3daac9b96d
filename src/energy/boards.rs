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
//! A window that the user's own calibration found is a voice, and is kept. Units: milliseconds.

use crate::model::analysis::{Check, CheckStatus, FoundSensor, PowerOrigin};
use crate::model::device::{Device, DeviceId, DeviceKind};
use crate::model::wording::listed;

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
            let kind = kind_of(&alike).filter(|_| kind(board).is_none());
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

/// The window that its readings tell of, and its standard uncertainty as a share.
fn window(board: &Board<'_>) -> Option<(f64, f64)> {
    let (found, shape) = board.found?.power?.window?;
    (shape == "boxcar").then(|| (found.value, SURE.hypot(0.5 * found.u95 / found.value)))
}

fn kind(board: &Board<'_>) -> Option<&'static str> {
    board
        .found
        .map(|found| found.counter_kind)
        .filter(|kind| *kind != "unknown")
}

fn is_calibrated(board: &Board<'_>) -> bool {
    board.device.properties.contains_key("power_window_u95_ms")
}

/// Whether a board's own window, or the one that stands for it, is another than this.
fn lacks(board: &Board<'_>, theirs: f64) -> bool {
    let own = window(board);
    let ms = own.map(|(ms, _)| ms).or(board.device.power_timing.window_ms);
    let least = own.map_or(0.0, |(ms, share)| 2.0 * (share * ms).hypot(DIFFER * theirs));
    !is_calibrated(board) && ms.is_none_or(|ms| (ms - theirs).abs() > least.max(APART * theirs))
}

/// The window that most of what was found of these boards agrees on, and whose that is.
fn window_of(alike: &[Board<'_>]) -> Option<(f64, Vec<DeviceId>)> {
    let found = alike
        .iter()
        .filter_map(|board| Some((Some(&board.device.id), window(board)?)));
    let believed = alike.first()?.device.power_timing.window_ms;
    let mut voices: Vec<(Option<&DeviceId>, f64, f64)> = found
        .chain(believed.map(|ms| (None, (ms, BELIEVED))))
        .map(|(id, (ms, share))| (id, ms, share.powi(-2)))
        .collect();
    voices.sort_by(|a, b| a.1.total_cmp(&b.1));
    let all: f64 = voices.iter().map(|voice| voice.2).sum();
    let mut so_far = 0.0;
    let median = voices.iter().find(|voice| {
        so_far += voice.2;
        so_far >= 0.5 * all
    })?;
    let near: Vec<&(Option<&DeviceId>, f64, f64)> = voices
        .iter()
        .filter(|voice| (voice.1 - median.1).abs() <= SAME * median.1)
        .collect();
    let weight: f64 = near.iter().map(|voice| voice.2).sum();
    let boards = || near.iter().filter_map(|&&(id, ms, weight)| Some((id?, ms, weight)));
    let of_boards: f64 = boards().map(|(.., weight)| weight).sum();
    let mean = boards().map(|(_, ms, weight)| weight / of_boards * ms).sum();
    let is_theirs = near.len() >= 2 && weight >= MOST * all && of_boards > 0.0;
    is_theirs.then(|| (mean, boards().map(|(id, ..)| id.clone()).collect()))
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
