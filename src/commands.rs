//! One flat function per command, each reading top to bottom.

pub mod calibrate;
pub mod compare;
pub mod doctor;
pub mod export;
pub mod import;
pub mod load;
pub mod output;
pub mod plot;
pub mod record;
pub mod recover;
pub mod report;
