//! Symmetric positive definite systems of a few dozen unknowns: all the linear algebra the fit needs.
//!
//! Callers add prior precision to every diagonal, so a pivot that vanishes is rounding, and is treated as "nothing known".

/// So many rows are added up together: their sums are read and written once.
pub const TOGETHER: usize = 4;

#[derive(Debug, Clone, PartialEq)]
pub struct Symmetric {
    pub n: usize,
    /// Row major, both triangles.
    pub a: Vec<f64>,
}

impl Symmetric {
    pub fn zero(n: usize) -> Self {
        Self { n, a: vec![0.0; n * n] }
    }

    pub fn diagonal(values: &[f64]) -> Self {
        let n = values.len();
        let mut matrix = Self::zero(n);
        (0..n).for_each(|i| matrix.a[i * n + i] = values[i]);
        matrix
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.a[i * self.n + j]
    }

    /// Add `weight x y^T`, symmetrised by the caller's symmetry of use.
    pub fn add_outer(&mut self, weight: f64, x: &[f64], y: &[f64]) {
        for (i, xi) in x.iter().enumerate() {
            let scaled = weight * xi;
            if scaled != 0.0 {
                for (a, yj) in self.a[i * self.n..(i + 1) * self.n].iter_mut().zip(y) {
                    *a += scaled * yj;
                }
            }
        }
    }

    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        self.a.chunks_exact(self.n).map(|row| dot(row, x)).collect()
    }

    /// x^T A x.
    pub fn form(&self, x: &[f64]) -> f64 {
        dot(&self.times(x), x)
    }

    /// Add `x x^T` of each of the rows x, one after the other, to the upper triangle alone: `mirror` makes the rest of sums of such.
    pub fn add_squares(&mut self, rows: &[f64]) {
        let n = self.n;
        let rows: [&[f64]; TOGETHER] = std::array::from_fn(|row| &rows[row * n..(row + 1) * n]);
        let used = |row: &[f64]| row.iter().rposition(|x| *x != 0.0).map_or(0, |last| last + 1);
        let used = rows.into_iter().map(used).max().unwrap_or(0);
        for i in 0..used {
            let by = rows.map(|row| row[i]);
            if by == [0.0; TOGETHER] {
                continue;
            }
            let [a, b, c, d] = rows.map(|row| &row[i..used]);
            let sums = self.a[i * n + i..i * n + used].iter_mut();
            for ((((sum, a), b), c), d) in sums.zip(a).zip(b).zip(c).zip(d) {
                *sum = *sum + by[0] * a + by[1] * b + by[2] * c + by[3] * d;
            }
        }
    }

    /// Make the lower triangle what the upper one is.
    pub fn mirror(&mut self) {
        for i in 1..self.n {
            for j in 0..i {
                self.a[i * self.n + j] = self.a[j * self.n + i];
            }
        }
    }

    /// The lower Cholesky factor after scaling to unit diagonal (columns of watts and of seconds side by side), and the scale.
    fn cholesky(&self) -> (Vec<f64>, Vec<f64>) {
        let n = self.n;
        let scale: Vec<f64> = (0..n)
            .map(|i| 1.0 / self.at(i, i).max(f64::MIN_POSITIVE).sqrt())
            .collect();
        let mut l = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                l[i * n + j] = self.at(i, j) * scale[i] * scale[j];
            }
        }
        // Column by column, each taken off what is right of it: entries side by side do not wait for each other.
        let mut column = vec![0.0; n];
        for k in 0..n {
            l[k * n + k] = l[k * n + k].max(1e-14).sqrt();
            for i in k + 1..n {
                l[i * n + k] /= l[k * n + k];
                column[i] = l[i * n + k];
                take(&mut l[i * n + k + 1..=i * n + i], column[i], &column[k + 1..=i]);
            }
        }
        (l, scale)
    }

    /// Logarithm of the determinant.
    pub fn log_determinant(&self) -> f64 {
        let (l, scale) = self.cholesky();
        (0..self.n).map(|i| 2.0 * (l[i * self.n + i] / scale[i]).ln()).sum()
    }

    pub fn inverse(&self) -> Self {
        let n = self.n;
        let (l, scale) = self.cholesky();
        // All columns of the unit matrix at once, a row at a time.
        let mut inverse = Self::diagonal(&vec![1.0; n]);
        for i in 0..n {
            let (above, rest) = inverse.a.split_at_mut(i * n);
            // Columns beyond i are still nothing.
            let own = &mut rest[..=i];
            for (k, above) in above.chunks_exact(n).enumerate() {
                take(own, l[i * n + k], &above[..=k]);
            }
            own.iter_mut().for_each(|a| *a /= l[i * n + i]);
        }
        for i in (0..n).rev() {
            let (own, below) = inverse.a[i * n..].split_at_mut(n);
            for (k, below) in (i + 1..n).zip(below.chunks_exact(n)) {
                take(own, l[k * n + i], below);
            }
            own.iter_mut().for_each(|a| *a /= l[i * n + i]);
        }
        for (i, row) in inverse.a.chunks_exact_mut(n).enumerate() {
            row.iter_mut().zip(&scale).for_each(|(a, s)| *a = *a * scale[i] * s);
        }
        inverse
    }
}

/// Take `weight` times `other` off `own`, as far as both reach.
fn take(own: &mut [f64], weight: f64, other: &[f64]) {
    own.iter_mut()
        .zip(other)
        .for_each(|(own, other)| *own -= weight * other);
}

pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_the_matrix_across_scales() {
        let mut m = Symmetric::zero(3);
        for row in [[1.0, 2e-3, 5e3], [0.3, 1e-3, -2e3], [0.5, -4e-3, 1e3], [2.0, 1e-3, 9e3]] {
            m.add_outer(1.0, &row, &row);
        }
        let inverse = m.inverse();
        for i in 0..3 {
            let row: Vec<f64> = (0..3).map(|j| inverse.at(i, j)).collect();
            let back = m.times(&row);
            for (j, value) in back.iter().enumerate() {
                let scale = (m.at(j, j) / m.at(i, i)).sqrt();
                assert!(
                    (value - if i == j { 1.0 } else { 0.0 }).abs() < 1e-8 * scale.max(1.0),
                    "{i} {j} {value}"
                );
            }
        }
    }
}
