//! powerprof as its users meet it: the real binary, small scripted children, a GPU library with a known truth.

#[path = "cli/support.rs"]
mod support;

#[path = "cli/calibrate.rs"]
mod calibrate;
#[path = "cli/cut_off.rs"]
mod cut_off;
#[path = "cli/damaged.rs"]
mod damaged;
#[path = "cli/destinations.rs"]
mod destinations;
#[path = "cli/environment.rs"]
mod environment;
#[path = "cli/examples.rs"]
mod examples;
#[path = "cli/exit_status.rs"]
mod exit_status;
#[path = "cli/fake_gpu.rs"]
mod fake_gpu;
#[path = "cli/faults.rs"]
mod faults;
#[path = "cli/full_disk.rs"]
mod full_disk;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/import_trouble.rs"]
mod import_trouble;
#[path = "cli/markers.rs"]
mod markers;
#[path = "cli/real_gpu.rs"]
mod real_gpu;
#[path = "cli/reports.rs"]
mod reports;
#[path = "cli/samples.rs"]
mod samples;
#[path = "cli/sensors.rs"]
mod sensors;
#[path = "cli/signals.rs"]
mod signals;
#[path = "cli/strict.rs"]
mod strict;
#[path = "cli/study.rs"]
mod study;
#[path = "cli/transparency.rs"]
mod transparency;
