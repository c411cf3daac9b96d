//! The C interface: one file per group of functions of nvml.h, all of one form. A function names its call, gets the GPU
//! and the moment from `entry`, asks the model, and stores the answer through `pointers`, the only file that touches
//! the caller's memory. Signatures are those of nvml.h 13; functions that only some tool looks up are in `absent`.

mod absent;
mod activity;
mod entry;
mod identity;
mod layouts;
mod pointers;
mod power;
mod process;
mod readings;
mod system;

pub(crate) use layouts::sizes;
