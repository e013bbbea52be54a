//! What sequences begin with in common: a tree whose branches are computed once.

/// A stretch that is worth computing separately: a shorter one costs more to keep than to compute again.
const WORTH: usize = 6;

/// Tokens that several sequences share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// What comes before it.
    pub parent: Option<usize>,
    /// Its first token, and the one behind its last.
    pub start: usize,
    pub end: usize,
    /// A sequence that has them.
    pub sequence: usize,
    /// Number of nodes before it on the way from the start.
    pub level: usize,
}

/// The rest of a sequence, one token at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub parent: Option<usize>,
    pub start: usize,
    pub sequence: usize,
}

/// Sequences as a tree.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// By level.
    pub nodes: Vec<Node>,
    /// One for each sequence.
    pub leaves: Vec<Leaf>,
}

/// What is looked at while a tree grows.
struct Look<'a> {
    ids: &'a [Vec<u32>],
    shareable: &'a [usize],
}

impl Shared {
    /// The tree of sequences of which the first `shareable` tokens may be shared, with others of the same group.
    pub fn find(ids: &[Vec<u32>], shareable: &[usize], groups: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by(|&a, &b| groups[a].cmp(&groups[b]).then_with(|| ids[a].cmp(&ids[b])));
        let mut found = Self::default();
        let look = Look { ids, shareable };
        for group in order.chunk_by(|&a, &b| groups[a] == groups[b]) {
            found.grow(&look, group, None, 0);
        }
        found.by_level();
        found
    }

    /// Takes sequences, sorted, that have the first `from` tokens in common, which `parent` ends with.
    fn grow(&mut self, look: &Look, some: &[usize], parent: Option<usize>, mut from: usize) {
        let mut parent = parent;
        let (first, last) = match some {
            [] => return,
            [one] => return self.leaves.push(Leaf { parent, start: from, sequence: *one }),
            [first, .., last] => (*first, *last),
        };
        let same = look.ids[first].iter().zip(&look.ids[last]).take_while(|(a, b)| a == b).count();
        let most = some.iter().map(|&sequence| look.shareable[sequence]).min().unwrap_or(0);
        let common = same.min(most).max(from);
        if common - from >= WORTH {
            let level = parent.map_or(0, |parent| self.nodes[parent].level + 1);
            self.nodes.push(Node { parent, start: from, end: common, sequence: first, level });
            (parent, from) = (Some(self.nodes.len() - 1), common);
        }
        let next = |sequence: usize| {
            let more = look.shareable[sequence] > common;
            more.then(|| look.ids[sequence].get(common)).flatten()
        };
        for run in some.chunk_by(|&a, &b| next(a).is_some() && next(a) == next(b)) {
            match run {
                [one] => self.leaves.push(Leaf { parent, start: from, sequence: *one }),
                // They have one token more in common than all had.
                run => self.grow(look, run, parent, from),
            }
        }
    }

    /// Puts the nodes into the order of their levels.
    fn by_level(&mut self) {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|&node| self.nodes[node].level);
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, &node)| place[node] = at);
        let moved = |parent: Option<usize>| parent.map(|parent| place[parent]);
        self.nodes =
            order.iter().map(|&n| Node { parent: moved(self.nodes[n].parent), ..self.nodes[n] }).collect();
        self.leaves.iter_mut().for_each(|leaf| leaf.parent = moved(leaf.parent));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tokens on the way to a leaf.
    fn path(shared: &Shared, ids: &[Vec<u32>], leaf: &Leaf) -> Vec<u32> {
        let mut parts = vec![ids[leaf.sequence][leaf.start..].to_vec()];
        let (mut at, mut end) = (leaf.parent, leaf.start);
        while let Some(node) = at.map(|at| shared.nodes[at]) {
            assert_eq!(node.end, end);
            parts.push(ids[node.sequence][node.start..node.end].to_vec());
            (at, end) = (node.parent, node.start);
        }
        assert_eq!(end, 0);
        parts.reverse();
        parts.concat()
    }

    proptest! {
        #[test]
        fn every_sequence_is_found_again(
            stems in proptest::collection::vec(proptest::collection::vec(0u32..3, 0..20), 1..4),
            ends in proptest::collection::vec((0usize..4, proptest::collection::vec(0u32..3, 1..12), 0usize..3), 1..20),
        ) {
            let ids: Vec<Vec<u32>> =
                ends.iter().map(|(stem, end, _)| [&stems[stem % stems.len()][..], end].concat()).collect();
            let shareable: Vec<usize> = ids.iter().zip(&ends).map(|(ids, (_, _, less))| (ids.len() - 1).saturating_sub(*less)).collect();
            let groups: Vec<usize> = ends.iter().map(|(stem, ..)| stem % 2).collect();
            let shared = Shared::find(&ids, &shareable, &groups);
            prop_assert!(shared.nodes.is_sorted_by_key(|node| node.level));
            prop_assert!(shared.nodes.iter().enumerate().all(|(at, node)| node.parent.is_none_or(|p| p < at)));
            let mut seen = vec![0; ids.len()];
            for leaf in &shared.leaves {
                seen[leaf.sequence] += 1;
                prop_assert!(leaf.start <= shareable[leaf.sequence]);
                prop_assert_eq!(&path(&shared, &ids, leaf), &ids[leaf.sequence]);
                let mut at = leaf.parent;
                while let Some(node) = at.map(|at| shared.nodes[at]) {
                    prop_assert_eq!(groups[node.sequence], groups[leaf.sequence]);
                    at = node.parent;
                }
            }
            prop_assert_eq!(seen, vec![1; ids.len()]);
        }
    }

    #[test]
    fn what_is_shared_is_there_once() {
        let ids: Vec<Vec<u32>> =
            (0..8u32).map(|i| (0..20).chain([100 + i / 4, 7, 7, 7, 7, 7, 7, i]).collect()).collect();
        let shared = Shared::find(&ids, &[27; 8], &[0; 8]);
        let tokens: usize = shared.nodes.iter().map(|node| node.end - node.start).sum();
        assert_eq!((shared.nodes.len(), tokens), (3, 20 + 2 * 7));
        assert!(shared.leaves.iter().all(|leaf| leaf.start == 27));
    }
}
