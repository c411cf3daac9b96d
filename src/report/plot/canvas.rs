//! Rectangles, lines and text in logical pixels, on any plotters backend.

use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::PlotError;
use super::palette::BACKGROUND;

/// Real `sans-serif` fonts of an SVG's reader are up to this much wider than the one text is measured with.
const WIDER_FONT: f64 = 1.16;

/// plotters takes the height of a line for the size of a font.
const LINE_HEIGHT: f64 = 1.14;

/// Which point of a text stands at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Left,
    Middle,
    Right,
}

/// A drawing area with its scale.
pub struct Canvas<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    scale: f64,
    text_drop: f64,
}

impl<B: DrawingBackend> Canvas<B> {
    /// An empty sheet. `text_drop`: how far below its proper place a text must be put to be drawn there, in parts of its size.
    pub fn new(area: DrawingArea<B, Shift>, scale: f64, text_drop: f64) -> Result<Self, PlotError> {
        register_font();
        area.fill(&BACKGROUND).map_err(refused)?;
        Ok(Self { area, scale, text_drop })
    }

    fn at(&self, (x, y): (f64, f64)) -> (i32, i32) {
        let px = |v: f64| (v * self.scale).round().clamp(-1e6, 1e6) as i32;
        (px(x), px(y))
    }

    fn stroke(&self, width: f64) -> u32 {
        (width * self.scale).round().max(1.0) as u32
    }

    /// A filled rectangle between two corners.
    pub fn fill(&self, from: (f64, f64), to: (f64, f64), color: impl Color) -> Result<(), PlotError> {
        let (a, b) = (self.at(from), self.at(to));
        if a.0 == b.0 || a.1 == b.1 {
            return Ok(());
        }
        // The bitmap backend counts the last pixel in, and the SVG backend does not.
        self.area.draw(&Rectangle::new([a, b], color.filled())).map_err(refused)
    }

    /// The outline of a rectangle.
    pub fn frame(&self, from: (f64, f64), to: (f64, f64), color: impl Color, width: f64) -> Result<(), PlotError> {
        let style = color.stroke_width(self.stroke(width));
        self.area
            .draw(&Rectangle::new([self.at(from), self.at(to)], style))
            .map_err(refused)
    }

    /// A line through all points.
    pub fn line(
        &self,
        points: impl IntoIterator<Item = (f64, f64)>,
        color: impl Color,
        width: f64,
    ) -> Result<(), PlotError> {
        let mut points: Vec<_> = points.into_iter().map(|p| self.at(p)).collect();
        points.dedup();
        let style = color.stroke_width(self.stroke(width));
        self.area.draw(&PathElement::new(points, style)).map_err(refused)
    }

    /// A filled polygon.
    pub fn polygon(&self, points: impl IntoIterator<Item = (f64, f64)>, color: impl Color) -> Result<(), PlotError> {
        let mut points: Vec<_> = points.into_iter().map(|p| self.at(p)).collect();
        points.dedup();
        self.area.draw(&Polygon::new(points, color.filled())).map_err(refused)
    }

    /// One line of text, vertically centred at `y`.
    pub fn text(
        &self,
        text: &str,
        (x, y): (f64, f64),
        size: f64,
        color: RGBColor,
        anchor: Anchor,
    ) -> Result<(), PlotError> {
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let style = self.style(size).color(&color).pos(Pos::new(horizontal, VPos::Center));
        self.area
            .draw(&Text::new(
                text.to_owned(),
                self.at((x, y + self.text_drop * size)),
                style,
            ))
            .map_err(refused)
    }

    fn style(&self, size: f64) -> TextStyle<'static> {
        TextStyle::from(("sans-serif", size * LINE_HEIGHT * self.scale).into_font())
    }

    /// How much room a text needs, whatever font draws it.
    pub fn text_width(&self, text: &str, size: f64) -> f64 {
        let measured = self.area.estimate_text_size(text, &self.style(size));
        // A text that cannot be measured is taken to be as wide as letters mostly are.
        let width = measured.map_or(text.chars().count() as f64 * size * 0.6, |(w, _)| {
            f64::from(w) / self.scale
        });
        width * WIDER_FONT
    }

    /// `text` in at most `width`, an ellipsis in its middle where something is missing: names often differ at their ends.
    pub fn shortened(&self, text: &str, size: f64, width: f64) -> String {
        if self.text_width(text, size) <= width {
            return text.to_owned();
        }
        let chars: Vec<char> = text.chars().collect();
        let candidate = |n: usize| {
            let (head, tail) = (&chars[..n.div_ceil(2)], &chars[chars.len() - n / 2..]);
            head.iter().chain(['…'].iter()).chain(tail).collect::<String>()
        };
        let (mut fits, mut too_long) = (0, chars.len());
        while fits + 1 < too_long {
            let n = fits.midpoint(too_long);
            if self.text_width(&candidate(n), size) <= width {
                fits = n
            } else {
                too_long = n
            }
        }
        candidate(fits)
    }

    /// Hand everything to the backend.
    pub fn finish(self) -> Result<(), PlotError> {
        self.area.present().map_err(refused)
    }
}

fn refused(error: impl std::fmt::Display) -> PlotError {
    PlotError::Draw(error.to_string())
}

/// plotters keeps fonts by name for the whole process.
fn register_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Refused only if the file is no font, which a test would see: no text could be drawn.
        let _ = plotters::style::register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}
