//! Markers -> spans: one stack per rank, a tree of paths, and an account of everything that did not fit.
//!
//! Owns the meaning of `begin`, `end`, `mark` and `metric`. Nothing is guessed in silence: each repair is counted in [`SpanFaults`].
//!
//! ```text
//! begin train   begin step        end step   begin step      end train
//! |train-------|step-------------|train-----|step...........|            the second step was ended by its parent: closed = false
//! ```
//!
//! In which order markers of several threads are read is `order`'s. Invariants: spans of one rank nest properly; every span lies in the
//! run; instances are sorted by start, an outer span before the spans that begin with it.

mod order;

use std::collections::{BTreeMap, HashMap};

use crate::model::marker::{MarkerEvent, MarkerVerb};
use crate::model::span::{Metric, Phase, PhaseIndex, RankDevices, SpanFaults, SpanInstance, Spans};
use crate::model::time::{Interval, Timestamp};

/// How many faults are told in words; the rest are only counted.
const EXAMPLES: usize = 8;

/// A span whose `end` has not been heard.
struct Open {
    node: usize,
    start: Timestamp,
    /// As its marker has it.
    stamp: Timestamp,
    index: Option<u64>,
    samples: Option<u64>,
    tokens: Option<u64>,
}

/// What is known of one rank while its markers are read.
struct Rank {
    stack: Vec<Open>,
    latest: Timestamp,
    devices: Option<String>,
}

/// A path of the tree, in the order of first `begin`.
struct Node {
    parent: Option<usize>,
    name: String,
    depth: usize,
    children: Vec<usize>,
}

struct Builder {
    run: Interval,
    nodes: Vec<Node>,
    tops: Vec<usize>,
    by_name: HashMap<(Option<usize>, String), usize>,
    ranks: BTreeMap<u32, Rank>,
    instances: Vec<SpanInstance>,
    metrics: Vec<(Metric, Option<usize>)>,
    faults: SpanFaults,
}

/// All spans that `events` (in order of arrival) describe, within `run`.
pub fn spans(events: &[MarkerEvent], run: Interval) -> Spans {
    let mut builder = Builder {
        run,
        nodes: Vec::new(),
        tops: Vec::new(),
        by_name: HashMap::new(),
        ranks: BTreeMap::new(),
        instances: Vec::new(),
        metrics: Vec::new(),
        faults: SpanFaults::default(),
    };
    for event in order::in_order(events) {
        builder.take(event);
    }
    builder.finish()
}

fn add(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (sum, more) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (known, None) | (None, known) => known,
    }
}

impl Builder {
    fn take(&mut self, event: &MarkerEvent) {
        let run = self.run;
        let rank = self.ranks.entry(event.rank).or_insert_with(|| Rank {
            stack: Vec::new(),
            latest: run.start,
            devices: None,
        });
        let clamped = event.t.max(run.start).min(run.end);
        let is_edge = order::is_edge(event);
        let t = clamped.max(rank.latest);
        // Marks and metrics move no edge.
        if is_edge {
            rank.latest = t;
        }
        // Without a stamp, a mark's time is later than itself anyway.
        if t != clamped && (is_edge || event.stamped) {
            self.faults.out_of_order += 1;
            let by_ms = (t - clamped) as f64 * 1e-6;
            let verb = event.verb.as_str();
            let done = if is_edge {
                "moved up to it"
            } else {
                "counted where it arrived"
            };
            self.example(format!(
                "`{verb} {}` of rank {} is stamped {by_ms:.3} ms before the marker ahead of it: {done}",
                event.name, event.rank
            ));
        }
        match event.verb {
            MarkerVerb::Begin => self.begin(event, t),
            MarkerVerb::End => self.end(event, t),
            MarkerVerb::Mark => self.mark(event),
            MarkerVerb::Metric => self.metric(event, clamped),
        }
    }

    fn begin(&mut self, event: &MarkerEvent, t: Timestamp) {
        let parent = self.innermost(event.rank);
        let node = self.node(parent, &event.name);
        let Some(rank) = self.ranks.get_mut(&event.rank) else {
            return;
        };
        rank.stack.push(Open {
            node,
            start: t,
            stamp: event.t,
            index: event.index,
            samples: event.samples,
            tokens: event.tokens,
        });
        let Some(said) = &event.devices else { return };
        match &rank.devices {
            None => rank.devices = Some(said.clone()),
            Some(before) if before != said => {
                let text = format!(
                    "rank {} first said it runs on `{before}`, later on `{said}`: the first is used",
                    event.rank
                );
                self.example(text);
            }
            Some(_) => {}
        }
    }

    fn end(&mut self, event: &MarkerEvent, t: Timestamp) {
        let nodes = &self.nodes;
        let open = self
            .ranks
            .get(&event.rank)
            .and_then(|rank| rank.stack.iter().rposition(|open| nodes[open.node].name == event.name));
        let Some(position) = open else {
            self.faults.never_begun += 1;
            self.example(format!(
                "`end {}` of rank {} has no `begin`: ignored",
                event.name, event.rank
            ));
            return;
        };
        while self.depth(event.rank) > position + 1 {
            self.faults.ended_by_outer += 1;
            let inner = self.innermost(event.rank).map_or("", |node| &self.nodes[node].name);
            let text = format!(
                "`{inner}` of rank {} was still open at `end {}`: ended with it",
                event.rank, event.name
            );
            self.example(text);
            self.close(event.rank, (t, Some(event.t)), false, None, None);
        }
        self.close(event.rank, (t, Some(event.t)), true, event.samples, event.tokens);
    }

