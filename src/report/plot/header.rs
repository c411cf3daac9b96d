//! The picture's head: the command, when and where it ran, and what must be known before any curve is read.

use plotters::prelude::DrawingBackend;

use super::canvas::{Anchor, Canvas};
use super::palette::{ALARM, INK, MUTED};
use super::{MARGIN, PlotError, WIDTH};
use crate::model::analysis::Analysis;
use crate::report::{format, notes};

const TITLE: f64 = 20.0;
const TITLE_LINE: f64 = 28.0;
const LINE: f64 = 20.0;
const BANNER_LINE: f64 = 26.0;
const BELOW: f64 = 8.0;

/// Room that [`draw`] needs.
pub fn height(analysis: &Analysis) -> f64 {
    TITLE_LINE + LINE + notes::banners(analysis).len() as f64 * BANNER_LINE + BELOW
}

/// Command, run line, banners.
pub fn draw<B: DrawingBackend>(canvas: &Canvas<B>, analysis: &Analysis, mut y: f64) -> Result<(), PlotError> {
    let room = WIDTH - 2.0 * MARGIN;
    let command = format::printable(&format::command(&analysis.run.command));
    let line = |text: &str, y: f64, size: f64, color| {
        canvas.text(
            &canvas.shortened(text, size, room),
            (MARGIN, y),
            size,
            color,
            Anchor::Left,
        )
    };
    line(&command, y + TITLE_LINE / 2.0, TITLE, INK)?;
    y += TITLE_LINE;
    line(&notes::run_line(analysis), y + LINE / 2.0, 13.0, MUTED)?;
    y += LINE;
    for banner in notes::banners(analysis) {
        line(&banner, y + BANNER_LINE / 2.0, 16.0, ALARM)?;
        y += BANNER_LINE;
    }
    Ok(())
}
