//! The calls that this library answers. Owns their names, for faults, latencies and counts; leaves to `ffi` what they
//! do.

macro_rules! calls {
    ($($call:ident)*) => {
        /// One function of nvml.h.
        #[expect(non_camel_case_types, reason = "the names are those of nvml.h")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call { $($call),* }

        impl Call {
            pub const ALL: &[Self] = &[$(Self::$call),*];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$call => stringify!($call)),* }
            }
        }
    };
}

calls! {
    nvmlInit
    nvmlInit_v2
    nvmlInitWithFlags
    nvmlShutdown
    nvmlErrorString
    nvmlSystemGetDriverVersion
    nvmlSystemGetNVMLVersion
    nvmlSystemGetCudaDriverVersion
    nvmlSystemGetCudaDriverVersion_v2
    nvmlDeviceGetCount
    nvmlDeviceGetCount_v2
    nvmlDeviceGetHandleByIndex
    nvmlDeviceGetHandleByIndex_v2
    nvmlDeviceGetHandleByUUID
    nvmlDeviceGetHandleBySerial
    nvmlDeviceGetHandleByPciBusId_v2
    nvmlDeviceGetIndex
    nvmlDeviceGetMinorNumber
    nvmlDeviceGetName
    nvmlDeviceGetUUID
    nvmlDeviceGetSerial
    nvmlDeviceGetBrand
    nvmlDeviceGetPciInfo_v3
    nvmlDeviceGetArchitecture
    nvmlDeviceGetCudaComputeCapability
    nvmlDeviceGetC2cModeInfoV
    nvmlDeviceGetPowerUsage
    nvmlDeviceGetTotalEnergyConsumption
    nvmlDeviceGetFieldValues
    nvmlDeviceGetSamples
    nvmlDeviceGetPowerManagementMode
    nvmlDeviceGetPowerManagementLimit
    nvmlDeviceGetPowerManagementDefaultLimit
    nvmlDeviceGetPowerManagementLimitConstraints
    nvmlDeviceGetEnforcedPowerLimit
    nvmlDeviceGetUtilizationRates
    nvmlDeviceGetProcessUtilization
    nvmlDeviceGetMemoryInfo
    nvmlDeviceGetMemoryInfo_v2
    nvmlDeviceGetTemperature
    nvmlDeviceGetTemperatureV
    nvmlDeviceGetClockInfo
    nvmlDeviceGetMaxClockInfo
    nvmlDeviceGetCurrentClocksThrottleReasons
    nvmlDeviceGetCurrentClocksEventReasons
    nvmlDeviceGetPerformanceState
    nvmlDeviceGetPersistenceMode
    nvmlDeviceGetComputeMode
    nvmlDeviceGetMigMode
    nvmlDeviceGetComputeRunningProcesses
    nvmlDeviceGetComputeRunningProcesses_v2
    nvmlDeviceGetComputeRunningProcesses_v3
    nvmlDeviceGetGraphicsRunningProcesses
    nvmlDeviceGetGraphicsRunningProcesses_v2
    nvmlDeviceGetGraphicsRunningProcesses_v3
    nvmlDeviceGetFanSpeed
    nvmlDeviceGetPcieThroughput
    nvmlDeviceGetTotalEccErrors
    nvmlDeviceGetDisplayMode
    nvmlDeviceGetDisplayActive
    nvmlDeviceGetEncoderUtilization
    nvmlDeviceGetDecoderUtilization
    nvmlDeviceGetDriverModel_v2
    nvmlDeviceIsMigDeviceHandle
    nvmlDeviceSetPowerManagementLimit
    nvmlDeviceSetPersistenceMode
}

impl Call {
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|call| call.name() == name)
    }
}
