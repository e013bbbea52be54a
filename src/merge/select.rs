//! The experts of a merge: found, checked against each other, opened.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::methods::MergeMethod;
use super::{MergeSpec, Modules};
use crate::catalog::Catalog;
use crate::library::{
    Adapter, Expert, LayerSizes, MergedExpert, ModuleShape, Stored, fit_base, without_wrappers,
};
use crate::model::{ModelFiles, base_shape};
use crate::module_path::ModulePath;
use crate::named::{find_name, split_names};
use crate::text::{counted, short};
use crate::{Error, Result};

/// An expert and its part in the sum.
pub(super) struct Selected<'a> {
    pub expert: &'a Expert,
    pub adapter: Adapter,
    pub weight: f64,
    /// Of the weights file.
    pub sha256: String,
    /// Of `adapter_config.json`, which has the scale.
    pub config_sha256: String,
}

impl Selected<'_> {
    /// As it is written down.
    pub fn merged(&self) -> MergedExpert {
        MergedExpert {
            name: self.expert.name.clone(),
            weight: self.weight,
            sha256: self.sha256.clone(),
            config_sha256: self.config_sha256.clone(),
        }
    }
}

/// The experts of a merge, in the order they were named.
pub(super) struct Selection<'a> {
    pub experts: Vec<Selected<'a>>,
    /// Every module that one of them has, with its (in, out) features.
    pub modules: Modules,
    /// What the experts' files call modules, where that is another name than the path.
    pub file_names: BTreeMap<String, Box<str>>,
    /// The base model that the first of them names.
    pub base: Option<String>,
    /// Its revision, where that expert names one.
    pub revision: Option<String>,
    pub warnings: Vec<String>,
    /// The layers of the base model, where it is on this machine and the experts fit it.
    layers: Option<LayerSizes>,
}

impl Selection<'_> {
    /// The largest rank that the sum of the experts can have at a module.
    pub fn largest_rank(&self) -> usize {
        let at = |(module, &(inputs, outputs)): (&String, &(usize, usize))| {
            let ranks = self.experts.iter().filter_map(|e| e.adapter.module(module)).map(|m| m.shape.rank);
            ranks.sum::<usize>().min(inputs).min(outputs)
        };
        self.modules.iter().map(at).max().unwrap_or(0)
    }

    /// What the result's file calls a module: what those of the experts do, so that it loads where they do.
    pub fn file_name<'m>(&'m self, module: &'m str) -> &'m str {
        self.file_names.get(module).map_or(module, |name| name)
    }

    /// `target_modules`: the last components of the modules' paths where every layer has them, so that a
    /// list of them says the same as the paths; else the paths. Of a model with other parts it is the paths too: these
    /// may have modules of the same kinds.
    pub fn targets(&self) -> Vec<String> {
        if !self.file_names.is_empty() {
            return self.modules.keys().map(|module| self.file_name(module).to_string()).collect();
        }
        let mut kinds: BTreeSet<&str> = BTreeSet::new();
        let mut numbers: BTreeSet<usize> = BTreeSet::new();
        for path in self.modules.keys() {
            let path = ModulePath::new(path);
            numbers.extend(path.layer());
            kinds.insert(path.kind());
        }
        let named =
            |kind: &&str| self.experts.iter().any(|e| e.expert.config.targets.iter().any(|t| t == kind));
        // Blocks: 0, 1, 2 … without a gap; inside each, every kind once.
        let blocks = numbers.iter().copied().eq(0..numbers.len()) && !numbers.is_empty();
        // A list means every layer of the base model, not those alone that an expert has.
        let everywhere = |layers: &LayerSizes| {
            let meant = |path: &&String| kinds.contains(ModulePath::new(path).kind());
            layers.keys().filter(meant).all(|path| self.modules.contains_key(path))
        };
        let every = blocks && self.modules.len() == kinds.len() * numbers.len();
        if every && kinds.iter().all(named) && self.layers.as_ref().is_none_or(everywhere) {
            return kinds.into_iter().map(String::from).collect();
        }
        self.modules.keys().cloned().collect()
    }
}

