//! Several recordings of one run, one from each machine, put on one clock and one tree of phases.
//!
//! Each node is analysed by itself, over its own interval and on its own clock. What is put together here is the frame: the tree of
//! all phases, the ranks of all nodes under numbers of their own, and the first node's clock, on which walls are united. Energies
//! are sums over devices and need no common clock.
//!
//! ```text
//! node17   |----- load -----|--------- train ---------|
//! node18      |-- load --|----------- train -----------|      by its wall clock on node17's
//! run      |............................................|     from the first start to the last end
//! ```
//! *Limits of validity.* Clocks of machines are compared through their wall clocks: walls of phases are united as well as NTP keeps
//! those together, milliseconds as a rule.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::device::{DeviceId, Source};
use crate::model::recording::Recording;
use crate::model::span::{Metric, Phase, PhaseIndex, RankDevices, SpanFaults, SpanInstance, Spans};
use crate::model::time::{Interval, Timestamp};

/// Why recordings are not the nodes of one run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NodesError {
    #[error(
        "recordings {first} and {second} do not overlap in time: they are not nodes of one run\nhint: `powerprof compare` sets runs \
         beside each other"
    )]
    Apart { first: usize, second: usize },
    #[error(
        "device {device} is in recordings {first} and {second}: its energy would count twice\nhint: give one file for each node"
    )]
    Twice {
        device: String,
        first: usize,
        second: usize,
    },
}

/// One node: its recording and its own spans, on its own clock.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    pub recording: &'a Recording,
    pub spans: &'a Spans,
}

/// The frame that all nodes share, on the first one's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Together<'a> {
    pub spans: Cow<'a, Spans>,
    pub run: Interval,
    /// For each node, the place in its own phases of each phase here, where it has that phase.
    pub own: Vec<Vec<Option<usize>>>,
}

/// Nanoseconds to add to a node's clock for its wall clock.
fn to_wall(recording: &Recording) -> i64 {
    recording.run.started_realtime_ns - recording.run.started.as_nanos()
}

/// Nanoseconds to add to `node`'s clock for the clock of `first`.
pub fn shift(first: &Recording, node: &Recording) -> i64 {
    to_wall(node) - to_wall(first)
}

/// Give the devices of several nodes names that differ, `HOST:gpu0`; one node's stay as they are. Refuses what is not one run.
pub fn name_devices(recordings: &mut [&mut Recording]) -> Result<(), NodesError> {
    if recordings.len() < 2 {
        return Ok(());
    }
    let walls: Vec<Interval> = recordings.iter().map(|recording| on_wall(recording)).collect();
    for (second, wall) in walls.iter().enumerate().skip(1) {
        if walls[0].intersect(wall).is_none() {
            return Err(NodesError::Apart {
                first: 1,
                second: second + 1,
            });
        }
    }
    let mut seen: HashMap<(String, String), usize> = HashMap::new();
    for (nth, recording) in recordings.iter().enumerate() {
        for device in &recording.devices {
            // A board is known by its own id wherever it is seen; anything else by its place on its machine.
            let host = recording.run.host.hostname.clone();
            let board = device.uuid.clone().filter(|_| device.source != Source::Simulated);
            let key = (board.unwrap_or(host), device.id.to_string());
            if let Some(first) = seen.insert(key, nth) {
                let device = device.id.to_string();
                return Err(NodesError::Twice {
                    device,
                    first: first + 1,
                    second: nth + 1,
                });
            }
        }
    }
    let labels = unique(recordings.iter().map(|recording| recording.run.host.hostname.as_str()));
    for (recording, label) in recordings.iter_mut().zip(labels) {
        for device in &mut recording.devices {
            device.id = DeviceId(format!("{label}:{}", device.id));
            device.contained_in = device.contained_in.as_ref().map(|id| DeviceId(format!("{label}:{id}")));
        }
    }
    Ok(())
}

fn on_wall(recording: &Recording) -> Interval {
    let (run, by) = (recording.interval(), to_wall(recording));
    Interval::new(run.start.plus_nanos(by), run.end.plus_nanos(by))
}

