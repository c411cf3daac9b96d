//! The lower panel: the energy of each phase as a bar with its 95 % interval; hatched up to its upper bound where unresolved.

use plotters::prelude::{Color, DrawingBackend, RGBColor};

use super::axis::{self, Axis};
use super::canvas::{Anchor, Canvas};
use super::palette::{self, GRID, INK, MUTED, NO_PHASE};
use super::{MARGIN, PlotError, WIDTH};
use crate::model::analysis::{Analysis, EnergyEstimate};
use crate::report::tables;

const NAMES: f64 = 210.0;
const FIGURES: f64 = 190.0;
const LEFT: f64 = MARGIN + NAMES;
const RIGHT: f64 = WIDTH - MARGIN - FIGURES;
const TITLE: f64 = 34.0;
const ROW: f64 = 23.0;
const BAR: f64 = 13.0;
const AXIS: f64 = 44.0;
const INDENT: f64 = 14.0;
const MOST_INDENT: usize = 8;
const TEXT: f64 = 13.0;
/// More phases than this would make a picture nobody reads: the smallest are left out, and counted.
const MOST_ROWS: usize = 40;
const HATCH: f64 = 7.0;

struct Bar {
    name: String,
    depth: usize,
    energy: EnergyEstimate,
    /// As in the tables: energy, interval, grade, `~` for estimates.
    figures: String,
    color: RGBColor,
}

/// Room that [`draw`] needs.
pub fn height(analysis: &Analysis) -> f64 {
    let rows = analysis.phases.len().min(MOST_ROWS) + 1;
    TITLE + rows as f64 * ROW + AXIS
}

/// The whole panel, its top edge at `y`.
pub fn draw<B: DrawingBackend>(canvas: &Canvas<B>, analysis: &Analysis, y: f64) -> Result<(), PlotError> {
    let bars = bars(analysis);
    let bottom = y + TITLE + bars.len() as f64 * ROW;
    let axis = joules_axis(&bars);
    title(canvas, analysis, &bars, y)?;
    for (value, label) in &axis.ticks {
        let x = x(&axis, *value);
        canvas.line([(x, y + TITLE), (x, bottom + 4.0)], GRID, 1.0)?;
        canvas.text(label, (x, bottom + 13.0), 12.0, MUTED, Anchor::Middle)?;
    }
    let unit = format!("energy, {}", axis.unit);
    canvas.text(
        &unit,
        ((LEFT + RIGHT) / 2.0, bottom + 32.0),
        TEXT,
        MUTED,
        Anchor::Middle,
    )?;
    for (nth, bar) in bars.iter().enumerate() {
        row(canvas, bar, &axis, y + TITLE + (nth as f64 + 0.5) * ROW)?;
    }
    canvas.line([(x(&axis, 0.0), y + TITLE), (x(&axis, 0.0), bottom)], MUTED, 1.0)
}

/// Phases in the order of the tree, the smallest left out where they are too many; then what no phase covers.
fn bars(analysis: &Analysis) -> Vec<Bar> {
    let size = |e: &EnergyEstimate| e.joules.or(e.upper_bound).map_or(0.0, |j| j.get());
    let mut largest: Vec<usize> = (0..analysis.phases.len()).collect();
    largest.sort_by(|&a, &b| size(&analysis.phases[b].energy).total_cmp(&size(&analysis.phases[a].energy)));
    largest.truncate(MOST_ROWS);
    largest.sort_unstable();
    let labels = tables::energy_labels(analysis);
    let phase = |i: usize| {
        let p = &analysis.phases[i];
        Bar {
            name: crate::report::format::printable(&p.name),
            depth: p.depth,
            energy: p.energy,
            figures: labels[i].clone(),
            color: palette::phase(i),
        }
    };
    let rest = Bar {
        name: "unattributed".to_owned(),
        depth: 0,
        energy: analysis.unattributed.energy,
        figures: labels[analysis.phases.len()].clone(),
        color: NO_PHASE,
    };
    largest.into_iter().map(phase).chain([rest]).collect()
}