/// Finds and opens the experts of a merge.
pub(super) fn select<'a>(library: &'a Catalog, spec: &MergeSpec) -> Result<Selection<'a>> {
    let experts = named(library, &spec.experts)?;
    let weights = weights(spec, experts.len())?;
    let mut modules = Modules::new();
    let mut owner: std::collections::HashMap<&str, (&Expert, &ModuleShape)> = Default::default();
    for expert in &experts {
        for shape in &expert.modules {
            let (first, known) = *owner.entry(&shape.module).or_insert((expert, shape));
            agree(first, known, expert, shape, spec.method)?;
            modules.insert(shape.module.clone(), (shape.in_features, shape.out_features));
        }
    }
    let mut warnings = warnings(&experts, spec.method);
    let (file_names, differing) = file_names(&experts);
    warnings.extend(differing);
    let based = experts.iter().map(|e| &e.config).find(|config| config.base.is_some());
    let (base, revision) = based.map_or((None, None), |c| (c.base.clone(), c.revision.clone()));
    let open = |(expert, weight): (&'a Expert, f64)| -> Result<Selected<'a>> {
        let adapter = expert.load()?;
        plain(expert, &adapter)?;
        same_copies(library, expert, &adapter)?;
        let (sha256, config_sha256) = (adapter.sha256()?, adapter.settings_sha256()?);
        Ok(Selected { expert, adapter, weight, sha256, config_sha256 })
    };
    let experts = experts.into_iter().zip(weights).map(open).collect::<Result<_>>()?;
    let layers = layers(library, &modules);
    Ok(Selection { experts, modules, file_names, base, revision, warnings, layers })
}

/// The layers of the library's base model, as long as it has all the modules.
fn layers(library: &Catalog, modules: &Modules) -> Option<LayerSizes> {
    let layers = base_shape(&library.base_here().ok()?).ok()?.layers;
    modules.iter().all(|(module, size)| layers.get(module) == Some(size)).then_some(layers)
}

/// What the files call modules, where that is another name than the path; the first that has a module decides.
/// The second answer is a warning where another disagrees.
fn file_names(experts: &[&Expert]) -> (BTreeMap<String, Box<str>>, Option<String>) {
    let mut first: BTreeMap<&str, (&Expert, Cow<'_, str>)> = BTreeMap::new();
    let mut differing = None;
    for expert in experts {
        for shape in &expert.modules {
            let names = shape.names();
            // Wrappers are of the process that saved the file: where the result is loaded there may be none.
            let file = without_wrappers(names.file);
            let (owner, known) = first.entry(names.path).or_insert_with(|| (expert, file.clone()));
            if *known != file && differing.is_none() {
                differing = Some(format!(
                    "'{}' and '{}' call {} by different names ({known}, {file}): the result has those of '{}'",
                    owner.name, expert.name, names.path, owner.name
                ));
            }
        }
    }
    let other = first.into_iter().filter(|(path, (_, name))| path != name);
    (other.map(|(path, (_, name))| (path.to_string(), name.into_owned().into())).collect(), differing)
}

/// The experts of these names, with commas between several.
fn named<'a>(library: &'a Catalog, texts: &[String]) -> Result<Vec<&'a Expert>> {
    let names = || library.experts.iter().map(|e| e.name.as_str());
    let mut experts: Vec<&Expert> = Vec::new();
    for text in texts {
        let is_name = |name: &str| find_name(names(), name).is_some();
        // Each expert has a weight: what is missing between commas would shift them.
        if !is_name(text) && text.contains(',') && text.split(',').any(|name| name.trim().is_empty()) {
            library.expert("")?;
        }
        for name in split_names(text, is_name) {
            let expert = library.expert(name)?;
            if let Some(reason) = expert.reason().filter(|_| !expert.is_usable()) {
                return Err(Error::file(&expert.path, reason));
            }
            if let Some(misfit) = misfit(library, expert) {
                return Err(Error::file(&expert.path, misfit));
            }
            if experts.iter().any(|known| known.name == expert.name) {
                return Err(Error::usage(format!("{} is named twice: give it one weight", expert.name)));
            }
            experts.push(expert);
        }
    }
    if experts.is_empty() {
        return Err(Error::usage("--experts is empty"));
    }
    Ok(experts)
}

/// Why an expert does not fit the base model that was chosen, or that it names and that is the library's. Experts of any
/// other can be merged with each other.
fn misfit(library: &Catalog, expert: &Expert) -> Option<String> {
    if library.chosen_base().is_some() {
        return expert.misfit().map(String::from);
    }
    if !library.is_base_of(expert) {
        return None;
    }
    let (path, label) = (library.base_here().ok()?, library.base_label()?);
    let why = fit_base(expert, &base_shape(&path).ok()?).err()?;
    Some(format!("does not fit the base model {label}: {why}"))
}

fn weights(spec: &MergeSpec, experts: usize) -> Result<Vec<f64>> {
    let Some(weights) = &spec.weights else {
        return Ok(vec![(spec.method.default_weight)(experts); experts]);
    };
    if weights.len() != experts {
        return Err(Error::usage(format!(
            "{} for {}: --weights needs one each",
            counted(weights.len(), "weight"),
            counted(experts, "expert")
        )));
    }
    match weights.iter().find(|weight| !weight.is_finite()) {
        Some(weight) => Err(Error::usage(format!("a weight must be a finite number, not {weight}"))),
        None => Ok(weights.clone()),
    }
}

