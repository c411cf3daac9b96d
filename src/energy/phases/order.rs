//! The order in which markers are read: that of their arrival, but for what several threads or processes of a rank sent side by side.
//!
//! A stamp is taken before its line is written, and between the two another thread may write:
//! - a `mark` or `metric` stands among the spans of its rank where its stamp says;
//! - a `begin` or `end` changes places only where the spans then nest better. One thread of a rank opens spans as a rule, and if its stamps
//!   run back, it is the order of its lines that is right.
//!
//! Nothing passes a marker that arrived long before or after it, and no mark passes one that has no stamp of its own. The `begin` and `end`
//! of different ranks keep their places among each other.

use std::collections::HashMap;

use crate::model::marker::{MarkerEvent, MarkerVerb};
use crate::model::time::Timestamp;

/// Lines that arrive further apart than this were not written side by side.
const SIDE_BY_SIDE_NS: i64 = 1_000_000_000;

/// The markers of one rank.
#[derive(Default)]
struct Rank<'a> {
    /// Every `begin` and `end`.
    edges: Vec<&'a MarkerEvent>,
    /// Every `mark` and `metric`, with the number of edges before it.
    points: Vec<(usize, &'a MarkerEvent)>,
    /// How many of each have been read.
    read: (usize, usize),
}

pub fn is_edge(event: &MarkerEvent) -> bool {
    matches!(event.verb, MarkerVerb::Begin | MarkerVerb::End)
}

/// `events`, which are in order of arrival, as they are to be read.
pub fn in_order(events: &[MarkerEvent]) -> Vec<&MarkerEvent> {
    let mut ranks: HashMap<u32, Rank> = HashMap::new();
    for event in events {
        let rank = ranks.entry(event.rank).or_default();
        if is_edge(event) {
            rank.edges.push(event);
        } else {
            rank.points.push((rank.edges.len(), event));
        }
    }
    for rank in ranks.values_mut() {
        nest_better(&mut rank.edges);
        rank.place_points();
    }
    let mut order = Vec::with_capacity(events.len());
    for edge in events.iter().filter(|event| is_edge(event)) {
        if let Some(rank) = ranks.get_mut(&edge.rank) {
            rank.read_points(&mut order);
            order.push(rank.edges[rank.read.0]);
            rank.read.0 += 1;
        }
    }
    ranks.values_mut().for_each(|rank| rank.read_points(&mut order));
    order
}

fn are_side_by_side(a: &MarkerEvent, b: &MarkerEvent) -> bool {
    (a.arrival - b.arrival).abs() <= SIDE_BY_SIDE_NS
}

impl<'a> Rank<'a> {
    /// Move each point over the edges beside it to where its stamp belongs; between two edges they are in order of time.
    fn place_points(&mut self) {
        let edges = &self.edges;
        let reached: Vec<Timestamp> = edges
            .iter()
            .scan(None, |latest: &mut Option<Timestamp>, edge| {
                *latest = Some(latest.map_or(edge.t, |latest| latest.max(edge.t)));
                *latest
            })
            .collect();
        for (before, point) in self.points.iter_mut().filter(|(_, point)| point.stamped) {
            let passes = |i: usize| edges[i].stamped && are_side_by_side(edges[i], point);
            while *before > 0 && reached[*before - 1] > point.t && passes(*before - 1) {
                *before -= 1;
            }
            while *before < edges.len() && reached[*before] < point.t && passes(*before) {
                *before += 1;
            }
        }
        self.points.sort_by_key(|(before, point)| (*before, point.t));
    }

    /// The points before the next edge.
    fn read_points(&mut self, order: &mut Vec<&'a MarkerEvent>) {
        let (edges, points) = self.read;
        let next = self.points[points..].iter().take_while(|(before, _)| *before <= edges);
        let length = order.len();
        order.extend(next.map(|(_, point)| *point));
        self.read.1 += order.len() - length;
    }
}

/// Put edges that arrived side by side, with stamps that run back, in order of their stamps, where they nest better so.
fn nest_better(edges: &mut [&MarkerEvent]) {
    let mut open = Vec::new();
    let mut start = 0;
    for end in ends_of_blocks(edges) {
        let block = &mut edges[start..end];
        if block.len() > 1 {
            let mut sorted = block.to_vec();
            sorted.sort_by_key(|edge| edge.t);
            if misfits(&open, &sorted) < misfits(&open, block) {
                block.copy_from_slice(&sorted);
            }
        }
        block.iter().for_each(|edge| {
            fit(&mut open, edge);
        });
        start = end;
    }
}

/// Where the shortest pieces end that no stamp runs back over.
fn ends_of_blocks(edges: &[&MarkerEvent]) -> Vec<usize> {
    // Each with its end and its latest stamp.
    let mut blocks: Vec<(usize, Timestamp)> = Vec::new();
    for (i, edge) in edges.iter().enumerate() {
        let mut latest = edge.t;
        while let Some(&(end, reached)) = blocks.last() {
            if reached <= edge.t || !are_side_by_side(edges[end - 1], edge) {
                break;
            }
            latest = latest.max(reached);
            blocks.pop();
        }
        blocks.push((i + 1, latest));
    }
    blocks.into_iter().map(|(end, _)| end).collect()
}

/// How many spans and ends do not fit into one another from `open` on.
fn misfits<'a>(open: &[&'a str], edges: &[&'a MarkerEvent]) -> usize {
    let mut open = open.to_vec();
    edges.iter().map(|edge| fit(&mut open, edge)).sum()
}

/// The stack of open spans after `edge`, and what does not fit: spans that it ends with their outer one, or an end without a begin.
fn fit<'a>(open: &mut Vec<&'a str>, edge: &'a MarkerEvent) -> usize {
    if edge.verb == MarkerVerb::Begin {
        open.push(&edge.name);
        return 0;
    }
    match open.iter().rposition(|name| *name == edge.name) {
        None => 1,
        Some(at) => {
            let skipped = open.len() - at - 1;
            open.truncate(at);
            skipped
        }
    }
}
