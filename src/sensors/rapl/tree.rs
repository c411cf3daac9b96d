//! The powercap tree as it lies in sysfs: which zones there are, what they are called, how they nest.
//!
//! Pure reading of small files below a root that tests replace; opens no counter and judges nothing. `/sys/class/powercap` lists
//! every zone flat (`intel-rapl:0`, `intel-rapl:0:1`); a real tree nests them. Both are walked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel keeps it, below the root of sysfs.
pub const POWERCAP: &str = "class/powercap";

/// What a zone measures, by its `name` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// `package-N`, `package-N-die-M`.
    Package { package: u32, die: Option<u32> },
    /// Cores alone: in the package.
    Core,
    /// The integrated GPU, or what the vendor counts there: in the package.
    Uncore,
    /// Memory: beside the package.
    Dram,
    /// The whole platform: around the packages.
    Platform,
}

impl Domain {
    /// The domain of a zone with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "core" => Some(Self::Core),
            "uncore" => Some(Self::Uncore),
            "dram" => Some(Self::Dram),
            "psys" => Some(Self::Platform),
            _ => {
                let mut parts = name.strip_prefix("package-")?.split("-die-");
                let package = parts.next()?.parse().ok()?;
                let die = parts.next().map(str::parse).transpose().ok()?;
                Some(Self::Package { package, die })
            }
        }
    }
}

/// One zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its numbers: `[0, 1]` for `intel-rapl:0:1`. A zone's parent has all but the last.
    pub address: Vec<u32>,
    pub domain: Domain,
    pub folder: PathBuf,
    /// `max_energy_range_uj`.
    pub wraps_at: Option<u64>,
    /// The long-term power limit or the maximum it may be set to, microwatts: about the TDP.
    pub limit_uw: Option<u64>,
}

/// What lies in the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// By address: parents before their children.
    pub zones: Vec<Zone>,
    /// Zones with names that this program does not know, as `folder (name)`.
    pub unknown: Vec<String>,
}

/// Read the tree below `sysfs`. `None`: this kernel shows no RAPL zone.
pub fn read(sysfs: &Path) -> Option<Tree> {
    let mut folders = BTreeMap::new();
    collect(&sysfs.join(POWERCAP), 0, &mut folders);
    if folders.is_empty() {
        return None;
    }
    let mut tree = Tree::default();
    for (address, folder) in folders {
        let name = text(&folder, "name").unwrap_or_default();
        let Some(domain) = Domain::parse(&name) else {
            tree.unknown.push(format!("{} ({name})", folder.display()));
            continue;
        };
        tree.zones.push(Zone {
            address,
            domain,
            wraps_at: number(&folder, "max_energy_range_uj").filter(|&range| range > 0),
            limit_uw: number(&folder, "constraint_0_max_power_uw")
                .or_else(|| number(&folder, "constraint_0_power_limit_uw"))
                .filter(|&limit| limit > 0),
            folder,
        });
    }
    Some(tree)
}

/// Folders named as zones, here and, where zones nest, below. Only `intel-rapl:`, which AMD's driver uses too: `intel-rapl-mmio:`
/// shows the same packages a second time through another register.
fn collect(folder: &Path, depth: usize, found: &mut BTreeMap<Vec<u32>, PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Some(address) = entry.file_name().to_str().and_then(address) else {
            continue;
        };
        // A zone's depth is known from its name, so a link back up cannot lead in circles.
        if address.len() > depth && !found.contains_key(&address) {
            let depth = address.len();
            found.insert(address, entry.path());
            collect(&entry.path(), depth, found);
        }
    }
}

/// `[0, 1]` of `intel-rapl:0:1`.
fn address(folder_name: &str) -> Option<Vec<u32>> {
    folder_name
        .strip_prefix("intel-rapl:")?
        .split(':')
        .map(|number| number.parse().ok())
        .collect()
}

fn text(folder: &Path, file: &str) -> Option<String> {
    Some(fs::read_to_string(folder.join(file)).ok()?.trim().to_owned())
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    text(folder, file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_by_name() {
        let package = |package, die| Some(Domain::Package { package, die });
        assert_eq!(Domain::parse("package-1"), package(1, None));
        assert_eq!(Domain::parse("package-0-die-1"), package(0, Some(1)));
        assert_eq!(Domain::parse("psys"), Some(Domain::Platform));
        assert_eq!(Domain::parse("package-x"), None);
        assert_eq!(Domain::parse("gpu-soc"), None);
    }

    #[test]
    fn addresses_are_of_the_msr_tree_alone() {
        assert_eq!(address("intel-rapl:0"), Some(vec![0]));
        assert_eq!(address("intel-rapl:0:2"), Some(vec![0, 2]));
        assert_eq!(address("intel-rapl-mmio:0"), None);
        assert_eq!(address("intel-rapl"), None);
        assert_eq!(address("dtpm"), None);
    }
}
