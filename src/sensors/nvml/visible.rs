//! Which GPUs a CUDA program will see: `CUDA_VISIBLE_DEVICES`, read as the CUDA runtime reads it.
//!
//! Pure: takes the variable's text and the machine's GPUs, gives positions in NVML's order. The rules (CUDA C Programming Guide,
//! "CUDA Environment Variables", and the parser in PyTorch's `torch/cuda/__init__.py` for what the guide leaves open):
//! - entries are indices, or UUIDs that may be cut short as long as one GPU alone begins so;
//! - the first entry that is not valid ends the list: it and all after it are not visible;
//! - an entry given twice makes the whole list empty;
//! - the first entry decides whether the list is of indices, of GPUs or of MIG instances.
//!
//! *Limits of validity.* CUDA counts fastest first unless `CUDA_DEVICE_ORDER=PCI_BUS_ID`; NVML counts by PCI bus. On a machine with
//! different GPUs an index may mean another one, and a note says so; with equal GPUs the two orders are the same.

/// A GPU as NVML lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub uuid: Option<String>,
    pub name: String,
}

/// What is visible, in the order in which CUDA counts it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visible {
    /// NVML indices.
    pub indices: Vec<u32>,
    /// What a user should know about it.
    pub notes: Vec<String>,
}

/// Read `spec`. `mig_parent` finds the GPU that a MIG instance's UUID belongs to; `by_pci_bus` is whether
/// `CUDA_DEVICE_ORDER=PCI_BUS_ID`.
pub fn visible(spec: &str, gpus: &[Listed], by_pci_bus: bool, mig_parent: impl Fn(&str) -> Option<u32>) -> Visible {
    let spec = spec.trim();
    let mut seen = Visible::default();
    if spec.is_empty() {
        return seen;
    }
    if spec.starts_with("MIG-") {
        return mig_instances(spec, gpus, mig_parent);
    }
    let by_uuid = spec.starts_with("GPU-");
    for entry in spec.split(',').map(str::trim) {
        let found = if by_uuid {
            by_uuid_prefix(entry, gpus)
        } else {
            by_index(entry, gpus)
        };
        let Some(index) = found else {
            seen.notes.push(format!(
                "CUDA_VISIBLE_DEVICES: no GPU `{entry}`; CUDA ignores it and everything after it"
            ));
            break;
        };
        if seen.indices.contains(&index) {
            seen.notes.push(format!(
                "CUDA_VISIBLE_DEVICES names GPU {index} twice; CUDA then sees no GPU at all"
            ));
            seen.indices.clear();
            return seen;
        }
        seen.indices.push(index);
    }
    let mixed = gpus.iter().any(|gpu| gpu.name != gpus[0].name);
    if !by_uuid && mixed && !by_pci_bus {
        seen.notes.push(
            "this machine has different GPUs and CUDA_DEVICE_ORDER is not PCI_BUS_ID: CUDA may count them in another order than \
             powerprof; set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name GPUs by UUID"
                .to_owned(),
        );
    }
    seen
}

/// GPUs chosen by name on powerprof's own command line: NVML indices or UUIDs (whole or cut short), in any mixture. Returns the
/// entries that name none. Repeating one is harmless.
pub fn listed(entries: &[String], gpus: &[Listed]) -> (Vec<u32>, Vec<String>) {
    let mut indices = Vec::new();
    let mut unknown = Vec::new();
    for entry in entries.iter().map(|e| e.trim()) {
        let found = if entry.starts_with("GPU-") {
            by_uuid_prefix(entry, gpus)
        } else {
            entry.parse().ok().filter(|&i: &u32| (i as usize) < gpus.len())
        };
        match found {
            Some(index) if indices.contains(&index) => {}
            Some(index) => indices.push(index),
            None => unknown.push(entry.to_owned()),
        }
    }
    (indices, unknown)
}

/// CUDA reads an index as `strtol` does: a number, and whatever stands behind it is not looked at.
fn by_index(entry: &str, gpus: &[Listed]) -> Option<u32> {
    let unsigned = entry.strip_prefix('+').unwrap_or(entry);
    let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let index: u32 = unsigned[..digits].parse().ok()?;
    ((index as usize) < gpus.len()).then_some(index)
}

fn by_uuid_prefix(entry: &str, gpus: &[Listed]) -> Option<u32> {
    if !entry.starts_with("GPU-") {
        return None;
    }
    let mut matches = (0_u32..).zip(gpus).filter(|(_, gpu)| {
        gpu.uuid
            .as_deref()
            .and_then(|uuid| uuid.get(..entry.len()))
            .is_some_and(|start| start.eq_ignore_ascii_case(entry))
    });
    let (index, _) = matches.next()?;
    matches.next().is_none().then_some(index)
}

