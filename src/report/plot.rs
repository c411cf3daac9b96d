//! One picture of a run: power of every device over time under the phases, and the energy of every phase with its interval.
//!
//! Owns the arrangement of the panels and the two file formats. Lengths are logical pixels; a PNG has two real ones for each.
//! Needs no system fonts: text is measured (and in a PNG drawn) with a font that is part of the program.

mod axis;
mod canvas;
mod downsample;
mod energy;
mod header;
mod legend;
mod occupancy;
mod palette;
mod timeline;

use plotters::prelude::{BitMapBackend, IntoDrawingArea, SVGBackend};

use self::canvas::Canvas;
use crate::model::analysis::Analysis;
use crate::model::span::Spans;

pub use self::palette::{BACKGROUND, GRID, INK, MUTED};

/// Logical width of the picture.
const WIDTH: f64 = 1200.0;
/// Free space around everything.
const MARGIN: f64 = 24.0;
/// Between two panels.
const PANEL_GAP: f64 = 26.0;
/// Real pixels of a PNG for one logical pixel.
const PNG_SCALE: f64 = 2.0;
/// plotters centres bitmap text on a box that reaches further down than its letters.
const PNG_TEXT_DROP: f64 = 0.15;

/// The power readings of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerSeries {
    /// As in [`Analysis::devices`].
    pub device: String,
    /// Seconds since the start of the run, ascending.
    pub t_s: Vec<f64>,
    /// One for each time; not a number where the sensor gave nothing.
    pub watts: Vec<f64>,
}

/// What a picture is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct PlotInput<'a> {
    pub analysis: &'a Analysis,
    pub spans: &'a Spans,
    pub power: &'a [PowerSeries],
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The drawing library refused.
    #[error("drawing the picture: {0}")]
    Draw(String),
    /// The PNG encoder refused.
    #[error("encoding the picture: {0}")]
    Encode(#[from] png::EncodingError),
}

/// The picture as SVG, with real text in it.
pub fn svg(input: &PlotInput) -> Result<String, PlotError> {
    let mut out = String::new();
    let size = (WIDTH as u32, height(input).round() as u32);
    draw(
        input,
        Canvas::new(SVGBackend::with_string(&mut out, size).into_drawing_area(), 1.0, 0.0)?,
    )?;
    Ok(out)
}

/// The picture as PNG, twice as many pixels each way as the SVG.
pub fn png(input: &PlotInput) -> Result<Vec<u8>, PlotError> {
    let (width, height) = ((WIDTH * PNG_SCALE) as u32, (height(input) * PNG_SCALE).round() as u32);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    draw(input, Canvas::new(area, PNG_SCALE, PNG_TEXT_DROP)?)?;
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(out)
}

fn height(input: &PlotInput) -> f64 {
    MARGIN
        + header::height(input.analysis)
        + timeline::height(input)
        + PANEL_GAP
        + energy::height(input.analysis)
        + MARGIN
}

fn draw<B: plotters::prelude::DrawingBackend>(input: &PlotInput, canvas: Canvas<B>) -> Result<(), PlotError> {
    let mut y = MARGIN;
    header::draw(&canvas, input.analysis, y)?;
    y += header::height(input.analysis);
    timeline::draw(&canvas, input, y)?;
    y += timeline::height(input) + PANEL_GAP;
    energy::draw(&canvas, input.analysis, y)?;
    canvas.finish()
}

#[cfg(test)]
mod tests;
