//! The doubts of a few cells, by hand.

use super::*;
use crate::energy::difference::tests::{cell, part_time};
use crate::energy::interval;
use crate::energy::uncertainty::k95;

const IDLE: usize = 1;

/// A load that ran often, 300 W with a grain of 1 J, and an idle device, 60 W and calm, known to a tenth.
fn expected() -> Expected {
    Expected {
        watts: vec![300.0, 60.0],
        covariance: Symmetric {
            n: 2,
            a: vec![0.0, 0.0, 0.0, 36.0],
        },
        known: vec![true, true],
        repeated: vec![true, false],
        levels: Levels::default(),
        scatter: vec![300.0, 0.0],
        grain: 1.0,
        is_idle: false,
        is_counted: false,
        rounded: 0.0,
        lag: vec![0.0; 3],
        own_lag: vec![0.0; 2],
        moved: vec![0.0; 2],
        long: vec![true; 3],
        own_long: vec![true; 2],
    }
}

/// A tenth of a second, half of it the load's.
fn edge(expected: &Expected, joules: f64) -> Option<Edge> {
    let cell = Cell {
        start: 0,
        end: 100_000_000,
        joules,
        known: true,
        ends_s: [0.0; 2],
        variance: 0.0,
    };
    expected.edge((0, &cell), &[(0, 0.05), (IDLE, 0.05)], |leaf| leaf == 0)
}

/// The run that this cell is: half of it the load's, half of it idle.
fn halves() -> Timeline {
    Timeline {
        edges: vec![0, 50_000_000, 100_000_000],
        states: vec![0, 1],
        table: vec![vec![(0, 1.0)], vec![(1, 1.0)]],
        leaves: 2,
    }
}

fn u95(edges: &[(Edge, Place)]) -> f64 {
    let mut doubts = Doubts::default();
    for (edge, place) in edges {
        doubts.edge(edge, *place, [0.0; 2], 0.0, (f64::INFINITY, f64::INFINITY));
    }
    doubts.u95(0.0)
}

#[test]
fn a_cell_as_expected_is_doubted_by_chance_and_by_what_the_means_may_be() {
    // a = 15 J, b = 3 J, p = 5/6; of the load's variance of 15 J^2 a sixth squared is left, and none of the idle's.
    let edge = edge(&expected(), 18.0).expect("both are known");
    assert!((edge.variance - 15.0 / 36.0).abs() < 1e-9, "{edge:?}");
    // A tenth of b: 18 J * 5/36 * 0.1, at 95 %.
    assert!((edge.means - K95 * 0.25).abs() < 1e-9, "{edge:?}");
    let begin = u95(&[(edge, Place::Begin)]);
    assert!(
        (begin - (K95 * 0.25).hypot(K95 * (15.0_f64 / 36.0).sqrt())).abs() < 1e-9,
        "{begin}"
    );
    // What a lag moves is the same whatever else there is.
    let mut doubts = Doubts::default();
    doubts.edge(&edge, Place::Begin, [0.0; 2], 0.0, (f64::INFINITY, f64::INFINITY));
    doubts.lagging(0.24);
    assert!((doubts.u95(0.0) - begin.hypot(0.24)).abs() < 1e-9);
}

#[test]
fn chance_adds_in_quadrature_and_what_is_common_adds_linearly() {
    let chance = Edge {
        variance: 1.0,
        ..Edge::default()
    };
    let common = Edge {
        means: 1.0,
        ..Edge::default()
    };
    assert!((u95(&[(chance, Place::Begin); 16]) - 4.0 * K95).abs() < 1e-9);
    assert!((u95(&[(common, Place::Begin); 16]) - 16.0).abs() < 1e-9);
}

#[test]
fn the_ends_of_a_cell_are_the_phases_and_the_rests() {
    let edge = Edge {
        ends_w2: [300.0_f64.powi(2), 60.0_f64.powi(2)],
        ..Edge::default()
    };
    let doubt = |place: Place| {
        let mut doubts = Doubts::default();
        doubts.edge(&edge, place, [0.01, 0.1], 0.0, (f64::INFINITY, f64::INFINITY));
        doubts.u95(0.0)
    };
    // A phase that begins goes on to the cell's end, which is less sure here. One rectangle in two is most of the variance.
    let [begin, end] = [[30.0_f64, 0.6], [3.0, 6.0]].map(|[own, rest]| {
        let variance = own.powi(2) + rest.powi(2);
        k95(variance, own.powi(4) + rest.powi(4)) * variance.sqrt()
    });
    assert!((doubt(Place::Begin) - begin).abs() < 1e-9 && (doubt(Place::End) - end).abs() < 1e-9);
    assert!(doubt(Place::Within) > 0.99 * begin, "either end may be the phase's");
}

#[test]
fn a_strange_cell_is_doubted_by_as_much_as_it_is_strange() {
    let expected = expected();
    let at = |joules: f64| edge(&expected, joules).expect("both are known");
    let (usual, strange) = (u95(&[(at(18.0), Place::Begin)]), u95(&[(at(48.0), Place::Begin)]));
    // 30 J too much, of which the idle device may have had all: 25 of them were given to the load.
    assert!(usual < 2.0 && strange > 0.9 * 25.0, "{usual} {strange}");
    // A surprise to either side at each of many edges is chance; the same each time is not.
    let mixed: Vec<_> = (0..16).map(|i| (at(18.0 + [4.0, -4.0][i % 2]), Place::Begin)).collect();
    let alike = vec![(at(14.0), Place::Begin); 16];
    assert!(u95(&alike) > 2.0 * u95(&mixed), "{} {}", u95(&alike), u95(&mixed));
}