/// The nodes' host names, numbered where two are the same.
pub fn labels(nodes: &[Node<'_>]) -> Vec<String> {
    unique(nodes.iter().map(|node| node.recording.run.host.hostname.as_str()))
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut one = |name: &str| {
        let name = if name.is_empty() { "node" } else { name };
        let candidates = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
        let mut free = candidates.skip_while(|candidate| taken.contains(candidate));
        let name = free.next().unwrap_or_else(|| name.to_owned());
        taken.insert(name.clone());
        name
    };
    names.map(&mut one).collect()
}

/// The frame of these nodes.
pub fn together<'a>(nodes: &[Node<'a>]) -> Together<'a> {
    if let [only] = nodes {
        return Together {
            spans: Cow::Borrowed(only.spans),
            run: only.recording.interval(),
            own: vec![(0..only.spans.phases.len()).map(Some).collect()],
        };
    }
    let tree = Tree::of(nodes);
    let shifts: Vec<i64> = nodes
        .iter()
        .map(|node| shift(nodes[0].recording, node.recording))
        .collect();
    let ranks = ranks(nodes);
    let mut spans = Spans {
        phases: tree.phases.clone(),
        ..Spans::default()
    };
    let mut run: Option<Interval> = None;
    for (n, node) in nodes.iter().enumerate() {
        let moved = |t: Timestamp| t.plus_nanos(shifts[n]);
        let whole = node.recording.interval();
        let (start, end) = (moved(whole.start), moved(whole.end));
        run = Some(run.map_or(Interval::new(start, end), |r| {
            Interval::new(r.start.min(start), r.end.max(end))
        }));
        spans
            .instances
            .extend(node.spans.instances.iter().map(|instance| SpanInstance {
                phase: PhaseIndex(tree.place[n][instance.phase.0]),
                rank: ranks[n][&instance.rank],
                interval: Interval::new(moved(instance.interval.start), moved(instance.interval.end)),
                ..instance.clone()
            }));
        spans.metrics.extend(node.spans.metrics.iter().map(|metric| Metric {
            t: moved(metric.t),
            rank: ranks[n].get(&metric.rank).copied().unwrap_or(metric.rank),
            ..metric.clone()
        }));
        spans.ranks.extend(node.spans.ranks.iter().map(|rank| RankDevices {
            rank: ranks[n][&rank.rank],
            devices: rank.devices.clone(),
        }));
        add_faults(&mut spans.faults, &node.spans.faults);
    }
    spans.instances.sort_by_key(|instance| instance.interval.start);
    spans.metrics.sort_by_key(|metric| metric.t);
    spans.ranks.sort_by_key(|rank| rank.rank);
    Together {
        own: (0..nodes.len()).map(|n| tree.own(n)).collect(),
        run: run.unwrap_or(Interval::new(Timestamp::from_nanos(0), Timestamp::from_nanos(0))),
        spans: Cow::Owned(spans),
    }
}

/// Numbers for the ranks of each node: their own where no two nodes share one (a launcher numbered them), else shifted apart.
fn ranks(nodes: &[Node<'_>]) -> Vec<BTreeMap<u32, u32>> {
    let mut all = BTreeSet::new();
    let apart = nodes
        .iter()
        .flat_map(|node| &node.spans.ranks)
        .all(|rank| all.insert(rank.rank));
    let mut base = 0;
    let numbers = |node: &Node<'_>| {
        let own = node.spans.ranks.iter().map(|rank| rank.rank);
        let numbered = own
            .clone()
            .map(|rank| (rank, if apart { rank } else { base + rank }))
            .collect();
        base += own.max().map_or(0, |most| most + 1);
        numbered
    };
    nodes.iter().map(numbers).collect()
}

fn add_faults(sum: &mut SpanFaults, more: &SpanFaults) {
    sum.never_ended += more.never_ended;
    sum.never_begun += more.never_begun;
    sum.ended_by_outer += more.ended_by_outer;
    sum.out_of_order += more.out_of_order;
    sum.examples.extend(more.examples.iter().cloned());
}

/// All paths of all nodes, in preorder, children in the order in which they first appear.
struct Tree {
    /// In preorder.
    phases: Vec<Phase>,
    /// For each node, the place here of each of its phases.
    place: Vec<Vec<usize>>,
}

impl Tree {
    fn of(nodes: &[Node<'_>]) -> Self {
        let mut children: HashMap<Option<String>, Vec<&Phase>> = HashMap::new();
        let mut known = BTreeSet::new();
        for phase in nodes.iter().flat_map(|node| &node.spans.phases) {
            if known.insert(phase.path.as_str()) {
                let parent = phase.path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
                children.entry(parent).or_default().push(phase);
            }
        }
        let mut phases: Vec<Phase> = Vec::new();
        let mut waiting: Vec<(Option<PhaseIndex>, &Phase)> = Vec::new();
        let mut open = |parent: Option<PhaseIndex>, path: Option<String>, waiting: &mut Vec<_>| {
            let below = children.remove(&path).unwrap_or_default();
            waiting.extend(below.into_iter().rev().map(|phase| (parent, phase)));
        };
        open(None, None, &mut waiting);
        while let Some((parent, phase)) = waiting.pop() {
            let here = PhaseIndex(phases.len());
            phases.push(Phase {
                parent,
                ..phase.clone()
            });
            open(Some(here), Some(phase.path.clone()), &mut waiting);
        }
        let at: HashMap<&str, usize> = phases
            .iter()
            .enumerate()
            .map(|(i, phase)| (phase.path.as_str(), i))
            .collect();
        let place = nodes
            .iter()
            .map(|node| node.spans.phases.iter().map(|phase| at[phase.path.as_str()]).collect())
            .collect();
        Self { place, phases }
    }

    fn own(&self, node: usize) -> Vec<Option<usize>> {
        let mut own = vec![None; self.phases.len()];
        for (i, &place) in self.place[node].iter().enumerate() {
            own[place] = Some(i);
        }
        own
    }
}

#[cfg(test)]
mod tests;
