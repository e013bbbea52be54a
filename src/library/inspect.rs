//! From an adapter's folder to an [`Expert`]: configuration and tensor header, never the weights.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use super::contradictions::contradictions;
use super::declared;
use super::formats::peft::config::ConfigNotes;
use super::formats::peft::pairs::{Pair, Parts, Replacement, TokenRows};
use super::formats::peft::pattern::Patterns;
use super::formats::{self, BaseTraits, Opened};
use super::selection::Rules;
use super::{
    AdapterConfig, Expert, Format, Lacks, ModuleShape, Provenance, ReplacedShape, Standing, TokensShape,
};
use crate::module_path::ModuleNames;
use crate::outside::{io_reason, read_limited};
use crate::text::{counted, short};

/// Reads the expert at `path`, a folder or a file. Whatever is wrong becomes its status and reason. `base` is
/// what matters of the base model, where that is known.
pub(super) fn inspect(path: PathBuf, name: String, base: Option<BaseTraits>) -> Expert {
    let mut expert = Expert { name, path, base, ..Expert::default() };
    expert.standing = examine(&mut expert).unwrap_or_else(|reason| Standing::Bad { reason });
    expert
}

/// Fills the expert, and says how it stands. The error is why it is bad.
fn examine(expert: &mut Expert) -> Result<Standing, String> {
    read_provenance(expert);
    expert.format = Format::expected(&expert.path);
    let (format, opened) = formats::open(&expert.path, expert.base.as_ref())?;
    let Opened { config, mut notes, files, parts, task, warnings, needs_base, architecture } = opened;
    expert.format = format;
    expert.config = config;
    expert.bytes = files.bytes;
    expert.modified = files.modified;
    expert.architecture = architecture;
    expert.warnings.extend(warnings);
    if let Some(task) = task {
        expert.provenance.get_or_insert_default().task.get_or_insert(task);
    }
    notes.selection.shared_tokens = declared::shared_tokens(&notes, &parts);
    let mut partly = notes.doubts.clone();
    expert.modules = shapes(&expert.config, &notes, &parts, &mut partly, &mut expert.warnings);
    expert.dtype = dtype(&parts.pairs);
    expert.parameters = expert
        .modules
        .iter()
        .map(|m| (m.rank as u64).saturating_mul(m.in_features as u64 + m.out_features as u64))
        .chain(parts.pairs.iter().map(vectors))
        .fold(0, u64::saturating_add);
    if let Some(bad) = expert.modules.iter().find(|m| !m.scale.is_finite()) {
        return Err(format!("has no finite scale for {}", short(&bad.module)));
    }
    if let Some(reason) = needs_base {
        return Ok(Standing::NeedsBase { reason });
    }
    expert.warnings.extend(unknown_keys(&notes));
    // Expressions are compiled once: that takes longer than all else.
    let rules = Rules::new(&notes.selection);
    expert.warnings.extend(contradictions(&notes, &expert.config, &parts, &rules));
    partly.extend(declared::absent(&notes, &expert.config, &parts));
    let supposed = declared::supposed(&notes, &parts, &rules);
    (expert.replaced, expert.tokens) = (replaced(&parts), tokens(&notes, &parts));
    let unrouted = not_routed(&parts);
    let selection = std::mem::take(&mut notes.selection);
    partly.extend(not_applied(&notes, parts));
    expert.selection = Some(Arc::new(selection));
    expert.lacks = Arc::new(Lacks { always: partly, supposed, unrouted });
    Ok(expert.lacks.shortfall(None).map_or(Standing::Whole, Standing::Partial))
}

/// Keys of the configuration that PEFT warns of, in one line.
fn unknown_keys(notes: &ConfigNotes) -> Option<String> {
    let (count, names) = &notes.unknown_keys;
    let more = match count.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (*count > 0).then(|| {
        format!(
            "adapter_config.json has {} that PEFT does not know and ignores: {}{more}",
            counted(*count, "key"),
            names.join(", ")
        )
    })
}

/// What of the base model the file replaces.
pub(super) fn replaced(parts: &Parts) -> Vec<ReplacedShape> {
    let shape =
        |r: &Replacement| ReplacedShape { name: r.name.clone(), shape: r.shape.clone(), copy: r.copy };
    parts.replacements.iter().map(shape).collect()
}

