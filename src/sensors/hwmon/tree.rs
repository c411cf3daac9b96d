//! The hwmon chips of a machine, as sysfs lists them.
//!
//! Reads names alone, below a root that tests replace.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel keeps it, below the root of sysfs.
pub const HWMON: &str = "class/hwmon";

/// One chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chip {
    /// The driver's name for it: `amdgpu`, `xe`, `power_meter`.
    pub name: String,
    /// `.../hwmonN`.
    pub folder: PathBuf,
    /// The hardware behind it: a PCI address where it is a PCI device.
    pub address: String,
}

impl Chip {
    /// The folder of the hardware itself.
    pub fn device_folder(&self) -> PathBuf {
        self.folder.join("device")
    }

    /// The text of a file of the chip's, or of its device's: some drivers keep their attributes there.
    pub fn text(&self, file: &str) -> Option<String> {
        [self.folder.join(file), self.device_folder().join(file)]
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    /// The number in a file of the chip's, or of its device's.
    pub fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.parse().ok()
    }
}

/// Every chip below `sysfs`, by the address of its hardware: the order of `hwmonN` changes from boot to boot.
pub fn read(sysfs: &Path) -> Vec<Chip> {
    let Ok(entries) = fs::read_dir(sysfs.join(HWMON)) else {
        return Vec::new();
    };
    let mut chips: Vec<Chip> = entries
        .flatten()
        .filter_map(|entry| {
            let folder = entry.path();
            let name = fs::read_to_string(folder.join("name")).ok()?.trim().to_owned();
            let address = fs::canonicalize(folder.join("device"))
                .ok()
                .unwrap_or_else(|| folder.clone());
            let address = address
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            Some(Chip { name, folder, address })
        })
        .collect();
    chips.sort_by(|a, b| (&a.address, &a.folder).cmp(&(&b.address, &b.folder)));
    chips
}
