//! What a look for sensors came to: found, not there, or there and shut, with the fix.
//!
//! Pure data for `powerprof doctor` and for the warnings of a run; nothing here looks at the machine.

use crate::model::device::DeviceId;

/// A family of sensors that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    Nvml,
    Rapl,
    Hwmon,
    Estimate,
    Simulated,
}

impl Family {
    /// The name users know.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nvml => "NVML (NVIDIA GPUs)",
            Self::Rapl => "RAPL (CPU and memory)",
            Self::Hwmon => "hwmon (AMD and Intel GPUs, Grace)",
            Self::Estimate => "CPU estimate",
            Self::Simulated => "simulated GPUs",
        }
    }
}

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Works; [`Finding::devices`] names what it gives.
    Found,
    /// This machine has no such hardware: nothing to fix, nothing to warn of.
    Absent,
    /// The hardware is there, or was asked for, and cannot be read: worth a warning.
    Blocked,
    /// Works, and something about it should be known.
    Note,
}

/// One line of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub family: Family,
    pub status: Status,
    /// A lowercase fragment: what was found, or why not.
    pub detail: String,
    /// What the user can do, a command where there is one.
    pub hint: Option<String>,
    /// The devices this is about.
    pub devices: Vec<DeviceId>,
}

impl Finding {
    /// A finding without devices and without a hint.
    pub fn new(family: Family, status: Status, detail: impl Into<String>) -> Self {
        Self {
            family,
            status,
            detail: detail.into(),
            hint: None,
            devices: Vec::new(),
        }
    }

    /// The same, with the fix.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same, about these devices.
    #[must_use]
    pub fn about(self, devices: impl IntoIterator<Item = DeviceId>) -> Self {
        Self {
            devices: devices.into_iter().collect(),
            ..self
        }
    }

    /// Whether a run should say this without being asked.
    pub fn is_warning(&self) -> bool {
        self.status == Status::Blocked
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.family.as_str(), self.detail)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
