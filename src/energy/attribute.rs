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
    /// For each phase, whether a rank in it ran on a GPU that is not recorded: the phase's energy lacks that GPU's.
    pub lacks: Vec<bool>,
    pub warnings: Vec<String>,
}

/// Work out who runs on what.
pub fn owners(recording: &Recording, spans: &Spans) -> Ownership {
    let devices = &recording.devices;
    let mut ownership = Ownership {
        ranks: vec![Vec::new(); devices.len()],
        lacks: vec![false; spans.phases.len()],
        warnings: Vec::new(),
    };
    let all: Vec<u32> = spans.ranks.iter().map(|r| r.rank).collect();
    let gpus: Vec<usize> = (0..devices.len())
        .filter(|&i| devices[i].kind == DeviceKind::Gpu)
        .collect();
    // A trainer counts the GPUs that CUDA shows it, not those of the machine.
    let renumbered = recording.run.environment.contains_key("CUDA_VISIBLE_DEVICES");
    let (mut elsewhere, mut silent) = (Vec::new(), Vec::new());
    for rank in &spans.ranks {
        let told = ownership.warnings.len();
        let found = gpus_of(rank, &all, devices, &gpus, renumbered, &mut ownership.warnings);
        let is_silent = rank.devices.is_none() && found.is_empty() && !gpus.is_empty();
        if is_silent {
            silent.push(rank.rank);
        }
        if is_silent || ownership.warnings.len() > told {
            elsewhere.push(rank.rank);
        }
        for gpu in found {
            if !ownership.ranks[gpu].contains(&rank.rank) {
                ownership.ranks[gpu].push(rank.rank);
            }
        }
    }
    for instance in spans.instances.iter().filter(|i| elsewhere.contains(&i.rank)) {
        ownership.lacks[instance.phase.0] = true;
    }
    ownership.warnings.extend(of_silent(&silent));
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

/// Ranks that said nothing, and of whose numbers no GPU is recorded.
fn of_silent(ranks: &[u32]) -> Option<String> {
    let (first, rest) = ranks.split_first()?;
    let (who, they) = match rest.len() {
        0 => (format!("rank {first}, which"), "it draws is not in its"),
        1 => (
            format!("ranks {first} and {}, which", rest[0]),
            "they draw is not in their",
        ),
        more => (
            format!("rank {first} and {more} more, which"),
            "they draw is not in their",
        ),
    };
    Some(format!(
        "no GPU is recorded for {who} never said `devices=`: what {they} phases, whose samples per joule are unknown"
    ))
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
                "rank {} runs on `{word}`, which is no recorded GPU: that device's energy is not in its phases, whose samples per joule are unknown",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::laws::{gpu, recording};
    use crate::energy::spans;
    use crate::model::marker::MarkerVerb::{Begin, End};

    /// Rank 0 in `one`, `both` and rank 1 in `both`, on so many GPUs; `said` by rank 1.
    fn owned(gpus: u32, said: Option<&str>) -> Ownership {
        let lines = [
            (0.0, Begin, "one", 0),
            (100.0, End, "one", 0),
            (100.0, Begin, "both", 0),
            (100.0, Begin, "both", 1),
            (200.0, End, "both", 0),
            (200.0, End, "both", 1),
        ];
        let mut recording = recording((0..gpus).map(gpu).collect(), 1000, &lines);
        recording.markers[3].devices = said.map(str::to_owned);
        let spans = spans(&recording.markers, recording.interval());
        owners(&recording, &spans)
    }

    #[test]
    fn a_rank_that_never_said_where_it_runs_may_run_on_what_is_not_recorded() {
        let owned = owned(1, None);
        assert_eq!(owned.ranks, [[0]]);
        assert_eq!(owned.lacks, [false, true]);
        assert_eq!(
            owned.warnings,
            [
                "no GPU is recorded for rank 1, which never said `devices=`: what it draws is not in its phases, whose samples per joule are unknown"
            ]
        );
    }

    #[test]
    fn a_rank_on_another_gpu_than_the_recorded_lacks_its_energy_and_one_on_a_shared_gpu_does_not() {
        let elsewhere = owned(1, Some("1"));
        assert_eq!((elsewhere.lacks, elsewhere.warnings.len()), (vec![false, true], 1));
        let shared = owned(1, Some("0"));
        assert_eq!((shared.lacks, shared.warnings.len()), (vec![false, false], 0));
    }

    #[test]
    fn with_a_gpu_for_each_rank_or_none_at_all_nothing_is_missing() {
        for gpus in [0, 2] {
            let owned = owned(gpus, None);
            assert_eq!((owned.lacks, owned.warnings.len()), (vec![false, false], 0));
        }
    }
}
