//! What is believed of the unknowns before looking.

use super::{DRIFT_SD, GAIN_SD, Setting, Siblings, Stream};
use crate::energy::sensor_model::matrix::Symmetric;
use crate::energy::sensor_model::skew;

/// Precision of the unknowns a priori, and the values it pulls to (for the sensor's properties: the step from the present one).
pub fn priors(setting: &Setting, streams: &[Stream]) -> (Symmetric, Vec<f64>) {
    let n = setting.unknowns();
    // An unknown that no stream has stays at nothing.
    let mut precision = vec![1e12; n];
    let mut pull = vec![0.0; n];
    for i in 0..setting.active.len() {
        precision[i] = setting.watts_sd.powi(-2);
        pull[i] = setting.watts;
    }
    precision[setting.active.len()..setting.gain_at()].fill(DRIFT_SD.powi(-2));
    if streams.len() > 1 {
        precision[setting.gain_at()] = GAIN_SD.powi(-2);
    }
    if setting.skewed_ms.is_some() {
        precision[setting.skew_at()] = skew::SHARE_SD.powi(-2);
    }
    for stream in streams {
        let p = &stream.prior;
        let believed = [
            (p.theta.window - stream.theta.window, p.window_sd),
            (p.theta.delay - stream.theta.delay, p.delay_sd),
            (p.theta.follow - stream.theta.follow, p.follow_sd),
            (p.theta.response - stream.theta.response, p.theta.response.max(1e-3)),
        ];
        for (place, (step, sd)) in setting.theta_at(stream).into_iter().zip(believed) {
            if let Some(place) = place {
                precision[place] = sd.powi(-2);
                pull[place] = step;
            }
        }
    }
    let mut all = Symmetric::diagonal(&precision);
    for Siblings { of_active, sd } in &setting.siblings {
        // A phase's own power, and each part's distance from it: covariance a 11^T + b I, its inverse by Sherman and Morrison.
        let (a, b) = (setting.watts_sd.powi(2), sd.powi(2));
        let common = 1.0 / (of_active.len() as f64 + b / a) / b;
        for (i, j) in of_active.clone().flat_map(|i| of_active.clone().map(move |j| (i, j))) {
            all.a[i * n + j] = if i == j { 1.0 / b - common } else { -common };
        }
    }
    (all, pull)
}
