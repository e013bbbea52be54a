//! How answers name the right choice, found out before rows become examples: one way for each column.

use std::collections::BTreeMap;

use super::cell::{At, Cell};
use super::plan::FilePlan;
use super::scan::passes;
use super::shapes::{Role, Roles, Shape, Tally, Unclear};
use super::spec::ImportSpec;
use crate::{Cancel, Error, Result};

/// Rows after which a stop is looked for.
const CHECKED: u64 = 1024;

/// Looks at all answers of files whose rows have choices, and tells their plans how to read them. The splits of a
/// configuration, or of a task that files name, are one column. `progress` hears how many rows are through.
///
/// # Errors
/// What is wrong with a file; answers of which nothing says what they mean; a stop.
pub(super) fn read_answers(
    spec: &ImportSpec,
    plans: &mut [FilePlan],
    cancel: &Cancel,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    type Column = (Option<String>, Option<String>);
    let mut columns: BTreeMap<Column, (Tally<(usize, At)>, Vec<usize>)> = BTreeMap::new();
    let mut rows = 0;
    for (number, plan) in plans.iter().enumerate() {
        let choices = plan.mapping.columns_of(&[Role::Choices]);
        if choices.is_empty() {
            continue;
        }
        let column = (plan.piece.config.clone(), plan.piece.group.clone());
        let (tally, files) = columns.entry(column).or_default();
        files.push(number);
        // Only these columns are read; they are put where the plan has them.
        let mut places = plan.mapping.columns_of(&[Role::Choices, Role::Answer]);
        places.extend(plan.filters.iter().map(|(place, _)| *place));
        places.sort_unstable();
        places.dedup();
        let names: Vec<String> = places.iter().filter_map(|&place| plan.wanted.get(place).cloned()).collect();
        plan.piece.kind.read(&plan.piece.path, &names, &mut |at, cells| {
            rows += 1;
            if rows % CHECKED == 0 {
                cancel.check()?;
                progress(rows);
            }
            let mut all = vec![Cell::Missing; plan.wanted.len()];
            for (&place, cell) in places.iter().zip(cells) {
                if let Some(slot) = all.get_mut(place) {
                    *slot = std::mem::replace(cell, Cell::Missing);
                }
            }
            if passes(plan, &all) {
                let mut roles = Roles::new(&plan.mapping, &mut all);
                Shape::count_readings(&mut roles, tally, || (number, at));
            }
            Ok(())
        })?;
    }
    for (tally, files) in columns.into_values() {
        let reading = tally.reading(spec.answer_base.is_some()).map_err(|unclear| {
            let Unclear { place: (number, at), problem } = unclear;
            let path = plans.get(number).map(|plan| plan.piece.path.clone()).unwrap_or_default();
            Error::file(path, format!("{at}: {problem}"))
        })?;
        for number in files {
            if let Some(plan) = plans.get_mut(number) {
                plan.mapping.reading = reading;
            }
        }
    }
    Ok(())
}
