//! Recording -> Analysis: which phase drew which energy, by which method, and how sure that is.
//!
//! Pure functions, no I/O. The path of the data, one file each:
//!
//! ```text
//! markers --phases--> spans --timeline--> who ran when --attribute--> per device
//! readings --counter, integrate--> curve (cells of known energy) --interval--> energy per phase, bounded
//!          \--sensor_model--> regression on the overlap of sensor window and phases (short phases)
//! both --assemble--> analysis: grades, sums that close exactly, checks, warnings
//! ```
//!
//! Invariants: a phase includes the phases inside it; phases at the top and `unattributed` add up to `total`; what is unknown is
//! `None`. All maths is in joules, watts and seconds; times are integer nanoseconds until a difference is taken.

mod assemble;
mod attribute;
mod blind;
mod boards;
mod calls;
mod cell;
mod checks;
mod combine;
mod counter;
mod curve;
mod difference;
mod edges;
mod events;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod held_readings;
#[cfg(test)]
mod hidden_window;
mod idle;
mod integrate;
mod interval;
mod late_ends;
#[cfg(test)]
mod laws;
mod lengths;
mod levels;
#[cfg(test)]
mod long_windows;
mod nodes;
mod noise;
#[cfg(test)]
mod oxford;
mod part;
#[cfg(test)]
mod part_time;
mod persistence;
mod phases;
mod sensed;
mod sensor_model;
mod shares;
#[cfg(test)]
mod slow_filter;
#[cfg(test)]
mod slow_polls;
mod state;
mod study;
mod summed;
mod timeline;
mod uncertainty;
#[cfg(test)]
mod warming_up;
mod work;

pub use assemble::{analyze, analyze_nodes};
pub use idle::net_of_idle;
pub use nodes::{Node, NodesError, Together, name_devices, shift, together};
pub use phases::spans;
pub use study::{device_of_study, study};
pub use uncertainty::grade;

/// Which estimator is used for a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Estimator {
    /// For each phase the one with the smaller honest interval.
    #[default]
    Auto,
    /// Differences of the cumulative curve at the exact edges.
    Interval,
    /// The sensor model's joint regression, wherever it can be set up.
    Regression,
}

/// How a recording is to be analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    pub estimator: Estimator,
}