/// Two experts at one module.
fn agree(a: &Expert, left: &ModuleShape, b: &Expert, right: &ModuleShape, method: MergeMethod) -> Result<()> {
    let size = |shape: &ModuleShape| (shape.in_features, shape.out_features);
    if size(left) != size(right) {
        return Err(Error::msg(format!(
            "experts '{}' and '{}' do not belong to the same base model: {} maps {} to {} features in one and {} \
             to {} in the other",
            a.name,
            b.name,
            left.module,
            left.in_features,
            left.out_features,
            right.in_features,
            right.out_features
        )));
    }
    if method.entrywise && left.rank != right.rank {
        return Err(Error::usage(format!(
            "{} compares the entries of A and B, which needs equal ranks: at {} '{}' has rank {}, '{}' has {}; \
             use --method {}",
            method.id,
            left.module,
            a.name,
            left.rank,
            b.name,
            right.rank,
            MergeMethod::ids(|method| !method.entrywise)
        )));
    }
    Ok(())
}

/// What a sum of LoRA cannot represent must not be dropped in silence.
fn plain(expert: &Expert, adapter: &Adapter) -> Result<()> {
    let module = |odd: &crate::library::LoraModule| odd.shape.module.clone();
    let more = if let Some(odd) = adapter.modules.iter().find(|m| !m.is_plain()) {
        let what = match (odd.has_magnitude(), odd.shape.initial_magnitude) {
            (true, true) => "DoRA (use_dora)",
            (true, false) => "DoRA's magnitude",
            (false, _) => "a bias of B",
        };
        format!("{what} at {}", module(odd))
    } else if let Some(odd) = adapter.modules.iter().find(|m| m.shape.embedding) {
        format!("LoRA of the embedding {}", module(odd))
    } else if let Some(odd) = adapter.replaced.iter().find(|stored| !stored.copy) {
        format!("a replaced {}", odd.name)
    } else if let Some(odd) = adapter.tokens.first() {
        format!("trained tokens of {}", odd.module)
    } else {
        return Ok(());
    };
    Err(Error::file(&expert.path, format!("has {more}, which a merged LoRA cannot have: leave it out")))
}

/// Copies of the base model's weights may be left out of a merged LoRA, as long as they are these weights.
fn same_copies(library: &Catalog, expert: &Expert, adapter: &Adapter) -> Result<()> {
    let Some(copy) = adapter.replaced.iter().find(|stored| stored.copy) else { return Ok(()) };
    let bad = |problem: String| Err(Error::file(&expert.path, problem));
    let files = library.base_here().and_then(|path| ModelFiles::open(&path));
    let files = files.ok().filter(|files| fit_base(expert, &files.spec.base_shape()).is_ok());
    let Some(files) = files else {
        return bad(format!(
            "has a copy of {}, which a merged LoRA cannot have; whether it is the base model's can be seen only beside \
             that: give --base",
            short(&copy.name)
        ));
    };
    let name = |stored: &Stored| short(&stored.name);
    for stored in adapter.replaced.iter().filter(|stored| stored.copy) {
        if let Some(difference) = files.difference(stored, &stored.values()?)? {
            return bad(format!(
                "has a replaced {} (a copy that differs from the base model's by {:.1} %), which a merged LoRA cannot have: \
                 leave it out",
                name(stored),
                100.0 * difference
            ));
        }
    }
    Ok(())
}

fn warnings(experts: &[&Expert], method: MergeMethod) -> Vec<String> {
    let mut warnings = Vec::new();
    for expert in experts {
        if let Some(reason) = expert.not_applied(false) {
            warnings.push(format!("only part of {} is merged: {reason}", expert.name));
        }
    }
    let mut bases = experts.iter().filter_map(|e| Some((&e.name, e.config.base.as_deref()?)));
    if let Some((first, base)) = bases.next()
        && let Some((other, another)) = bases.find(|(_, b)| *b != base)
    {
        warnings.push(format!(
            "'{first}' names {base} as its base model, '{other}' {another}: {base} is recorded"
        ));
    }
    let mut seeds = experts.iter().filter_map(|e| Some((&e.name, e.provenance.as_ref()?.seed?)));
    if method.entrywise
        && let Some((first, seed)) = seeds.next()
        && let Some((other, another)) = seeds.find(|(_, s)| *s != seed)
    {
        warnings.push(format!(
            "experts started from different seeds ('{first}' from {seed}, '{other}' from {another}), so that the \
             entries of their A and B have nothing to do with each other: --method svd does not depend on it"
        ));
    }
    warnings
}
