//! Colours that stay apart for colour-blind eyes, on white and on dark paper.
//!
//! Phases: the scheme "muted" of Paul Tol, "Colour Schemes" (SRON/EPS/TN/09-002), in an order in which neighbours of the usual
//! phase tree differ most. A renderer that embeds the SVG may replace the four neutral colours by its own (a page in the dark does).

use plotters::style::RGBColor;

/// Paper.
pub const BACKGROUND: RGBColor = RGBColor(0xFE, 0xFE, 0xFE);
/// Text, curves, whiskers.
pub const INK: RGBColor = RGBColor(0x1B, 0x22, 0x2C);
/// Secondary text.
pub const MUTED: RGBColor = RGBColor(0x5A, 0x65, 0x72);
/// Grid lines and frames.
pub const GRID: RGBColor = RGBColor(0xD5, 0xDA, 0xE1);
/// Banners that must not be missed.
pub const ALARM: RGBColor = RGBColor(0xC2, 0x41, 0x0C);
/// What belongs to no phase.
pub const NO_PHASE: RGBColor = RGBColor(0x9A, 0xA3, 0xAE);

const PHASES: [RGBColor; 9] = [
    RGBColor(0xDD, 0xCC, 0x77),
    RGBColor(0x4A, 0x3A, 0xA0),
    RGBColor(0x88, 0xCC, 0xEE),
    RGBColor(0xAA, 0x44, 0x99),
    RGBColor(0x44, 0xAA, 0x99),
    RGBColor(0xCC, 0x66, 0x77),
    RGBColor(0x99, 0x99, 0x33),
    RGBColor(0x88, 0x22, 0x55),
    RGBColor(0x11, 0x77, 0x33),
];

/// The colour of the phase at this position of the tree; later ones repeat the first in paler shades.
pub fn phase(index: usize) -> RGBColor {
    let RGBColor(r, g, b) = PHASES[index % PHASES.len()];
    let paler = [0.0, 0.45, 0.7][(index / PHASES.len()) % 3];
    let mix = |c: u8| (f64::from(c) + (255.0 - f64::from(c)) * paler).round() as u8;
    RGBColor(mix(r), mix(g), mix(b))
}

/// Black or white, whichever is legible on `color` (relative luminance as in WCAG 2, without the gamma's fine print).
pub fn on(color: RGBColor) -> RGBColor {
    let RGBColor(r, g, b) = color;
    let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
    let luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    if luminance > 0.2 {
        RGBColor(0, 0, 0)
    } else {
        RGBColor(255, 255, 255)
    }
}
