//! What readings tell that are each the mean over a second, ten times a second: at the ends of a load, and of their own noise.

use super::laws::{analysed, chance, recording};
use super::part_time::{Load, board, recorded_by};

const WINDOW_MS: i64 = 1000;

/// How far what is said of a load of `steps` between idle seconds, and of the whole run, is from the truth, and how sure that is, by readings
/// that scatter by up to `noise_w`. J.
fn off_and_u95(steps: i64, noise_w: f64) -> [(f64, f64); 2] {
    let load = Load {
        steps,
        phases: [(17, 300.0), (12, 120.0)],
        scatter_ms: 2,
        idle_w: 60.0,
        noise_w: 0.0,
        window_ms: WINDOW_MS,
        counter_kind: None,
    };
    let mut run = recorded_by(5, &load, 43, false);
    run.power.counter.clear();
    let (mut update, mut shown) = (0, f64::NAN);
    for watts in &mut run.power.watts {
        update += i64::from(*watts != shown);
        shown = *watts;
        *watts += noise_w * chance(update);
    }
    let mut device = board(0, &load);
    device.power_timing.window_ms = Some(WINDOW_MS as f64);
    let analysis = analysed(&recording(vec![device], run.run_ms, &run.lines), run.power);
    let train = analysis.phases.iter().find(|phase| phase.path == "train");
    let train = train.expect("there is a load").energy;
    let idle = 2.0 * load.idle_w;
    [(train, run.joules), (analysis.total, run.joules + idle)].map(|(energy, truth)| {
        let (joules, u95) = energy.joules.zip(energy.u95).expect("resolved");
        (joules.get() - truth, u95.get())
    })
}

#[test]
fn an_idle_second_beside_the_load_tells_how_the_cells_at_its_ends_are_split() {
    // Two cells of a second are part idle, part load, and two reach out of the run: by what the device can draw at all, what is said could
    // be wrong by 200 and by 120 J.
    for (off, u95) in off_and_u95(2000, 0.0) {
        assert!(off.abs() < u95 && u95 < 20.0, "{off} ± {u95} J");
    }
}

#[test]
fn readings_that_scatter_make_the_sum_of_them_less_sure() {
    let ([(_, u95_calm), _], [(off, u95), _]) = (off_and_u95(4000, 0.0), off_and_u95(4000, 3.0));
    // 118 cells of a second; or ten times as many readings, as far as the model goes by them.
    let expected = 2.0 * (9.0 / 3.0 * 118.0_f64).sqrt();
    let more = (u95 * u95 - u95_calm * u95_calm).sqrt();
    assert!(off.abs() < u95, "{off} ± {u95} J");
    assert!(
        (0.3 * expected..1.5 * expected).contains(&more),
        "{more} J for {expected}"
    );
}
