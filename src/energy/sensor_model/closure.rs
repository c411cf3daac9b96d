//! Energies that must add up: what the cumulative curve knows of long stretches, brought into the short phases' estimates.
//!
//! Conditioning of a normal distribution on measured sums, one after another (a Kalman update): the total, and every phase whose
//! executions are long against the sensor's period. A sum that is known exactly pins its parts' errors against each other.

use super::matrix::{Symmetric, dot};

/// A measured sum of leaf energies.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// 1 for each leaf in the sum.
    pub members: Vec<f64>,
    pub joules: f64,
    /// Standard uncertainty, joules.
    pub sd: f64,
}

/// Condition `energies` with covariance `covariance` on the sums.
pub fn condition(energies: &mut [f64], covariance: &mut Symmetric, sums: &[Known]) {
    for sum in sums {
        let shared = covariance.times(&sum.members);
        let variance = dot(&shared, &sum.members) + sum.sd.powi(2);
        if variance <= 0.0 {
            continue;
        }
        let surprise = sum.joules - dot(energies, &sum.members);
        for (energy, s) in energies.iter_mut().zip(&shared) {
            *energy += s / variance * surprise;
        }
        covariance.add_outer(-1.0 / variance, &shared, &shared);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_sum_is_met_exactly_and_the_surer_part_moves_less() {
        let mut energies = [10.0, 20.0];
        let mut covariance = Symmetric {
            n: 2,
            a: vec![1.0, 0.0, 0.0, 9.0],
        };
        let total = Known {
            members: vec![1.0, 1.0],
            joules: 40.0,
            sd: 0.0,
        };
        condition(&mut energies, &mut covariance, &[total]);
        assert!((energies[0] - 11.0).abs() < 1e-12 && (energies[1] - 29.0).abs() < 1e-12);
        assert!(covariance.form(&[1.0, 1.0]).abs() < 1e-12);
        assert!((covariance.at(0, 0) - 0.9).abs() < 1e-12);
    }
}
