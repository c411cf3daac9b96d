//! `nvmlReturn_t`. Owns the numbers and the texts of `nvmlErrorString`; leaves to others when each is returned.

use serde::{Deserialize, Serialize};

/// What a call returns. Numbers of `nvmlReturn_enum` in nvml.h 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(i32)]
pub enum Status {
    Success = 0,
    Uninitialized = 1,
    InvalidArgument = 2,
    NotSupported = 3,
    NoPermission = 4,
    AlreadyInitialized = 5,
    NotFound = 6,
    InsufficientSize = 7,
    InsufficientPower = 8,
    DriverNotLoaded = 9,
    Timeout = 10,
    IrqIssue = 11,
    LibraryNotFound = 12,
    FunctionNotFound = 13,
    CorruptedInforom = 14,
    GpuIsLost = 15,
    ResetRequired = 16,
    OperatingSystem = 17,
    LibRmVersionMismatch = 18,
    InUse = 19,
    Memory = 20,
    NoData = 21,
    ArgumentVersionMismatch = 25,
    Unknown = 999,
}

impl Status {
    /// Text of a status number, for `nvmlErrorString`.
    #[must_use]
    pub fn describe(code: i32) -> &'static std::ffi::CStr {
        match code {
            0 => c"Success",
            1 => c"Uninitialized",
            2 => c"Invalid Argument",
            3 => c"Not Supported",
            4 => c"Insufficient Permissions",
            5 => c"Already Initialized",
            6 => c"Not Found",
            7 => c"Insufficient Size",
            8 => c"Insufficient External Power",
            9 => c"Driver Not Loaded",
            10 => c"Timeout",
            11 => c"Interrupt Request Issue",
            12 => c"NVML Shared Library Not Found",
            13 => c"Function Not Found",
            14 => c"Corrupted infoROM",
            15 => c"GPU is lost",
            16 => c"GPU requires restart",
            17 => c"The operating system has blocked the request",
            18 => c"RM has detected an NVML/RM version mismatch",
            19 => c"GPU is currently in use",
            20 => c"Insufficient Memory",
            21 => c"No data",
            25 => c"Versions do not match",
            _ => c"Unknown Error",
        }
    }
}
