//! GPUs that do not exist and behave as if they did (`--simulate PROFILE`): for demonstrations, documentation and tests.
//!
//! A [`truth::SimulatedTruth`] hears the markers and keeps, per GPU, the power that such phases would draw ([`curve`]). A
//! [`SimulatedGpu`] shows it as the sensor of its [`profile::Profile`] would: averages over a window, published on a lattice of
//! times that has nothing to do with when anyone asks.
//!
//! *Limits of validity.* Made up from one end to the other: every device is called SIMULATED and is of `Source::Simulated`. A program
//! that sends no markers is idle here. Marks that are heard after their time was already published take effect from there on.

pub mod curve;
pub mod noise;
pub mod profile;
pub mod publication;
pub mod truth;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::device::{Device, DeviceId, DeviceKind, SensorTiming, Source};
use crate::model::sample::{Columns, CounterUnit, PowerReading, StateReading};
use crate::model::units::Watts;
use crate::sensors::clock;
use crate::sensors::interface::{ReadError, Sensor};
use crate::sensors::nvml::visible::Listed;

use profile::{Profile, Simulation};
use publication::Publisher;
use truth::{Activity, SimulatedTruth};

const MEMORY_BYTES: u64 = 80 << 30;
const STATE_PERIOD: Duration = Duration::from_millis(100);
/// Clocks of an H100 at full and at no load.
const CLOCKS_MHZ: (f64, f64) = (1980.0, 345.0);
const MEMORY_CLOCK_MHZ: f64 = 2619.0;
/// Of a well-cooled server GPU, at idle and at its limit.
const TEMPERATURES_C: (f64, f64) = (31.0, 67.0);

/// One simulated GPU.
pub struct SimulatedGpu {
    device: Device,
    profile: &'static Profile,
    /// Position among the chosen.
    gpu: usize,
    truth: Arc<SimulatedTruth>,
    publisher: Publisher,
}

/// All GPUs of a simulation, to be chosen from as real ones are.
pub fn listed(simulation: &Simulation) -> Vec<Listed> {
    let all = 0..simulation.gpus as u32;
    all.map(|number| Listed {
        uuid: Some(uuid(simulation.profile, number)),
        name: simulation.profile.name.to_owned(),
    })
    .collect()
}

/// The `chosen` GPUs of a simulation, and the truth that the marker reader must tell what it hears.
pub fn simulate(simulation: &Simulation, chosen: &[u32]) -> (Vec<SimulatedGpu>, Arc<SimulatedTruth>) {
    let start = clock::now();
    let seen = Simulation {
        gpus: chosen.len(),
        ..simulation.clone()
    };
    let truth = Arc::new(SimulatedTruth::new(&seen, start));
    let gpus = chosen
        .iter()
        .enumerate()
        .map(|(ordinal, &number)| SimulatedGpu {
            device: device(simulation.profile, number, ordinal),
            profile: simulation.profile,
            gpu: ordinal,
            truth: Arc::clone(&truth),
            publisher: Publisher::new(simulation.profile, number as usize, start),
        })
        .collect();
    (gpus, truth)
}

/// In the form of NVML's, of the profile's word and the number: other boards are other devices, and the same ones are so everywhere.
fn uuid(profile: &Profile, number: u32) -> String {
    let mut word = [0_u8; 6];
    word.iter_mut()
        .zip(profile.word.bytes())
        .for_each(|(to, from)| *to = from);
    let [a, b, c, d, e, f] = word;
    format!("GPU-51000000-{a:02x}{b:02x}-{c:02x}{d:02x}-{e:02x}{f:02x}-{number:012}")
}

