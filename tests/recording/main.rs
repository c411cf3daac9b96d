//! The file of a recording, from outside: what goes in comes out, whatever happens in between.

mod additions;
mod claim;
mod damaged;
mod errors;
mod export;
mod full_disk;
mod golden;
mod kill;
mod made;
mod pages;
mod recover;
mod round_trip;
mod size;
mod waiting;
