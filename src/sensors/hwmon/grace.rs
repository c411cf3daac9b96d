//! NVIDIA Grace: ACPI power meters, which say in `power1_oem_info` what they measure ("NVIDIA Grace Performance Tuning Guide", power
//! telemetry).
//!
//! `Grace Power Socket N` is the whole socket, `CPU Power Socket N` its cores within. `Module Power Socket N` holds the GPU too and is
//! read through NVML, which relates it to the GPU; `SysIO` is a part of the socket that no trainer drives. Meters of other machines
//! (a server's power supplies) have no such text: they measure everything once a second, and are left out.

use super::tree::Chip;
use super::{Files, optional};
use crate::model::device::DeviceKind;

/// The driver's name.
pub const DRIVER: &str = "power_meter";

/// What a meter measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meter {
    Socket(u32),
    Cores(u32),
    /// GPU and CPU together, or a part that is not recorded.
    Other,
}

impl Meter {
    /// From `power1_oem_info`.
    pub fn parse(oem_info: &str) -> Self {
        let number = |prefix: &str| oem_info.strip_prefix(prefix)?.trim().parse().ok();
        if let Some(socket) = number("Grace Power Socket") {
            Self::Socket(socket)
        } else if let Some(socket) = number("CPU Power Socket") {
            Self::Cores(socket)
        } else {
            Self::Other
        }
    }

    /// The device's kind and number, if it is recorded.
    pub fn device(self) -> Option<(DeviceKind, u32)> {
        match self {
            Self::Socket(n) => Some((DeviceKind::Cpu, n)),
            Self::Cores(n) => Some((DeviceKind::CpuCores, n)),
            Self::Other => None,
        }
    }
}

/// A meter's file. The ACPI driver keeps its attributes with the device, newer ones with the chip.
pub fn open(chip: &Chip) -> Option<Files> {
    let power =
        optional(&chip.folder, "power1_average").or_else(|| optional(&chip.device_folder(), "power1_average"))?;
    Some(Files {
        power: Some(power),
        ..Files::default()
    })
}

/// What it averages over, milliseconds: the firmware's setting.
pub fn interval_ms(chip: &Chip) -> Option<f64> {
    chip.number("power1_average_interval")
        .filter(|&ms| ms > 0)
        .map(|ms| ms as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_by_their_own_words() {
        assert_eq!(Meter::parse("Grace Power Socket 1"), Meter::Socket(1));
        assert_eq!(Meter::parse("CPU Power Socket 0"), Meter::Cores(0));
        assert_eq!(Meter::parse("Module Power Socket 0"), Meter::Other);
        assert_eq!(Meter::parse("SysIO Power Socket 0"), Meter::Other);
        assert_eq!(Meter::parse(""), Meter::Other);
    }
}
