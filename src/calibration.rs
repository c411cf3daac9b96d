//! A square-wave load of known edges -> the sensor's properties: period, window, delay, response, and what its counter counts.
//!
//! Between two powers with known edges a reading says how its window lay: with the load's period r times the sensor's (r = 2/3, 4/5, 6/5,
//! 4/3) the windows fall on all parts of the wave, and 1.03 times the period makes a slow beat in which a counter that adds up all time
//! shows nothing and one that adds up short windows swings between both powers. [`observe`] turns readings into observations, [`wave`]
//! knows the load, [`fit`] finds the properties by least squares, [`result`] puts them together.
//!
//! *Limits of validity.* Delay is from the load's edge to the reading: where the load is late to obey and does not say so, its lateness
//! is in it. A load whose two powers drift by more than the noise widens every interval; one that hardly changes gives none.

pub mod fit;
pub mod observe;
pub mod result;
pub mod wave;

pub use result::{CounterKind, Measured, SensorResult, measure};
pub use wave::Wave;