/// The tokens that the file trains. Rows without ids are a reason why the expert is partial.
pub(super) fn tokens(notes: &ConfigNotes, parts: &Parts) -> Vec<TokensShape> {
    let shape = |rows: &TokenRows| {
        let ids = token_ids(notes, rows).ok()?.to_vec();
        Some(TokensShape { module: rows.module.clone(), ids, width: rows.width })
    };
    parts.tokens.iter().filter_map(shape).collect()
}

/// Parameters of a pair besides A and B.
fn vectors(pair: &Pair) -> u64 {
    let present = u64::from(pair.bias.is_some()) + u64::from(pair.magnitude.is_some());
    present.saturating_mul(pair.out_features as u64)
}

fn read_provenance(expert: &mut Expert) {
    if expert.path.is_file() {
        return;
    }
    let path = expert.path.join(Provenance::FILE);
    let read = match read_limited(&path, Provenance::MOST_BYTES) {
        Ok(bytes) => Provenance::parse(&bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return,
        Err(e) => Err(io_reason(&e)),
    };
    match read {
        Ok(provenance) => expert.provenance = Some(provenance),
        Err(reason) => expert.warnings.push(format!("{} is ignored: {reason}", Provenance::FILE)),
    }
}

/// Scales per PEFT: α over the configured rank, unless the tensors have another rank.
fn shapes(
    config: &AdapterConfig,
    notes: &ConfigNotes,
    parts: &Parts,
    partly: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Vec<ModuleShape> {
    let Parts { pairs, others, .. } = parts;
    let names: Vec<_> = pairs.iter().map(|pair| parameter_names(pair, &notes.stacked)).collect();
    let mut by_pattern = Said { names: &names, others, partly: &mut *partly, warnings };
    let ranks = by_pattern.values("rank_pattern", &config.rank_pattern);
    let alphas = by_pattern.values("alpha_pattern", &config.alpha_pattern);
    let mut lies: Option<(usize, &Pair, usize)> = None;
    let shapes: Vec<ModuleShape> = pairs
        .iter()
        .zip(ranks.into_iter().zip(alphas))
        .map(|(pair, (rank, alpha))| {
            let said = rank.unwrap_or(config.r);
            if said != pair.rank && !notes.any_rank {
                lies = Some(lies.map_or((1, pair, said), |(count, first, said)| (count + 1, first, said)));
            }
            let alpha = alpha.unwrap_or(config.alpha);
            let rank = pair.rank as f64;
            ModuleShape {
                module: pair.module.clone(),
                file_name: pair.file_name.clone(),
                embedding: pair.embedding,
                rank: pair.rank,
                in_features: pair.in_features,
                out_features: pair.out_features,
                scale: match notes.scale {
                    Some(scale) => scale,
                    None if config.use_rslora => alpha / rank.sqrt(),
                    None => alpha / rank,
                },
                initial_magnitude: config.use_dora && pair.magnitude.is_none(),
            }
        })
        .collect();
    let silent = |shape: &&ModuleShape| shape.scale == 0.0;
    if let Some(first) = shapes.iter().find(silent) {
        let count = shapes.iter().filter(silent).count();
        let at = match count == shapes.len() {
            true => "every module".into(),
            false if count == 1 => short(&first.module),
            false => format!("{} and {} more", short(&first.module), count - 1),
        };
        partly.push(format!("α is 0 at {at}: what was trained there changes nothing"));
    }
    if let Some((count, pair, said)) = lies {
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        let says = match notes.no_r && said == config.r {
            true => format!("the configuration has no `r`, for which PEFT takes {said},"),
            false => format!("the configuration says rank {said},"),
        };
        partly.push(format!(
            "{says} the tensors {} at {}{more}: the scale follows the tensors",
            pair.rank,
            short(&pair.module)
        ));
    }
    shapes
}

/// Targeted parameters that are looked into.
const MAX_PARAMETERS: usize = 64;

/// What patterns call a module, by its path and in its file: a layer whose weight is one of `target_parameters` by the
/// name of that parameter.
fn parameter_names<'a>(pair: &'a Pair, parameters: &[String]) -> (Cow<'a, str>, Cow<'a, str>) {
    let names = pair.names();
    let owners = parameters.iter().take(MAX_PARAMETERS);
    let mut owners = owners.filter_map(|parameter| parameter.strip_suffix(".weight"));
    match owners.any(|owner| names.end_with(owner)) {
        true => (format!("{}.weight", names.path).into(), format!("{}.weight", names.file).into()),
        false => (names.path.into(), names.file.into()),
    }
}

/// The modules that patterns are about, and where problems are reported.
struct Said<'a> {
    /// Path of each, and what the file calls it.
    names: &'a [(Cow<'a, str>, Cow<'a, str>)],
    others: &'a [String],
    partly: &'a mut Vec<String>,
    warnings: &'a mut Vec<String>,
}

