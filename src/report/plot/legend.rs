//! Names and colours of the phases, in lines of known length.
//!
//! Laid out by a bound on the width of letters rather than by measuring, because the height of the picture must be known before
//! there is a canvas to measure on.

use plotters::prelude::{DrawingBackend, RGBColor};

use super::PlotError;
use super::canvas::{Anchor, Canvas};
use super::palette::{INK, MUTED};

const LINE: f64 = 20.0;
const MOST_LINES: usize = 3;
const BELOW: f64 = 6.0;
const SIZE: f64 = 12.0;
/// A letter of the widest usual `sans-serif` at [`SIZE`], on average.
const LETTER: f64 = 7.0;
const SWATCH: f64 = 18.0;
const GAP: f64 = 16.0;
const LONGEST_NAME: usize = 32;

struct Entry {
    name: String,
    /// `None`: the note on those that are missing.
    color: Option<RGBColor>,
    x: f64,
    line: usize,
}

/// A legend that has its place.
pub struct Legend {
    entries: Vec<Entry>,
}

impl Legend {
    /// As many names as fit into three lines of this width, and a note on the rest.
    pub fn new(names: impl Iterator<Item = (String, RGBColor)>, width: f64) -> Self {
        let names: Vec<_> = names.collect();
        let mut entries: Vec<Entry> = Vec::new();
        let (mut x, mut line) = (0.0, 0);
        for (nth, (name, color)) in names.iter().enumerate() {
            let needed = SWATCH + name.chars().count().min(LONGEST_NAME) as f64 * LETTER + GAP;
            let last_line = line + 1 == MOST_LINES;
            // The last line keeps room for the note.
            let room = if last_line && nth + 1 < names.len() {
                width - 90.0
            } else {
                width
            };
            if x + needed > room && last_line {
                let name = format!("+ {} more", names.len() - nth);
                entries.push(Entry {
                    name,
                    color: None,
                    x,
                    line,
                });
                break;
            }
            if x + needed > room {
                (x, line) = (0.0, line + 1);
            }
            entries.push(Entry {
                name: name.clone(),
                color: Some(*color),
                x,
                line,
            });
            x += needed;
        }
        Self { entries }
    }

    /// Room that [`Self::draw`] needs.
    pub fn height(&self) -> f64 {
        self.entries.last().map_or(0.0, |e| (e.line + 1) as f64 * LINE + BELOW)
    }

    /// Its upper left corner at `(left, top)`.
    pub fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>, (left, top): (f64, f64)) -> Result<(), PlotError> {
        for entry in &self.entries {
            let (x, y) = (left + entry.x, top + (entry.line as f64 + 0.5) * LINE);
            let Some(color) = entry.color else {
                canvas.text(&entry.name, (x, y), SIZE, MUTED, Anchor::Left)?;
                continue;
            };
            canvas.fill((x, y - 6.0), (x + 12.0, y + 6.0), color)?;
            let name = canvas.shortened(&entry.name, SIZE, LONGEST_NAME as f64 * LETTER);
            canvas.text(&name, (x + SWATCH, y), SIZE, INK, Anchor::Left)?;
        }
        Ok(())
    }
}
