//! Pictures of ordinary and odd runs: that they come out, whole, and say what they must.
//!
//! With `POWERPROF_TEST_PICTURES` set to a folder, the pictures are left there to be looked at.

use super::*;
use crate::model::units::{Joules, Seconds};
use crate::report::fixture;

fn keep(name: &str, input: &PlotInput) -> String {
    let text = svg(input).unwrap();
    let picture = png(input).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n"));
    if let Some(folder) = std::env::var_os("POWERPROF_TEST_PICTURES") {
        let folder = std::path::Path::new(&folder);
        std::fs::write(folder.join(format!("{name}.svg")), &text).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), &picture).unwrap();
    }
    text
}

#[test]
fn training_run() {
    let (analysis, spans, power) = fixture::training_with_readings();
    let text = keep(
        "training",
        &PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        },
    );
    for word in [
        "gpu0",
        "gpu1",
        "cpu0",
        "forward",
        "energy, kJ",
        "time since the start of the run, s",
        "W\n",
        "≤ 71 J",
    ] {
        assert!(text.contains(word), "the picture does not say {word:?}");
    }
    assert!(!text.contains("SIMULATED") && !text.contains("INCOMPLETE"));
}

#[test]
fn banners_are_in_the_picture() {
    let (mut analysis, spans, power) = fixture::training_with_readings();
    analysis.run.simulated = Some("h100".to_owned());
    analysis.run.complete = false;
    let text = keep(
        "banners",
        &PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        },
    );
    assert!(text.contains("SIMULATED") && text.contains("INCOMPLETE"));
}

#[test]
fn eight_devices_and_sixty_phases_for_ten_hours() {
    let (analysis, spans, power) = fixture::long_run();
    let text = keep(
        "long",
        &PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        },
    );
    assert!(text.contains("gpu7") && text.contains("run, h") && text.contains("smaller phases not shown"));
    assert!(text.len() < 4 << 20, "the picture has {} bytes", text.len());
}

#[test]
fn a_second_with_a_hole() {
    let (analysis, spans, power) = fixture::short_run();
    keep(
        "short",
        &PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        },
    );
}

#[test]
fn nothing_known() {
    let (analysis, spans) = (fixture::empty(), Spans::default());
    let text = keep(
        "empty",
        &PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &[],
        },
    );
    assert!(text.contains("no power readings"));
}

#[test]
fn odd_values_draw_something() {
    let (mut analysis, spans, mut power) = fixture::training_with_readings();
    for odd in [f64::NAN, f64::INFINITY, -1e300, 1e300, 0.0] {
        analysis.run.wall = Seconds(odd);
        for phase in &mut analysis.phases {
            phase.energy.joules = Some(Joules(odd));
            phase.energy.u95 = Some(Joules(odd));
        }
        power[0].watts[3] = odd;
        svg(&PlotInput {
            analysis: &analysis,
            spans: &spans,
            power: &power,
        })
        .unwrap();
    }
}
