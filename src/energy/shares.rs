//! How much of each cell of time each leaf had: the one walk over segments and cells that everything else is a sum over.
//!
//! Both lists are sorted, so the walk is linear in their lengths, whatever the number of spans.

use super::timeline::Timeline;

/// The leaf, and every phase around it.
pub fn above(parents: &[Option<usize>], leaf: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(leaf), |&phase| parents.get(phase).copied().flatten())
}

/// Leaves summed up the tree, then outside, then all.
pub fn inclusive(leaves: &[f64], parents: &[Option<usize>]) -> Vec<f64> {
    let whole = leaves.len();
    let mut sums = vec![0.0; whole + 1];
    for (leaf, value) in leaves.iter().enumerate() {
        above(parents, leaf)
            .chain([whole])
            .for_each(|phase| sums[phase] += value);
    }
    sums
}

/// For each of `cells` (nanoseconds, ascending, not overlapping) call `visit` with the seconds each leaf had in it.
pub fn walk(
    timeline: &Timeline,
    cells: impl Iterator<Item = (i64, i64)>,
    mut visit: impl FnMut(usize, &[(usize, f64)]),
) {
    let mut seconds = vec![0.0_f64; timeline.leaves];
    let mut touched: Vec<usize> = Vec::with_capacity(timeline.leaves);
    let mut shares: Vec<(usize, f64)> = Vec::with_capacity(timeline.leaves);
    let mut segment = 0;
    for (i, (start, end)) in cells.enumerate() {
        while segment < timeline.states.len() && timeline.edges[segment + 1] <= start {
            segment += 1;
        }
        let mut at = segment;
        while at < timeline.states.len() && timeline.edges[at] < end {
            let s = (timeline.edges[at + 1].min(end) - timeline.edges[at].max(start)).max(0) as f64 * 1e-9;
            for &(leaf, share) in &timeline.table[timeline.states[at] as usize] {
                if seconds[leaf] == 0.0 {
                    touched.push(leaf);
                }
                seconds[leaf] += s * share;
            }
            at += 1;
        }
        shares.clear();
        for leaf in touched.drain(..) {
            if seconds[leaf] > 0.0 {
                shares.push((leaf, seconds[leaf]));
            }
            seconds[leaf] = 0.0;
        }
        visit(i, &shares);
    }
}
