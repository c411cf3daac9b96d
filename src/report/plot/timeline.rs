//! The upper panel: the phases as lanes, one for each depth of the tree, and below them the power of each device over the same time.
//!
//! Every device has a strip of its own, so that nothing has to be told apart by colour. Where a column holds several readings, the
//! strip shows their extremes as a band and their mean as a line.

use plotters::prelude::{Color, DrawingBackend};

use super::axis::{self, Axis};
use super::canvas::{Anchor, Canvas};
use super::downsample::{self, Stretch};
use super::legend::Legend;
use super::occupancy::{self, Parts};
use super::palette::{self, GRID, INK, MUTED};
use super::{MARGIN, PlotError, PlotInput, PowerSeries, WIDTH};
use crate::model::analysis::DeviceAnalysis;
use crate::model::units::Watts;
use crate::report::format;

/// Left of the time axis: power labels.
const LEFT: f64 = MARGIN + 64.0;
const RIGHT: f64 = WIDTH - MARGIN - 14.0;
/// Columns in which phases are shown; readings have one for each logical pixel.
const COLUMN: f64 = 2.0;
const LANE: f64 = 18.0;
const LANE_GAP: f64 = 3.0;
const MOST_LANES: usize = 4;
const STRIP_HEAD: f64 = 22.0;
const AXIS: f64 = 44.0;
const SMALL: f64 = 12.0;

/// Room that [`draw`] needs.
pub fn height(input: &PlotInput) -> f64 {
    let strips = input.power.len().max(1) as f64;
    legend(input).height() + lanes(input) as f64 * (LANE + LANE_GAP) + strips * (STRIP_HEAD + strip(input)) + AXIS
}

fn strip(input: &PlotInput) -> f64 {
    if input.power.is_empty() {
        return 72.0;
    }
    (480.0 / input.power.len().max(1) as f64).clamp(72.0, 240.0)
}

fn lanes(input: &PlotInput) -> usize {
    let depths = input.spans.phases.iter().map(|p| p.depth + 1).max();
    depths.unwrap_or(0).min(MOST_LANES)
}

/// The names of the phases that the lanes show.
fn legend(input: &PlotInput) -> Legend {
    let phases = &input.spans.phases;
    let shown = (0..phases.len()).filter(|&i| phases[i].depth < MOST_LANES);
    let name = |i: usize| {
        let unique = phases.iter().filter(|p| p.name == phases[i].name).count() == 1;
        format::printable(if unique { &phases[i].name } else { &phases[i].path })
    };
    Legend::new(shown.map(|i| (name(i), palette::phase(i))), RIGHT - LEFT)
}

/// The whole panel, its top edge at `y`.
pub fn draw<B: DrawingBackend>(canvas: &Canvas<B>, input: &PlotInput, y: f64) -> Result<(), PlotError> {
    let bottom = y + height(input);
    let time = axis::time(input.analysis.run.wall.get(), 12);
    let count = ((RIGHT - LEFT) / COLUMN) as usize;
    let at_depth = |depth| occupancy::columns(input.spans, depth, input.analysis.run.started, time.to, count);
    let by_depth: Vec<Vec<Parts>> = (0..lanes(input))
        .map(|depth| occupancy::squared(&at_depth(depth)))
        .collect();
    let strips = input.power.len().max(1) as f64;
    let mut strip_top = bottom - AXIS - strips * (STRIP_HEAD + strip(input));
    let lanes_top = strip_top - by_depth.len() as f64 * (LANE + LANE_GAP);
    legend(input).draw(canvas, (LEFT, y))?;
    for (depth, columns) in by_depth.iter().enumerate() {
        lane(canvas, input, columns, lanes_top + depth as f64 * (LANE + LANE_GAP))?;
    }
    if input.power.is_empty() {
        let middle = ((LEFT + RIGHT) / 2.0, strip_top + STRIP_HEAD + strip(input) / 2.0);
        canvas.text(
            "no power readings in this recording",
            middle,
            16.0,
            MUTED,
            Anchor::Middle,
        )?;
    }
    let top_phases = by_depth.first().map(Vec::as_slice).unwrap_or_default();
    for series in input.power {
        let device = input.analysis.devices.iter().find(|d| d.device.id.0 == series.device);
        strip_head(canvas, series, device, strip_top + STRIP_HEAD / 2.0)?;
        power(canvas, series, top_phases, &time, strip_top + STRIP_HEAD, strip(input))?;
        strip_top += STRIP_HEAD + strip(input);
    }
    time_axis(canvas, &time, bottom - AXIS)
}

fn column_x(column: usize) -> f64 {
    LEFT + column as f64 * COLUMN
}

