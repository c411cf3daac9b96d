//! Ranks -> devices: whose spans a device's energy goes to.
//!
//! A GPU belongs to the ranks that said so (`devices=`); with one rank everything belongs to it; with several that said nothing,
//! rank r has the r-th visible GPU. What no rank owns alone (CPU, memory) is shared by all.

use crate::model::device::{Device, DeviceKind};
use crate::model::recording::Recording;
use crate::model::span::{RankDevices, Spans};

/// Which ranks run on each device of the recording, and what could not be understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ownership {
    /// In the order of the recording's devices.
    pub ranks: Vec<Vec<u32>>,
    pub warnings: Vec<String>,
}

/// Work out who runs on what.
pub fn owners(recording: &Recording, spans: &Spans) -> Ownership {
    let devices = &recording.devices;
    let mut ownership = Ownership {
        ranks: vec![Vec::new(); devices.len()],
        warnings: Vec::new(),
    };
    let all: Vec<u32> = spans.ranks.iter().map(|r| r.rank).collect();
    let gpus: Vec<usize> = (0..devices.len())
        .filter(|&i| devices[i].kind == DeviceKind::Gpu)
        .collect();
    // A trainer counts the GPUs that CUDA shows it, not those of the machine.
    let renumbered = recording.run.environment.contains_key("CUDA_VISIBLE_DEVICES");
    for rank in &spans.ranks {
        for gpu in gpus_of(rank, &all, devices, &gpus, renumbered, &mut ownership.warnings) {
            if !ownership.ranks[gpu].contains(&rank.rank) {
                ownership.ranks[gpu].push(rank.rank);
            }
        }
    }
    for (i, device) in devices.iter().enumerate() {
        ownership.ranks[i] = match device.kind {
            DeviceKind::Gpu => continue,
            DeviceKind::GpuMemory | DeviceKind::Module => related_gpu(device, devices)
                .map(|gpu| ownership.ranks[gpu].clone())
                .unwrap_or_else(|| all.clone()),
            DeviceKind::Cpu | DeviceKind::CpuCores | DeviceKind::Dram | DeviceKind::Platform => all.clone(),
        };
    }
    ownership
}

/// The GPU that contains this device, or that this device contains.
fn related_gpu(device: &Device, devices: &[Device]) -> Option<usize> {
    devices.iter().position(|other| {
        other.kind == DeviceKind::Gpu
            && (device.contained_in.as_ref() == Some(&other.id) || other.contained_in.as_ref() == Some(&device.id))
    })
}

fn gpus_of(
    rank: &RankDevices,
    all: &[u32],
    devices: &[Device],
    gpus: &[usize],
    renumbered: bool,
    warnings: &mut Vec<String>,
) -> Vec<usize> {
    let Some(said) = &rank.devices else {
        return match all.len() {
            1 => gpus.to_vec(),
            _ => gpus.get(rank.rank as usize).copied().into_iter().collect(),
        };
    };
    let mut found = Vec::new();
    for word in said.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match gpu_named(word, devices, gpus, renumbered) {
            Some(gpu) => found.push(gpu),
            None => warnings.push(format!(
                "rank {} runs on `{word}`, which is no recorded GPU: that device's energy is not in its phases",
                rank.rank
            )),
        }
    }
    found
}

fn gpu_named(word: &str, devices: &[Device], gpus: &[usize], renumbered: bool) -> Option<usize> {
    if let Ok(number) = word.trim_start_matches("cuda:").parse::<u32>() {
        let by_index = gpus.iter().copied().find(|&i| devices[i].index == Some(number));
        let by_position = gpus.get(number as usize).copied();
        return if renumbered {
            by_position.or(by_index)
        } else {
            by_index.or(by_position)
        };
    }
    // CUDA accepts an unambiguous beginning of a UUID; the shortest it prints is longer than this.
    let matches = |i: &&usize| {
        devices[**i]
            .uuid
            .as_deref()
            .is_some_and(|uuid| uuid.eq_ignore_ascii_case(word) || (word.len() >= 8 && uuid.starts_with(word)))
    };
    gpus.iter().find(matches).copied()
}
