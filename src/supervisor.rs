//! The child process: started armed, released when the sensors run, waited for, signalled as a shell would, never changed.
//!
//! Owns processes and signals. Leaves readings to `sampler`, markers to `markers`, files to `recording`.

pub mod exit;
pub mod launch;
pub mod signals;
pub mod surroundings;
pub mod warden;
