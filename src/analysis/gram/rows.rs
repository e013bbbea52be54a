//! Which experts share a row of a Gram matrix, and which rows are known already.

use std::collections::HashMap;

use super::segment::{RowKey, Segment};

/// The rows of a Gram matrix.
#[derive(Clone, Debug)]
pub(in crate::analysis) struct Rows {
    /// The expert that stands for each row.
    pub experts: Vec<usize>,
    /// The row of each expert.
    pub place: Vec<usize>,
    /// All inner products between the first rows, so many, are known.
    pub old: usize,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.experts.len()
    }

    /// One row per key, those first between which `segments` know all inner products. Experts without a key have a
    /// row each.
    pub fn new(keys: &[Option<RowKey>], segments: &[&Segment]) -> Self {
        let mut experts: Vec<usize> = Vec::new();
        let mut place = Vec::with_capacity(keys.len());
        let mut index: HashMap<RowKey, usize> = HashMap::new();
        for (expert, key) in keys.iter().enumerate() {
            let next = experts.len();
            let row = key.map_or(next, |key| *index.entry(key).or_insert(next));
            if row == next {
                experts.push(expert);
            }
            place.push(row);
        }
        let known = mutually_known(experts.len(), &index, segments);
        let mut is_known = vec![false; experts.len()];
        known.iter().for_each(|&row| is_known[row] = true);
        let new = (0..experts.len()).filter(|&row| !is_known[row]);
        let order: Vec<usize> = known.iter().copied().chain(new).collect();
        let mut position = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, &row)| position[row] = at);
        Self {
            experts: order.iter().map(|&row| experts[row]).collect(),
            place: place.into_iter().map(|row| position[row]).collect(),
            old: known.len(),
        }
    }
}

/// Rows whose inner products with each other and themselves are all in the segments: as many as a walk through the
/// segments finds, that with the most first.
fn mutually_known(rows: usize, index: &HashMap<RowKey, usize>, segments: &[&Segment]) -> Vec<usize> {
    // The rows that stand in each segment, in its order.
    let members: Vec<Vec<Option<usize>>> = segments
        .iter()
        .map(|segment| segment.records.iter().map(|record| index.get(&record.key).copied()).collect())
        .collect();
    let mut by_size: Vec<usize> = (0..segments.len()).collect();
    by_size.sort_by_key(|&at| std::cmp::Reverse(segments[at].known_pairs()));
    let mut known: Vec<usize> = Vec::new();
    let mut seen = vec![false; rows];
    for &at in &by_size {
        for row in members[at].iter().flatten() {
            if std::mem::replace(&mut seen[*row], true) {
                continue;
            }
            let mut partner = vec![false; rows];
            for (segment, members) in segments.iter().zip(&members) {
                for position in (0..members.len()).filter(|&position| members[position] == Some(*row)) {
                    // A new row has all of its products there, an old one those with new rows.
                    let first = if position >= segment.old { 0 } else { segment.old };
                    members[first..].iter().flatten().for_each(|other| partner[*other] = true);
                }
            }
            if partner[*row] && known.iter().all(|&other| partner[other]) {
                known.push(*row);
            }
        }
    }
    known
}
