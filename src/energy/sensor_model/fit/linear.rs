//! A stream's rows as linear functions of the unknowns, about powers and properties that are taken for known.
//!
//! Owns which unknown has which column, and the memory of neighbouring rows. What a pass over the rows costs is where it looks up what
//! each window saw: who needs the rows twice keeps them ([`Linear`]), unless they are many.

use super::{Setting, Stream};
use crate::energy::sensor_model::design::Design;
use crate::energy::sensor_model::matrix::dot;
use crate::energy::sensor_model::rows::Row;
use crate::energy::sensor_model::skew::Column;

/// Rows within so many periods are neighbours.
const NEIGHBOURS: f64 = 1.5;
const MOST_MEMORY: f64 = 0.99;
/// Correlations below so many of their standard deviations are taken for chance.
const NO_CHANCE: f64 = 4.0;

/// Linearised rows of a stream about `powers`: calls `visit(row, columns, target)`. Of rows with a memory, what the one before did not
/// already say.
pub fn visit(setting: &Setting, stream: &Stream, powers: Option<&[f64]>, mut visit: impl FnMut(&Row, &[f64], f64)) {
    let mut news = News::of(stream);
    visit_raw(setting, stream, powers, |row, columns, target| {
        let (columns, target) = news.of_row(row.end.predicted, columns, target);
        visit(row, columns, target);
    });
}

/// The same, of all rows by themselves.
pub fn visit_raw(setting: &Setting, stream: &Stream, powers: Option<&[f64]>, mut visit: impl FnMut(&Row, &[f64], f64)) {
    let mut columns = vec![0.0; setting.unknowns()];
    let places = setting.theta_at(stream);
    let count = setting.active.len();
    let theta = stream.theta.behind(stream.own);
    let mut design = Design::new(setting.overlap, theta, stream.rows.rows.len());
    let skewed = setting.skewed_ms.zip(powers);
    let column = skewed.map(|(lag_ms, powers)| Column::new(setting.overlap.timeline(), powers, lag_ms));
    let mut skew = column.as_ref().map(Column::of_windows);
    for row in &stream.rows.rows {
        let (start, end) = Design::window(row, &theta);
        if start < 0.0 || end > setting.run_s {
            continue;
        }
        design.row(row, powers);
        columns.fill(0.0);
        for (column, &leaf) in columns.iter_mut().zip(&setting.active) {
            *column = design.columns[leaf];
        }
        let mean = powers.map_or(setting.mean_watts, |p| dot(&design.columns, p));
        for (column, cosine) in columns[count..].iter_mut().zip(setting.cosines(0.5 * (start + end))) {
            *column = mean * cosine;
        }
        if !stream.is_counter {
            columns[setting.gain_at()] = mean;
        }
        if powers.is_some() {
            for (place, derivative) in places.iter().zip(design.derivatives) {
                if let Some(place) = place {
                    columns[*place] = derivative;
                }
            }
        }
        if let Some(skew) = &mut skew {
            columns[setting.skew_at()] = skew(start, end);
        }
        visit(row, &columns, row.watts);
    }
}

/// What rows say that the ones before them did not already (Prais and Winsten 1954): errors of neighbours are then independent.
struct News {
    memory: f64,
    /// Seconds within which rows are neighbours.
    reach: f64,
    own: Vec<f64>,
    last_at: f64,
    last: Vec<f64>,
    last_target: f64,
}

impl News {
    fn of(stream: &Stream) -> Self {
        Self {
            memory: stream.memory,
            reach: reach(stream),
            own: Vec::new(),
            last_at: f64::NEG_INFINITY,
            last: Vec::new(),
            last_target: 0.0,
        }
    }

    fn of_row<'s>(&'s mut self, at: f64, columns: &'s [f64], target: f64) -> (&'s [f64], f64) {
        let memory = self.memory;
        if memory == 0.0 {
            return (columns, target);
        }
        self.own.clear();
        let target_of_own = if at - self.last_at < self.reach {
            let pairs = columns.iter().zip(&self.last);
            self.own.extend(pairs.map(|(column, last)| column - memory * last));
            target - memory * self.last_target
        } else {
            let scale = (1.0 - memory * memory).sqrt();
            self.own.extend(columns.iter().map(|column| scale * column));
            scale * target
        };
        self.last.clear();
        self.last.extend_from_slice(columns);
        (self.last_at, self.last_target) = (at, target);
        (&self.own, target_of_own)
    }
}

/// The linearised rows of a stream, kept: as many numbers for each as there are unknowns.
pub struct Linear {
    width: usize,
    columns: Vec<f64>,
    /// When each row's update was, and its reading.
    targets: Vec<(f64, f64)>,
}

impl Linear {
    pub fn of(setting: &Setting, stream: &Stream, powers: Option<&[f64]>) -> Self {
        let (width, rows) = (setting.unknowns(), stream.rows.rows.len());
        let mut linear = Self {
            width,
            columns: Vec::with_capacity(width * rows),
            targets: Vec::with_capacity(rows),
        };
        visit_raw(setting, stream, powers, |row, columns, target| {
            linear.columns.extend_from_slice(columns);
            linear.targets.push((row.end.predicted, target));
        });
        linear
    }

    /// How many unknowns there are.
    pub fn width(&self) -> usize {
        self.width
    }

    fn rows(&self) -> impl Iterator<Item = (f64, &[f64], f64)> {
        let rows = self.columns.chunks_exact(self.width).zip(&self.targets);
        rows.map(|(columns, &(at, target))| (at, columns, target))
    }

    /// As [`visit`] does.
    pub fn visit(&self, stream: &Stream, mut visit: impl FnMut(&[f64], f64)) {
        let mut news = News::of(stream);
        for (at, columns, target) in self.rows() {
            let (columns, target) = news.of_row(at, columns, target);
            visit(columns, target);
        }
    }

    /// Correlation of neighbouring rows' residuals about `values`, of power readings whose windows overlap.
    pub fn memory(&self, stream: &Stream, values: &[f64]) -> f64 {
        if stream.is_counter {
            return 0.0;
        }
        let reach = reach(stream);
        let (mut products, mut squares, mut pairs, mut before) = (0.0, 0.0, 0.0_f64, None);
        for (at, columns, target) in self.rows() {
            let residual = target - dot(columns, values);
            if let Some((_, last)) = before.filter(|(then, _)| at - then < reach) {
                products += residual * last;
                squares += last * last;
                pairs += 1.0;
            }
            before = Some((at, residual));
        }
        let memory = (products / squares.max(f64::MIN_POSITIVE)).min(MOST_MEMORY);
        let by_chance = NO_CHANCE / pairs.max(1.0).sqrt();
        if memory > by_chance { memory } else { 0.0 }
    }
}

fn reach(stream: &Stream) -> f64 {
    NEIGHBOURS * stream.rows.period
}
