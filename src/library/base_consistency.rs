//! Experts of different base models in one library: which stay, and why the others do not.

use std::collections::HashMap;
use std::path::Path;

use super::base::{fits_default, names_local_base};
use super::declared::absent_in_base;
use super::{BaseShape, BaseSpec, Expert, ModuleShape};
use crate::text::short;

/// The experts that have the same size at a module.
struct Group {
    size: (usize, usize),
    experts: Vec<usize>,
}

/// What the experts agreed on at a module about whose size they differ.
struct Majority {
    size: (usize, usize),
    /// The first expert of that size.
    example: usize,
    /// Whether as many experts have another size.
    tied: bool,
}

/// Finds the size of every layer that most experts have; an expert of another size gets a misfit. Of equally many
/// those stay whose base model is on this machine, then those that fit the default base, if the library
/// may be its, then the first. The answer says who is left out.
pub(super) fn keep_majority(experts: &mut [Expert], root: &Path, base: Option<&BaseSpec>) -> Option<String> {
    let mut modules: HashMap<&str, Vec<Group>> = HashMap::new();
    for (index, expert) in experts.iter().enumerate().filter(|(_, expert)| expert.is_usable()) {
        for shape in &expert.modules {
            let groups = modules.entry(&shape.module).or_default();
            match groups.iter_mut().find(|group| group.size == size(shape)) {
                Some(group) => group.experts.push(index),
                None => groups.push(Group { size: size(shape), experts: vec![index] }),
            }
        }
    }
    modules.retain(|_, groups| groups.len() > 1);
    let mut preferences: HashMap<usize, u8> = HashMap::new();
    let maybe_default = base.is_none_or(|base| base.sha256 == BaseSpec::smollm2().sha256);
    let mut preference = |index: usize| {
        *preferences.entry(index).or_insert_with(|| match experts.get(index) {
            Some(expert) if base.is_none() && names_local_base(expert, root) => 2,
            Some(expert) if maybe_default && fits_default(expert) => 1,
            _ => 0,
        })
    };
    let majorities: HashMap<String, Majority> = modules
        .into_iter()
        .filter_map(|(module, groups)| {
            let most = groups.iter().map(|group| group.experts.len()).max()?;
            let mut largest: Vec<Group> = groups.into_iter().filter(|c| c.experts.len() == most).collect();
            let tied = largest.len() > 1;
            if tied {
                let best = |group: &Group, of: &mut dyn FnMut(usize) -> u8| {
                    group.experts.iter().map(|&expert| of(expert)).max().unwrap_or(0)
                };
                // A stable sort: the first seen stays in front of its equals.
                largest.sort_by_cached_key(|group| std::cmp::Reverse(best(group, &mut preference)));
            }
            let winner = largest.into_iter().next()?;
            Some((
                module.to_string(),
                Majority { size: winner.size, example: *winner.experts.first()?, tied },
            ))
        })
        .collect();
    let mut left = Vec::new();
    let mut kept = None;
    for index in 0..experts.len() {
        let outlier = experts[index].modules.iter().filter(|_| experts[index].is_usable()).find_map(|m| {
            let majority = majorities.get(&m.module)?;
            (majority.size != size(m)).then(|| (misfit(experts, m, majority), majority))
        });
        let Some((reason, majority)) = outlier else { continue };
        if majority.tied {
            kept.get_or_insert(majority.example);
        }
        experts[index].set_misfit(Some(reason));
        left.push(experts[index].name.clone());
    }
    let some = few(&left)?;
    Some(match kept {
        None => format!("made for another base model than most (layer sizes differ): {some}"),
        Some(kept) => format!(
            "experts of different base models, as many of each: taken is {}; left out: {some}; --base PATH chooses another",
            base_of(&experts[kept])
        ),
    })
}

fn size(shape: &ModuleShape) -> (usize, usize) {
    (shape.in_features, shape.out_features)
}

/// Why an expert is an outlier at module `m`.
fn misfit(experts: &[Expert], m: &ModuleShape, majority: &Majority) -> String {
    let (module, (inputs, outputs), (wanted_in, wanted_out)) = (&m.module, size(m), majority.size);
    if majority.tied {
        let base = base_of(&experts[majority.example]);
        return format!(
            "made for another base model than {base}: {module} is {inputs} → {outputs} here, \
             {wanted_in} → {wanted_out} there; --base PATH chooses this expert's base instead"
        );
    }
    format!(
        "made for another base model than most of this library: {module} is {inputs} → {outputs} here, \
         {wanted_in} → {wanted_out} in most"
    )
}

/// The base model of an expert, for people.
fn base_of(expert: &Expert) -> String {
    match &expert.config.base {
        Some(base) => format!("{}, that of {}", short(base), expert.name),
        None => format!("the base of {}", expert.name),
    }
}

/// Compares an expert with the base model. The answer says, one line each, what of the expert the base model has no
/// place for, and what the expert was to have in this base model and has not.
///
/// # Errors
/// Why the expert does not fit.
pub(crate) fn fit_base(expert: &Expert, base: &BaseShape) -> Result<Vec<String>, String> {
    let missing = base.fit(expert)?;
    Ok(missing.into_iter().chain(absent_in_base(expert, base)).collect())
}

/// Marks the experts that do not fit a base model, and says of the others what only the base model shows; the answer
/// says which do not fit.
pub(super) fn keep_fitting(experts: &mut [Expert], base: &BaseShape, label: &str) -> Option<String> {
    let mut left = Vec::new();
    for expert in experts {
        match fit_base(expert, base) {
            Ok(shown) => {
                expert.set_misfit(None);
                expert.set_lacking(Some(shown));
            }
            Err(why) => {
                expert.set_misfit(Some(format!("does not fit the base model {label}: {why}")));
            }
        }
        if expert.misfit().is_some() {
            left.push(expert.name.clone());
        }
    }
    few(&left).map(|some| format!("made for another base model than {label}: {some}"))
}

/// The first three names and how many more there are; nothing for none.
fn few(names: &[String]) -> Option<String> {
    let (first, rest) = names.split_at(names.len().min(3));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    (!names.is_empty()).then(|| format!("{}{more}", first.join(", ")))
}
