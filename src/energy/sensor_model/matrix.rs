//! Symmetric positive definite systems of a few dozen unknowns: all the linear algebra the fit needs.
//!
//! Callers add prior precision to every diagonal, so a pivot that vanishes is rounding, and is treated as "nothing known".

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

    /// The lower Cholesky factor after scaling to unit diagonal (columns of watts and of seconds side by side), and the scale.
    fn cholesky(&self) -> (Vec<f64>, Vec<f64>) {
        let n = self.n;
        let scale: Vec<f64> = (0..n)
            .map(|i| 1.0 / self.at(i, i).max(f64::MIN_POSITIVE).sqrt())
            .collect();
        let mut l = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let mut sum = self.at(i, j) * scale[i] * scale[j];
                for k in 0..j {
                    sum -= l[i * n + k] * l[j * n + k];
                }
                l[i * n + j] = if i == j {
                    sum.max(1e-14).sqrt()
                } else {
                    sum / l[j * n + j]
                };
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
        let mut inverse = Self::zero(n);
        let mut column = vec![0.0; n];
        for c in 0..n {
            for i in 0..n {
                let mut sum = if i == c { 1.0 } else { 0.0 };
                for k in 0..i {
                    sum -= l[i * n + k] * column[k];
                }
                column[i] = sum / l[i * n + i];
            }
            for i in (0..n).rev() {
                let mut sum = column[i];
                for k in i + 1..n {
                    sum -= l[k * n + i] * column[k];
                }
                column[i] = sum / l[i * n + i];
            }
            for i in 0..n {
                inverse.a[i * n + c] = column[i] * scale[i] * scale[c];
            }
        }
        inverse
    }
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
