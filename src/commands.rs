//! One flat function per command, each reading top to bottom.

pub mod compare;
pub mod doctor;
pub mod export;
pub mod load;
pub mod output;
pub mod plot;
pub mod record;
pub mod recover;
pub mod report;