impl Said<'_> {
    /// What a pattern says about each module. PEFT warns of keys that match none.
    fn values<T: Copy>(&mut self, what: &str, entries: &[(String, T)]) -> Vec<Option<T>> {
        let patterns = Patterns::new(entries).unwrap_or_else(|key| {
            let key = short(&key);
            self.partly
                .push(format!("{what} `{key}` is a regular expression that cannot be read: it is ignored"));
            Patterns::default()
        });
        let names = self.names.iter().map(|(path, file)| ModuleNames { path, file });
        let resolved = patterns.resolve(names, self.others);
        let mut keys = resolved.unmatched.iter().filter_map(|&at| entries.get(at)).map(|(key, _)| short(key));
        if let Some(first) = keys.next() {
            let few: Vec<String> = std::iter::once(first).chain(keys.by_ref().take(2)).collect();
            let more = match keys.count() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.warnings.push(format!(
                "{} of {what} {} no module of this adapter: {}{more}; correct the spelling",
                counted(resolved.unmatched.len(), "key"),
                if resolved.unmatched.len() == 1 { "matches" } else { "match" },
                few.join(", ")
            ));
        }
        resolved.values
    }
}

fn dtype(pairs: &[Pair]) -> String {
    let slots = |pair: &Pair| [Some(pair.a), Some(pair.b), pair.bias, pair.magnitude];
    let mut names = pairs.iter().flat_map(slots).flatten().map(|slot| slot.dtype);
    match names.next() {
        Some(first) if names.all(|other| other == first) => first.name(),
        Some(_) => "mixed".into(),
        None => String::new(),
    }
}

/// One reason that lists all that the adapter asks for and does not get.
fn not_applied(notes: &ConfigNotes, parts: Parts) -> Option<String> {
    let mut missing: Vec<String> = parts.unused;
    for rows in &parts.tokens {
        if let Err(problem) = token_ids(notes, rows) {
            missing.push(problem);
        }
    }
    (!missing.is_empty()).then(|| format!("not applied: {}", missing.join(", ")))
}

/// Which tokens trained rows belong to.
fn token_ids<'a>(notes: &'a ConfigNotes, rows: &TokenRows) -> Result<&'a [u32], String> {
    let named = |key: &str| rows.names().end_with(key);
    let found = notes.tokens.iter().find(|(key, _)| key.as_deref().is_none_or(named));
    let module = short(&rows.module);
    match found {
        None => Err(format!("trained tokens of {module}, which the configuration does not list")),
        Some((_, ids)) if ids.len() != rows.rows => Err(format!(
            "trained tokens of {module}: {} rows, but {} ids in the configuration",
            rows.rows,
            ids.len()
        )),
        Some((_, ids)) => match twice(ids) {
            // Which of its rows counts depends on who applies them.
            Some(id) => Err(format!("trained tokens of {module}: token {id} has two rows")),
            None => Ok(ids),
        },
    }
}

/// An id that stands there more than once.
fn twice(ids: &[u32]) -> Option<u32> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// What has no prototype, so that Arrow has no weight for it.
fn not_routed(parts: &Parts) -> Option<String> {
    let replaced: Vec<&str> =
        parts.replacements.iter().filter(|r| !r.copy).map(|r| r.name.as_str()).collect();
    let mut missing = Vec::new();
    match replaced.as_slice() {
        [] => {}
        [one] => missing.push(format!("the trained {}", short(one))),
        [first, ..] => {
            missing.push(format!("{} trained parameters (such as {})", replaced.len(), short(first)));
        }
    }
    missing.extend(parts.tokens.iter().map(|t| format!("trained tokens of {}", short(&t.module))));
    (!missing.is_empty()).then(|| format!("not applied by Arrow: {}", missing.join(", ")))
}