/// MIG instances, in both spellings: `MIG-<uuid>` and, before driver 470, `MIG-GPU-<uuid of the GPU>/gi/ci`. Power exists for the
/// whole GPU alone, so the GPU is recorded.
fn mig_instances(spec: &str, gpus: &[Listed], parent: impl Fn(&str) -> Option<u32>) -> Visible {
    let mut seen = Visible::default();
    for entry in spec.split(',').map(str::trim) {
        let found = match entry.strip_prefix("MIG-").filter(|rest| rest.starts_with("GPU-")) {
            Some(old) => by_uuid_prefix(old.split('/').next().unwrap_or(old), gpus),
            None if entry.starts_with("MIG-") => parent(entry),
            None => None,
        };
        let Some(index) = found else {
            seen.notes
                .push(format!("CUDA_VISIBLE_DEVICES: no MIG instance `{entry}`"));
            break;
        };
        seen.notes.push(format!(
            "MIG instance {entry} is part of GPU {index}: power and energy exist for the whole GPU alone, and include its other \
             instances"
        ));
        if !seen.indices.contains(&index) {
            seen.indices.push(index);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn machine(n: usize) -> Vec<Listed> {
        (0..n)
            .map(|i| Listed {
                uuid: Some(format!("GPU-{i}{i}aa-{i}")),
                name: "H100".into(),
            })
            .collect()
    }

    fn indices(spec: &str) -> Vec<u32> {
        visible(spec, &machine(4), false, |_| None).indices
    }

    #[test]
    fn indices_in_the_order_given() {
        assert_eq!(indices("2,0"), [2, 0]);
        assert_eq!(indices(" 1 , 3 "), [1, 3]);
        assert_eq!(indices("0x,1"), [0, 1]);
    }

    #[test]
    fn the_first_invalid_entry_ends_the_list() {
        assert_eq!(indices("0,7,1"), [0]);
        assert_eq!(indices("0,-1,1"), [0]);
        assert!(indices("-1").is_empty());
        assert!(indices("").is_empty());
        assert!(indices("none").is_empty());
        assert_eq!(indices("0,GPU-11aa,1"), [0]);
        assert_eq!(visible("0,7,1", &machine(4), false, |_| None).notes.len(), 1);
    }

    #[test]
    fn a_repeated_entry_hides_everything() {
        assert!(indices("1,1").is_empty());
        assert!(indices("GPU-11aa,GPU-11").is_empty());
    }

    #[test]
    fn uuids_by_unique_prefix() {
        assert_eq!(indices("GPU-33aa-3,GPU-11"), [3, 1]);
        assert!(indices("gpu-33").is_empty(), "the prefix is spelt as CUDA wants it");
        assert!(indices("GPU-").is_empty(), "four GPUs begin so");
        assert_eq!(indices("GPU-22AA"), [2]);
    }

    #[test]
    fn mig_instances_are_their_gpu_once_with_a_note() {
        let parent = |uuid: &str| (uuid == "MIG-new").then_some(2);
        let both = visible("MIG-new,MIG-GPU-22aa/1/0", &machine(4), false, parent);
        assert_eq!(both.indices, [2]);
        assert_eq!(both.notes.len(), 2);
        assert!(visible("MIG-other", &machine(4), false, parent).indices.is_empty());
    }

    #[test]
    fn different_gpus_by_index_get_a_warning_unless_the_order_is_set() {
        let mut gpus = machine(2);
        gpus[1].name = "T4".into();
        assert_eq!(visible("0", &gpus, false, |_| None).notes.len(), 1);
        assert_eq!(visible("0", &gpus, true, |_| None).notes.len(), 0);
        assert_eq!(visible("GPU-00", &gpus, false, |_| None).notes.len(), 0);
    }

    #[test]
    fn our_own_list_mixes_forms_and_reports_strangers() {
        let entries = ["1", "GPU-33", "9", "1", "GPU-x"].map(String::from);
        assert_eq!(
            listed(&entries, &machine(4)),
            (vec![1, 3], vec!["9".into(), "GPU-x".into()])
        );
    }

    proptest! {
        #[test]
        fn any_text_gives_distinct_indices_of_this_machine(spec in ".{0,40}", n in 0_usize..5) {
            let seen = visible(&spec, &machine(n), false, |_| None).indices;
            prop_assert!(seen.iter().all(|&i| (i as usize) < n));
            let mut distinct = seen.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), seen.len());
        }

        #[test]
        fn a_valid_list_is_taken_as_it_stands(order in Just(vec![0_u32, 1, 2, 3]).prop_shuffle(), take in 0_usize..=4) {
            let spec = order[..take].iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            prop_assert_eq!(indices(&spec), &order[..take]);
        }
    }
}