fn joules_axis(bars: &[Bar]) -> Axis {
    let ends = bars.iter().flat_map(|b| {
        let u95 = b.energy.u95.map_or(0.0, |u| u.get());
        let joules = b.energy.joules.map(|j| j.get());
        [
            joules.map(|j| j - u95),
            joules.map(|j| j + u95),
            b.energy.upper_bound.map(|j| j.get()),
        ]
    });
    let (least, most) = ends
        .flatten()
        .filter(|v| v.is_finite())
        .fold((0.0, 0.0), |(least, most): (f64, f64), v| (least.min(v), most.max(v)));
    let (size, unit) = axis::energy_unit(most);
    axis::rounded(least, most, size, unit, 9)
}

fn title<B: DrawingBackend>(canvas: &Canvas<B>, analysis: &Analysis, bars: &[Bar], y: f64) -> Result<(), PlotError> {
    let middle = y + TITLE / 2.0 - 4.0;
    canvas.text("Energy per phase", (MARGIN, middle), 16.0, INK, Anchor::Left)?;
    let mut note = "whiskers: 95 % interval; a phase includes the phases inside it".to_owned();
    if bars
        .iter()
        .any(|b| b.energy.joules.is_none() && b.energy.upper_bound.is_some())
    {
        note += "; hatched: not resolved, upper bound";
    }
    if bars.iter().any(|b| b.figures.starts_with('~')) {
        note += "; ~ holds an estimate";
    }
    let missing = (analysis.phases.len() + 1).saturating_sub(bars.len());
    if missing > 0 {
        note += &format!("; {missing} smaller phases not shown");
    }
    let note = canvas.shortened(&note, 12.0, WIDTH - MARGIN - LEFT);
    canvas.text(&note, (LEFT, middle + 1.0), 12.0, MUTED, Anchor::Left)
}

fn x(axis: &Axis, joules: f64) -> f64 {
    LEFT + axis.fraction(joules) * (RIGHT - LEFT)
}

fn row<B: DrawingBackend>(canvas: &Canvas<B>, bar: &Bar, axis: &Axis, y: f64) -> Result<(), PlotError> {
    let indent = bar.depth.min(MOST_INDENT) as f64 * INDENT;
    let name = canvas.shortened(&bar.name, TEXT, NAMES - indent - 10.0);
    canvas.text(&name, (MARGIN + indent, y), TEXT, INK, Anchor::Left)?;
    canvas.text(&bar.figures, (RIGHT + 14.0, y), TEXT, INK, Anchor::Left)?;
    let (top, bottom) = (y - BAR / 2.0, y + BAR / 2.0);
    let finite = |j: Option<crate::model::units::Joules>| j.map(|j| j.get()).filter(|v| v.is_finite());
    match (finite(bar.energy.joules), finite(bar.energy.upper_bound)) {
        (Some(joules), _) => {
            let (from, to) = (x(axis, joules.min(0.0)), x(axis, joules.max(0.0)));
            canvas.fill((from, top), (to.max(from + 1.0), bottom), bar.color)?;
            match finite(bar.energy.u95) {
                Some(u95) => whisker(canvas, x(axis, joules - u95), x(axis, joules + u95), y),
                None => Ok(()),
            }
        }
        (None, Some(bound)) => hatched(
            canvas,
            (x(axis, 0.0), top),
            (x(axis, bound).max(x(axis, 0.0) + 3.0), bottom),
            bar.color,
        ),
        (None, None) => Ok(()),
    }
}

fn whisker<B: DrawingBackend>(canvas: &Canvas<B>, from: f64, to: f64, y: f64) -> Result<(), PlotError> {
    canvas.line([(from, y), (to, y)], INK, 1.5)?;
    for end in [from, to] {
        canvas.line([(end, y - 4.0), (end, y + 4.0)], INK, 1.5)?;
    }
    Ok(())
}

fn hatched<B: DrawingBackend>(
    canvas: &Canvas<B>,
    from: (f64, f64),
    to: (f64, f64),
    color: RGBColor,
) -> Result<(), PlotError> {
    let height = to.1 - from.1;
    let mut start = from.0 - height;
    while start < to.0 {
        // A line that rises by one pixel a pixel, cut at the sides of the bar.
        let (left, right) = (start.max(from.0), (start + height).min(to.0));
        canvas.line(
            [(left, to.1 - (left - start)), (right, to.1 - (right - start))],
            color.mix(0.8),
            1.0,
        )?;
        start += HATCH;
    }
    canvas.frame(from, to, color, 1.0)
}
