//! fake nvml