/// One depth of the tree.
fn lane<B: DrawingBackend>(
    canvas: &Canvas<B>,
    input: &PlotInput,
    columns: &[Parts],
    top: f64,
) -> Result<(), PlotError> {
    let levels = LANE as u32;
    for run in occupancy::runs(columns, levels) {
        let (from, to) = (column_x(run.from), column_x(run.to));
        let mut y = top;
        for &(phase, part) in &run.parts {
            let color = palette::phase(phase);
            canvas.fill((from, y), (to, y + f64::from(part)), color)?;
            let name = format::printable(&input.spans.phases[phase].name);
            if part + 4 >= levels && canvas.text_width(&name, SMALL) + 8.0 < to - from {
                let middle = ((from + to) / 2.0, y + f64::from(part) / 2.0);
                canvas.text(&name, middle, SMALL, palette::on(color), Anchor::Middle)?;
            }
            y += f64::from(part);
        }
    }
    Ok(())
}

fn strip_head<B: DrawingBackend>(
    canvas: &Canvas<B>,
    series: &PowerSeries,
    device: Option<&DeviceAnalysis>,
    y: f64,
) -> Result<(), PlotError> {
    let mut words = vec![format::printable(&series.device)];
    if let Some(d) = device {
        words.push(format::printable(&d.device.name));
        if d.mean_power.is_some() {
            words.push(format!(
                "mean {} W",
                format::derived(d.mean_power.map(Watts::get), &d.energy)
            ));
        }
        words.push(format!("from {}", d.device.source.as_str()));
    }
    let text = canvas.shortened(&words.join("  ·  "), SMALL, RIGHT - LEFT);
    canvas.text(&text, (LEFT, y + 2.0), SMALL, INK, Anchor::Left)
}

/// One device's strip: top-level phases as a faint background, grid, band and mean.
fn power<B: DrawingBackend>(
    canvas: &Canvas<B>,
    series: &PowerSeries,
    top_phases: &[Parts],
    time: &Axis,
    top: f64,
    height: f64,
) -> Result<(), PlotError> {
    let bottom = top + height;
    for run in occupancy::runs(top_phases, 2) {
        if let [(phase, 2)] = run.parts[..] {
            canvas.fill(
                (column_x(run.from), top),
                (column_x(run.to), bottom),
                palette::phase(phase).mix(0.13),
            )?;
        }
    }
    let stretches = downsample::envelope(&series.t_s, &series.watts, time.from, time.to, (RIGHT - LEFT) as usize);
    let all = || stretches.iter().flatten();
    let most = all().map(|c| c.max).fold(0.0, f64::max);
    let least = all().map(|c| c.min).fold(0.0, f64::min);
    let watts = axis::snug(least, most, "W", (height / 34.0) as usize);
    let y = |value: f64| bottom - watts.fraction(value) * height;
    let x = |t: f64| LEFT + time.fraction(t) * (RIGHT - LEFT);
    for (nth, (value, label)) in watts.ticks.iter().enumerate() {
        canvas.line([(LEFT, y(*value)), (RIGHT, y(*value))], GRID, 1.0)?;
        let unit = if nth + 1 == watts.ticks.len() {
            format!(" {}", watts.unit)
        } else {
            String::new()
        };
        canvas.text(
            &format!("{label}{unit}"),
            (LEFT - 8.0, y(*value)),
            SMALL,
            MUTED,
            Anchor::Right,
        )?;
    }
    for (t, _) in &time.ticks {
        canvas.line([(x(*t), top), (x(*t), bottom)], GRID, 1.0)?;
    }
    if stretches.is_empty() {
        canvas.text(
            "no readings",
            ((LEFT + RIGHT) / 2.0, (top + bottom) / 2.0),
            13.0,
            MUTED,
            Anchor::Middle,
        )?;
    }
    for stretch in &stretches {
        curve(canvas, stretch, x, y)?;
    }
    canvas.frame((LEFT, top), (RIGHT, bottom), MUTED, 1.0)
}

fn curve<B: DrawingBackend>(
    canvas: &Canvas<B>,
    stretch: &Stretch,
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) -> Result<(), PlotError> {
    if stretch.iter().any(|c| c.readings > 1) {
        let above = stretch.iter().map(|c| (x(c.t), y(c.max)));
        let below = stretch.iter().rev().map(|c| (x(c.t), y(c.min)));
        canvas.polygon(above.chain(below), INK.mix(0.3))?;
    }
    if let [only] = stretch[..] {
        // A line needs two points.
        return canvas.fill(
            (x(only.t) - 1.0, y(only.mean) - 1.0),
            (x(only.t) + 1.0, y(only.mean) + 1.0),
            INK,
        );
    }
    canvas.line(stretch.iter().map(|c| (x(c.t), y(c.mean))), INK, 1.0)
}

fn time_axis<B: DrawingBackend>(canvas: &Canvas<B>, time: &Axis, top: f64) -> Result<(), PlotError> {
    for (t, label) in &time.ticks {
        let x = LEFT + time.fraction(*t) * (RIGHT - LEFT);
        canvas.line([(x, top), (x, top + 4.0)], MUTED, 1.0)?;
        canvas.text(label, (x, top + 13.0), SMALL, MUTED, Anchor::Middle)?;
    }
    let text = format!("time since the start of the run, {}", time.unit);
    canvas.text(&text, ((LEFT + RIGHT) / 2.0, top + 32.0), 13.0, MUTED, Anchor::Middle)
}
