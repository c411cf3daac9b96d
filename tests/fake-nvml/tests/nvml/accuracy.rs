//! What a caller integrates through the library is the truth that the test computes.

use fake_nvml::config::{Config, Gpu, Profile};

use crate::fake::{Fake, square};

/// A second of polling: between any two updates of the counter the difference is the exact integral.
#[test]
fn differences_of_the_counter_are_the_true_energy_between_its_updates() {
    let fake = Fake::new(&Config::with(Gpu::new(Profile::V100, square(300.0, 90.0, 7.3)), 1));
    let device = fake.nvml.device_by_index(0).unwrap();
    let model = fake.gpu(0);
    let lattice = *model.counter.as_ref().unwrap().lattice();
    let start_ns = fake_nvml::clock::monotonic_ns();
    let mut updates: Vec<(i64, u64)> = Vec::new(); // (number of the update, millijoules)
    while fake_nvml::clock::monotonic_ns() < start_ns + 1_000_000_000 {
        let before = lattice.latest(fake_nvml::clock::monotonic_ns());
        let energy_mj = device.total_energy_consumption().unwrap();
        let after = lattice.latest(fake_nvml::clock::monotonic_ns());
        if before == after && updates.last().is_none_or(|&(number, _)| number != before) {
            updates.push((before, energy_mj)); // no update fell into the call: it is known which one was read
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(updates.len() >= 10, "{} updates in a second of 50", updates.len());
    for pair in updates.windows(2) {
        let [(first, from_mj), (second, to_mj)] = [pair[0], pair[1]];
        let exact_mj = model.truth.energy_j(lattice.tick_ns(first), lattice.tick_ns(second)) * 1e3;
        assert!(
            ((to_mj - from_mj) as f64 - exact_mj).abs() <= 1.0,
            "{} mJ, truth {exact_mj}",
            to_mj - from_mj
        );
    }
}
