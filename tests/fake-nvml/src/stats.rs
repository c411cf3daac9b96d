//! How often each call was made. Owns counting and the JSON file of it; leaves to `ffi` when to write.
//! Counts go on over a shutdown and a new start: they are the process's.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::call::Call;

/// GPUs counted apart; those beyond are in the totals.
pub const MOST_GPUS: usize = 32;
/// Field identifiers counted apart.
const MOST_FIELDS: usize = 512;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Zero of the configuration's times, in `CLOCK_MONOTONIC` nanoseconds.
    pub t0_ns: i64,
    /// By name; calls that were never made are absent.
    pub calls: std::collections::BTreeMap<String, CallCount>,
    /// Entries asked for in `nvmlDeviceGetFieldValues`, by field.
    pub fields: std::collections::BTreeMap<u32, u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    pub total: u64,
    /// By index; empty for calls without a device.
    pub per_gpu: Vec<u64>,
}

impl Counts {
    /// How often a call was made.
    #[must_use]
    pub fn total(&self, call: &str) -> u64 {
        self.calls.get(call).map_or(0, |count| count.total)
    }

    /// # Errors
    /// When the file is not there or not this JSON.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
    }
}

/// The counters of a process.
#[derive(Debug)]
pub struct Stats {
    calls: [[AtomicU64; MOST_GPUS + 1]; Call::ALL.len()],
    fields: [AtomicU64; MOST_FIELDS],
}

impl Stats {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            calls: [const { [const { AtomicU64::new(0) }; MOST_GPUS + 1] }; Call::ALL.len()],
            fields: [const { AtomicU64::new(0) }; MOST_FIELDS],
        }
    }

    pub fn count(&self, call: Call, gpu: Option<u32>) {
        let row = &self.calls[call as usize];
        row[MOST_GPUS].fetch_add(1, Ordering::Relaxed);
        if let Some(cell) = gpu.and_then(|gpu| row[..MOST_GPUS].get(gpu as usize)) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn count_field(&self, id: u32) {
        if let Some(cell) = self.fields.get(id as usize) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `gpus`: how many the machine has.
    #[must_use]
    pub fn counts(&self, t0_ns: i64, gpus: usize) -> Counts {
        let mut counts = Counts {
            t0_ns,
            ..Counts::default()
        };
        for (call, row) in Call::ALL.iter().zip(&self.calls) {
            let total = row[MOST_GPUS].load(Ordering::Relaxed);
            let per_gpu: Vec<u64> = row[..gpus.min(MOST_GPUS)]
                .iter()
                .map(|cell| cell.load(Ordering::Relaxed))
                .collect();
            let per_gpu = if per_gpu.iter().all(|&count| count == 0) {
                Vec::new()
            } else {
                per_gpu
            };
            if total > 0 {
                counts
                    .calls
                    .insert(call.name().to_owned(), CallCount { total, per_gpu });
            }
        }
        for (id, cell) in (0..).zip(&self.fields) {
            let count = cell.load(Ordering::Relaxed);
            if count > 0 {
                counts.fields.insert(id, count);
            }
        }
        counts
    }

    /// Replaces the file whole, so that a reader never sees half of it.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, path: &Path, t0_ns: i64, gpus: usize) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(&self.counts(t0_ns, gpus))?;
        let draft = path.with_extension(format!("{}.draft", std::process::id()));
        std::fs::write(&draft, text)?;
        std::fs::rename(&draft, path)
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}
