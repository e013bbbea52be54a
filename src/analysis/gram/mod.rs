//! Inner products between all experts: those that are on disk are read, the others computed and kept.

mod multiply;
mod rows;
mod segment;
mod tiles;

pub(super) use rows::Rows;
pub(super) use segment::{Record, RowKey, Segment};
pub(super) use tiles::Gram;

use std::collections::HashMap;

use super::cache::CacheFolder;
use super::weights::{Alignment, Product};
use crate::{Cancel, Error, Result};

/// What inner products are asked for, and where they are kept.
pub(super) struct Products<'a> {
    pub alignment: &'a Alignment<'a>,
    pub product: Product,
    /// What each expert's products follow from, where that is known.
    pub keys: &'a [Option<RowKey>],
    /// Files that may have some, the kind in their names, and the folder for more.
    pub kept: Option<(&'a CacheFolder, &'a str, &'a [Segment])>,
}

impl Products<'_> {
    /// All inner products. `unchanged` says after the weights were read whether they are still those that the keys
    /// name; only then they are kept.
    ///
    /// # Errors
    /// When a product is not finite, weights cannot be read or it is cancelled.
    pub fn gram(
        &self,
        unchanged: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Gram> {
        let Self { alignment, product, keys, .. } = self;
        let segments = self.kept.map_or(&[][..], |(_, _, segments)| segments);
        let (mut gram, segments) =
            read(keys, segments.iter().collect(), self.kept.map(|(folder, ..)| folder));
        multiply::fill(&mut gram, alignment, *product, progress, cancel)?;
        if !gram.is_finite() {
            return Err(Error::msg(
                "the similarity is not finite: the scales (alpha / r) of an expert are too large",
            ));
        }
        let rows = gram.rows();
        if let Some((folder, kind, _)) = self.kept
            && rows.old < rows.len()
        {
            let record =
                |&expert: &usize| Some(Record { key: keys[expert]?, scan: alignment.experts[expert].scan });
            let records: Option<Vec<Record>> = rows.experts.iter().map(record).collect();
            if let Some(records) = records.filter(|_| unchanged()) {
                segment::keep(folder, kind, &records, rows.old, &|i, j| gram.of_rows(i, j), &segments);
            }
        }
        Ok(gram)
    }
}

/// A matrix with what the segments know, and the segments that could be read.
fn read<'a>(
    keys: &[Option<RowKey>],
    mut segments: Vec<&'a Segment>,
    folder: Option<&CacheFolder>,
) -> (Gram, Vec<&'a Segment>) {
    'again: loop {
        let mut gram = Gram::new(Rows::new(keys, &segments));
        let rows = gram.rows();
        let old = rows.old;
        let placed = keys.iter().zip(&rows.place).filter_map(|(key, row)| Some(((*key)?, *row)));
        let known: HashMap<RowKey, usize> = placed.filter(|(_, row)| *row < old).collect();
        for (at, segment) in segments.iter().enumerate() {
            let members: Vec<Option<usize>> =
                segment.records.iter().map(|record| known.get(&record.key).copied()).collect();
            if members[segment.old..].iter().all(Option::is_none) {
                continue;
            }
            let mut fill = |position: usize, values: &[f64]| {
                let Some(row) = members[position] else { return };
                for (column, value) in members.iter().zip(values) {
                    column.iter().for_each(|column| gram.set(row, *column, *value));
                }
            };
            if segment.read(&mut fill).is_err() {
                // Others may know less together than with it.
                folder.into_iter().for_each(|folder| segment.discard(folder));
                segments.remove(at);
                continue 'again;
            }
        }
        return (gram, segments);
    }
}
