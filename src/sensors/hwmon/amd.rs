//! AMD GPUs: the hwmon files of `amdgpu` (Documentation/gpu/amdgpu, "GPU Power/Thermal Controls and Monitoring").
//!
//! *Limits of validity.* "On APUs this includes the CPU" (the same page, `power1_average`): a processor with a GPU inside is left to
//! RAPL, which measures the same package. Such a chip has no settable limit, by which it is told. The exact energy counter of the
//! data-centre parts is not in hwmon.

use super::tree::Chip;
use super::{Files, optional};

/// The driver's name.
pub const DRIVER: &str = "amdgpu";

/// What one chip is.
#[derive(Debug)]
pub enum Amd {
    Gpu(Files),
    /// CPU and GPU in one package.
    Apu,
    /// Nothing that can be read.
    Silent,
}

/// Look at a chip of this driver.
pub fn open(chip: &Chip) -> Amd {
    let (hwmon, device) = (&chip.folder, chip.device_folder());
    let instant = optional(hwmon, "power1_input");
    let average = optional(hwmon, "power1_average");
    let (power, average) = match instant {
        Some(instant) => (Some(instant), average),
        None => (average, None),
    };
    if power.is_none() {
        return Amd::Silent;
    }
    let limit = optional(hwmon, "power1_cap");
    if limit.is_none() {
        return Amd::Apu;
    }
    Amd::Gpu(Files {
        power,
        average,
        energy: None,
        busy_pct: optional(&device, "gpu_busy_percent"),
        memory_busy_pct: optional(&device, "mem_busy_percent"),
        memory_used: optional(&device, "mem_info_vram_used"),
        temperature: optional(hwmon, "temp1_input"),
        core_clock: optional(hwmon, "freq1_input"),
        memory_clock: optional(hwmon, "freq2_input"),
        limit,
    })
}

/// The board's name, where the driver knows it.
pub fn name(chip: &Chip) -> String {
    chip.text("product_name")
        .unwrap_or_else(|| format!("AMD GPU at {}", chip.address))
}