    fn mark(&mut self, event: &MarkerEvent) {
        let innermost = self.ranks.get_mut(&event.rank).and_then(|rank| rank.stack.last_mut());
        match innermost {
            Some(open) => {
                open.samples = add(open.samples, event.samples);
                open.tokens = add(open.tokens, event.tokens);
            }
            None if event.samples.is_some() || event.tokens.is_some() => self.example(format!(
                "`mark {}` of rank {} stands outside every span: its samples and tokens belong to no phase",
                event.name, event.rank
            )),
            None => {}
        }
    }

    fn metric(&mut self, event: &MarkerEvent, t: Timestamp) {
        let Some(value) = event.value else { return };
        let node = self.innermost(event.rank);
        let metric = Metric {
            name: event.name.clone(),
            value,
            path: String::new(),
            t,
            rank: event.rank,
        };
        self.metrics.push((metric, node));
    }

    /// Take the innermost span off its rank's stack; its work counts for the span around it too. `end`: in the run, and as stamped.
    fn close(
        &mut self,
        rank: u32,
        (end, stamp): (Timestamp, Option<Timestamp>),
        closed: bool,
        samples: Option<u64>,
        tokens: Option<u64>,
    ) {
        let Some(state) = self.ranks.get_mut(&rank) else {
            return;
        };
        let Some(open) = state.stack.pop() else { return };
        let samples = add(open.samples, samples);
        let tokens = add(open.tokens, tokens);
        if let Some(outer) = state.stack.last_mut() {
            outer.samples = add(outer.samples, samples);
            outer.tokens = add(outer.tokens, tokens);
        }
        self.instances.push(SpanInstance {
            phase: PhaseIndex(open.node),
            rank,
            interval: Interval::new(open.start, end),
            index: open.index,
            samples,
            tokens,
            closed,
            cut: end <= open.start && stamp != Some(open.stamp),
        });
    }

    fn depth(&self, rank: u32) -> usize {
        self.ranks.get(&rank).map_or(0, |r| r.stack.len())
    }

    fn innermost(&self, rank: u32) -> Option<usize> {
        self.ranks.get(&rank)?.stack.last().map(|open| open.node)
    }

    fn node(&mut self, parent: Option<usize>, name: &str) -> usize {
        if let Some(&known) = self.by_name.get(&(parent, name.to_owned())) {
            return known;
        }
        let new = self.nodes.len();
        self.nodes.push(Node {
            parent,
            name: name.to_owned(),
            depth: parent.map_or(0, |p| self.nodes[p].depth + 1),
            children: Vec::new(),
        });
        match parent {
            Some(p) => self.nodes[p].children.push(new),
            None => self.tops.push(new),
        }
        self.by_name.insert((parent, name.to_owned()), new);
        new
    }

    fn example(&mut self, text: String) {
        if self.faults.examples.len() < EXAMPLES {
            self.faults.examples.push(text);
        }
    }

    fn finish(mut self) -> Spans {
        let ranks: Vec<u32> = self.ranks.keys().copied().collect();
        for rank in ranks {
            while let Some(node) = self.innermost(rank) {
                self.faults.never_ended += 1;
                let text = format!(
                    "`{}` of rank {rank} was still open when the run ended: ended with it",
                    self.nodes[node].name
                );
                self.example(text);
                self.close(rank, (self.run.end, None), false, None, None);
            }
        }
        let (order, phases) = self.preorder();
        for instance in &mut self.instances {
            instance.phase = PhaseIndex(order[instance.phase.0]);
        }
        // A span that begins together with the span around it comes after it: the deeper, the later.
        self.instances
            .sort_by_key(|i| (i.interval.start, i.rank, phases[i.phase.0].depth, i.interval.end));
        self.metrics.sort_by_key(|(metric, _)| metric.t);
        let metrics = self.metrics.into_iter().map(|(mut metric, node)| {
            metric.path = node.map_or(String::new(), |n| phases[order[n]].path.clone());
            metric
        });
        Spans {
            metrics: metrics.collect(),
            instances: self.instances,
            ranks: self
                .ranks
                .into_iter()
                .map(|(rank, state)| RankDevices {
                    rank,
                    devices: state.devices,
                })
                .collect(),
            faults: self.faults,
            phases,
        }
    }

    /// The tree in preorder, and where each node went.
    fn preorder(&self) -> (Vec<usize>, Vec<Phase>) {
        let mut order = vec![0; self.nodes.len()];
        let mut phases: Vec<Phase> = Vec::with_capacity(self.nodes.len());
        let mut pending: Vec<usize> = self.tops.iter().rev().copied().collect();
        while let Some(node) = pending.pop() {
            let Node {
                parent,
                name,
                depth,
                children,
            } = &self.nodes[node];
            let parent = parent.map(|p| order[p]);
            order[node] = phases.len();
            phases.push(Phase {
                path: parent.map_or_else(|| name.clone(), |p| format!("{}/{name}", phases[p].path)),
                name: name.clone(),
                parent: parent.map(PhaseIndex),
                depth: *depth,
            });
            pending.extend(children.iter().rev());
        }
        (order, phases)
    }
}

#[cfg(test)]
mod tests;