#[test]
fn the_load_is_expected_at_its_level() {
    let high = Expected {
        levels: Levels {
            of_cells: vec![1.2],
            are_load: vec![true, false],
        },
        ..expected()
    };
    // 300 W a fifth higher and 60 W, each for half of a tenth of a second: 21 J, of which the load has 18.
    let edge = edge(&high, 21.0).expect("both are known");
    assert!(edge.surprise[0].abs() < 1e-9, "{edge:?}");
    let timeline = halves();
    let curve = part_time(vec![cell((0, 100), 21.0)], 1.0);
    let split = interval::split(&curve, &timeline, &[None], Some(&high.watts), Some(&high));
    assert!((split.leaves[0] - 18.0).abs() < 1e-6, "{split:?}");
}

#[test]
fn what_a_lag_moves_in_the_mean_is_moved_and_nothing_is_lost() {
    let timeline = halves();
    let curve = part_time(vec![cell((0, 100), 18.0)], 1.0);
    let moved = Expected {
        moved: vec![-0.5, 0.5],
        ..expected()
    };
    let split = interval::split(&curve, &timeline, &[None], Some(&moved.watts), Some(&moved));
    assert_eq!(split.leaves, [14.5, 3.5]);
    let figures: Vec<f64> = split.figures.iter().map(|figure| figure.joules).collect();
    assert_eq!(figures, [14.5, 3.5, 18.0]);
}

#[test]
fn what_is_not_known_is_left_to_the_bounds() {
    let unknown = Expected {
        known: vec![true, false],
        ..expected()
    };
    assert_eq!(edge(&unknown, 18.0), None);
    // Two single phases: a swing in step with the cells would not show.
    let once = Expected {
        repeated: vec![false, false],
        ..expected()
    };
    assert_eq!(edge(&once, 18.0), None);
}

#[test]
fn an_idle_device_is_as_calm_at_the_ends_of_the_run_as_it_was_seen_to_be() {
    // A twentieth of a second of the run, and as much before it, all idle; its cells scatter by 4 J^2/s.
    let end = |is_idle: bool| {
        let expected = Expected {
            is_idle,
            scatter: vec![300.0, 4.0],
            ..expected()
        };
        let cell = Cell {
            start: 0,
            end: 100_000_000,
            joules: 6.0,
            known: true,
            ends_s: [0.0; 2],
            variance: 0.0,
        };
        expected.edge((0, &cell), &[(IDLE, 0.05)], |_| true).expect("known")
    };
    // Half of each half's: (0.25 + 0.25) 4 J^2/s 0.05 s; what is no calmer than the load, by 60 J^2/s.
    assert!((end(true).variance - 0.1).abs() < 1e-9, "{:?}", end(true));
    assert!((end(false).variance - 1.5).abs() < 1e-9, "{:?}", end(false));
}

#[test]
fn a_surprise_is_no_larger_than_the_device_can_make_it() {
    let edge = edge(&expected(), 6.0).expect("both are known");
    let mut doubts = Doubts::default();
    doubts.edge(&edge, Place::End, [0.0; 2], 0.0, (0.1, 0.1));
    assert!(doubts.u95(0.0) < u95(&[(edge, Place::End)]));
}

#[test]
fn what_the_timing_of_ends_adds_to_a_counted_cell_is_no_scatter_of_the_power_and_no_surprise() {
    let (seen, timing) = (5.0, 4.0);
    let sums = Sums {
        squares: seen,
        timing,
        ..Sums::default()
    };
    assert_eq!([1.0, 2.0].map(|few| sums.own_squares(few)), [1.0, 2.0]);
    let chance = |is_counted: bool| {
        let expected = Expected {
            is_counted,
            ..expected()
        };
        let cell = Cell {
            start: 0,
            end: 100_000_000,
            joules: 18.0,
            known: true,
            ends_s: [1e-2; 2],
            variance: 0.0,
        };
        let edge = expected.edge((0, &cell), &[(0, 0.05), (IDLE, 0.05)], |leaf| leaf == 0);
        edge.expect("both are known").chance[1]
    };
    // 10 ms of 300 W at one end, of 60 W at the other, of which 5/6 would be the load's: beside what the load scatters by.
    assert!((chance(true) - chance(false) - (9.0 + 0.36) * 25.0 / 36.0).abs() < 1e-9);
}

#[test]
fn what_a_counter_of_whole_steps_rounds_off_is_left_at_the_ends_of_phases_alone() {
    let rounded = 3.0;
    let expected = Expected {
        is_counted: true,
        rounded,
        ..expected()
    };
    let edge = edge(&expected, 18.0).expect("both are known");
    // Of what the cell began with 5/6 are the phase's error, of what it ended with the sixth that the next cell does not give back.
    assert!((edge.rounded[0] - rounded / 36.0).abs() < 1e-9 && (edge.rounded[1] - rounded * 25.0 / 36.0).abs() < 1e-9);
    let alone = Edge {
        rounded: edge.rounded,
        ..Edge::default()
    };
    let (variance, squares) = (3.0 * 26.0 / 36.0, 9.0 * (1.0 + 625.0) / 1296.0);
    let doubt = u95(&[(alone, Place::Begin)]);
    assert!(
        (doubt - k95(variance, squares) * f64::sqrt(variance)).abs() < 1e-9,
        "{doubt}"
    );
}

#[test]
fn a_surprise_that_chance_explains_is_in_the_variance_already() {
    let doubt = |sum: f64| {
        let edge = Edge {
            surprise: [sum, 0.0],
            chance: [1.0, 0.0],
            ..Edge::default()
        };
        u95(&[(edge, Place::Begin)])
    };
    assert_eq!(doubt(2.5), 0.0);
    // What is beyond 99 % of chance, in squares.
    assert!((doubt(3.0).hypot(2.58) - 3.0).abs() < 1e-9 && doubt(10.0) > 9.6);
}