fn device(profile: &Profile, number: u32, ordinal: usize) -> Device {
    Device {
        id: DeviceId(format!("gpu{number}")),
        kind: DeviceKind::Gpu,
        source: Source::Simulated,
        name: format!("SIMULATED {}", profile.name),
        uuid: Some(uuid(profile, number)),
        index: Some(number),
        contained_in: None,
        architecture: Some(profile.architecture.to_owned()),
        power_limit: Some(profile.limit),
        memory_total_bytes: Some(MEMORY_BYTES),
        power_timing: SensorTiming {
            update_period_ms: Some(profile.period_ms),
            window_ms: Some(profile.window_ms),
            delay_ms: None,
        },
        counter_timing: SensorTiming {
            update_period_ms: Some(profile.counter_period_ms),
            ..SensorTiming::default()
        },
        calibration: None,
        properties: BTreeMap::from([
            ("simulated".to_owned(), profile.word.to_owned()),
            ("cuda_ordinal".to_owned(), ordinal.to_string()),
        ]),
    }
}

impl Sensor for SimulatedGpu {
    fn device(&self) -> &Device {
        &self.device
    }

    fn columns(&self) -> Columns {
        Columns {
            watts: true,
            average_watts: true,
            counter: Some(CounterUnit {
                joules: 1e-3,
                wraps_at: None,
            }),
            utilization: true,
            memory_utilization: false,
            memory_used: true,
            temperature: true,
            sm_clock: true,
            memory_clock: true,
            throttle_reasons: true,
            power_limit: true,
            samples: false,
        }
    }

    fn state_period(&self) -> Option<Duration> {
        Some(STATE_PERIOD)
    }

    fn read_power(&mut self) -> Result<PowerReading, ReadError> {
        let now = clock::now();
        Ok(self.truth.observe(self.gpu, |curve| self.publisher.read(curve, now)))
    }

    fn read_state(&mut self) -> Result<StateReading, ReadError> {
        let Activity { load, power, memory } = self.truth.activity(self.gpu);
        let Watts(limit) = self.profile.limit;
        let share = (power.0 / limit).clamp(0.0, 1.0);
        let between = |(high, low): (f64, f64), at: f64| low + (high - low) * at;
        Ok(StateReading {
            utilization_pct: Some((load * 100.0).round()),
            memory_utilization_pct: None,
            memory_used_bytes: Some((memory * MEMORY_BYTES as f64) as u64),
            temperature_c: Some(between((TEMPERATURES_C.1, TEMPERATURES_C.0), share).round()),
            sm_clock_mhz: Some(between(CLOCKS_MHZ, f64::from(u8::from(load > 0.0))).round()),
            memory_clock_mhz: Some(MEMORY_CLOCK_MHZ),
            throttle_reasons: Some(u64::from(load == 0.0)), // nvmlClocksEventReasonGpuIdle
            power_limit_watts: Some(limit),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_simulated_device_says_so() {
        let simulation = "h100x8".parse().expect("a profile");
        let (gpus, _) = simulate(&simulation, &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(gpus.len(), 8);
        for gpu in &gpus {
            assert!(gpu.device().name.starts_with("SIMULATED "));
            assert_eq!(gpu.device().source, Source::Simulated);
        }
    }

    #[test]
    fn every_board_of_every_profile_has_a_uuid_of_its_own() {
        let of = |profile| (0..2).map(move |gpu| uuid(profile, gpu));
        let all: std::collections::BTreeSet<String> = profile::PROFILES.iter().flat_map(of).collect();
        assert_eq!(all.len(), 2 * profile::PROFILES.len());
        assert!(all.contains("GPU-51000000-6131-3030-0000-000000000001"), "{all:?}");
        assert!(all.iter().all(|uuid| uuid.len() == "GPU-".len() + 36), "{all:?}");
        assert!(profile::PROFILES.iter().all(|profile| profile.word.len() <= 6));
    }

    #[test]
    fn an_idle_gpu_reads_about_its_idle_power_and_counts_up() {
        let simulation: Simulation = "v100".parse().expect("a profile");
        let (mut gpus, _) = simulate(&simulation, &[0]);
        std::thread::sleep(Duration::from_millis(60));
        let early = gpus[0].read_power().expect("reads");
        std::thread::sleep(Duration::from_millis(60));
        let late = gpus[0].read_power().expect("reads");
        let idle = simulation.profile.idle().0;
        assert!((late.watts.expect("watts") - idle).abs() < 0.1 * idle);
        assert!(late.counter > early.counter);
    }
}
