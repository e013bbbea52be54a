//! Which tensors of a PEFT weights file form which LoRA pair, and what else the file trains.

use std::borrow::Cow;

use super::variants::{Parameters, parameter as parameter_of};
use crate::library::formats::keys::{canonical, in_file, is_inside, is_other_part};
use crate::library::safetensors::{Dtype, Place, TensorInfo};
use crate::module_path::{ModuleNames, ModulePath};
use crate::text::{natural, short};

/// Where a LoRA factor lies in its file.
#[derive(Clone, Copy, Debug)]
pub(in crate::library) struct Slot {
    pub dtype: Dtype,
    pub start: u64,
    pub end: u64,
    pub place: Place,
}

/// One module's A (`rank × in_features`) and B (`out_features × rank`). Of an embedding the input is a
/// one-hot token, so that `in_features` is the vocabulary.
#[derive(Clone, Debug)]
pub(in crate::library) struct Pair {
    pub module: String,
    /// What the file calls the module, where that is another name.
    pub file_name: Option<Box<str>>,
    pub embedding: bool,
    pub rank: usize,
    pub in_features: usize,
    pub out_features: usize,
    pub a: Slot,
    pub b: Slot,
    /// Bias of B: `out_features` values.
    pub bias: Option<Slot>,
    /// DoRA's magnitude: `out_features` values.
    pub magnitude: Option<Slot>,
}

impl Pair {
    pub fn names(&self) -> ModuleNames<'_> {
        ModuleNames::new(&self.module, self.file_name.as_deref())
    }
}

/// A parameter of the base model that the file replaces.
#[derive(Clone, Debug)]
pub(in crate::library) struct Replacement {
    /// Transformers name: `lm_head.weight`, `model.norm.weight`.
    pub name: String,
    /// What the file calls its module, where that is another name.
    pub file_name: Option<Box<str>>,
    /// One or two dimensions.
    pub shape: Vec<usize>,
    pub slot: Slot,
    /// Written along because the embeddings are adapted: usually equal to the base model's.
    pub copy: bool,
}

impl Replacement {
    /// Of the module whose parameter it is.
    pub fn module(&self) -> ModuleNames<'_> {
        let module = self.name.rsplit_once('.').map_or("", |(module, _)| module);
        ModuleNames::new(module, self.file_name.as_deref())
    }
}

/// Trained rows of an embedding or of the head; the configuration says which tokens they belong to.
#[derive(Clone, Debug)]
pub(in crate::library) struct TokenRows {
    pub module: String,
    /// What the file calls the module, where that is another name.
    pub file_name: Option<Box<str>>,
    pub rows: usize,
    pub width: usize,
    pub slot: Slot,
}

impl TokenRows {
    pub fn names(&self) -> ModuleNames<'_> {
        ModuleNames::new(&self.module, self.file_name.as_deref())
    }
}

/// What a file contains.
#[derive(Debug, Default)]
pub(in crate::library) struct Parts {
    /// Sorted by module.
    pub pairs: Vec<Pair>,
    /// Sorted by name.
    pub replacements: Vec<Replacement>,
    /// Sorted by module.
    pub tokens: Vec<TokenRows>,
    /// Tensors that are not applied, as counts and an example: `3 convolution LoRA (model.…)`.
    pub unused: Vec<String>,
    /// Names in the file of modules whose LoRA is not applied.
    pub others: Vec<String>,
}

/// What a tensor's name says it is. A and B come first, so that they stand first in a module's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    A,
    B,
    EmbeddingA,
    EmbeddingB,
    Bias,
    Magnitude,
    Tokens,
    Replacement,
    /// The same as `Replacement`, under the name that PEFT gives it in memory; it may write both.
    Saved,
    Copy,
    /// What PEFT keeps of the base model; it does not use it.
    Original,
    /// Of a variant of LoRA, for training alone.
    Training,
    Other,
}

/// Modules to save, and parameters that LoRA is of, that are compared with every module: no list names more.
pub(in crate::library) const MOST_NAMED: usize = 4096;
/// LoRA's parameters of a module.
const FACTORS: [&str; 5] =
    ["lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"];

/// Where in a key the dot before LoRA's parameter is: `….lora_A.<adapter>.weight`. An adapter's name may begin as
/// parameters do.
fn parameter_at(name: &str) -> Option<usize> {
    let is_known = |at: usize| {
        let part = name[at + 1..].split('.').next().unwrap_or_default();
        FACTORS.contains(&part) || !matches!(parameter_of(part), Parameters::Unknown)
    };
    let mut places = name.rmatch_indices(".lora_").map(|(at, _)| at);
    places.clone().find(|&at| is_known(at)).or_else(|| places.next())
}

/// Splits a key like `base_model.model.<module>.lora_A[.<adapter>].weight`. The module of a replaced
/// parameter is the parameter's own name.
fn role(name: &str) -> (Role, Cow<'_, str>) {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    let (module, rest) = match parameter_at(name) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None if name.starts_with("lora_") => ("", name),
        None => return parameter(name),
    };
    let (kind, tail) = rest.split_once('.').unwrap_or((rest, ""));
    // What remains is `weight`, or an adapter's name (which has no dots) and `weight`.
    let leaf = match tail.rsplit_once('.') {
        Some((adapter, leaf)) if !adapter.contains('.') => leaf,
        Some(_) => return (Role::Other, name.into()),
        None => tail,
    };
    let role = match (kind, leaf) {
        ("lora_A", "weight" | "") => Role::A,
        ("lora_B", "weight" | "") => Role::B,
        ("lora_B", "bias") => Role::Bias,
        // These are parameters of their own: what follows is nothing, `weight` or an adapter's name.
        ("lora_embedding_A", _) => Role::EmbeddingA,
        ("lora_embedding_B", _) => Role::EmbeddingB,
        ("lora_magnitude_vector", _) => Role::Magnitude,
        _ => match parameter_of(kind) {
            Parameters::TrainingOnly => Role::Training,
            _ => Role::Other,
        },
    };
    (role, module.into())
}

/// Why a tensor keeps the file from being a LoRA that can be applied, if it does: a parameter of a variant that is
/// something else than B·A, or that is not known.
fn refusal(name: &str) -> Option<String> {
    let known = name.split('.').rev().take(3).find_map(|part| match parameter_of(part) {
        Parameters::Refused(kind, why) => Some((part, Some((kind, why)))),
        _ => None,
    });
    let (part, known) = known.or_else(|| {
        let part = name[parameter_at(name)? + 1..].split('.').next().unwrap_or_default();
        Some((part, None)).filter(|_| !FACTORS.contains(&part))
    })?;
    Some(match known {
        Some((kind, why)) => format!("has `{part}` of {kind}, which {why}"),
        None if matches!(part, "lora_a" | "lora_b") => format!(
            "has `{part}` ({}), which is plain LoRA by the names of another tool (MLX-LM, torchtune): convert it to PEFT's \
             (lora_A.weight of rank × in, lora_B.weight of out × rank); MLX-LM's own folder with adapters.safetensors can be \
             read as it is",
            short(name)
        ),
        None => format!(
            "has `{}` ({}), which belongs to a variant of LoRA that is not known here: merge it into the base model \
             with the tool that trained it",
            short(part),
            short(name)
        ),
    })
}

/// What the file calls the module of a tensor, where that is not `module`.
fn file_name(tensor: &str, module: &str) -> Option<Box<str>> {
    let name = in_file(tensor);
    let cut = |tail: &str| name.rfind(tail).map(|at| &name[..at]);
    let owner = parameter_at(name)
        .map(|at| &name[..at])
        .or_else(|| cut(".token_adapter."))
        .or_else(|| cut(".modules_to_save"))
        .or_else(|| cut(".base_layer."))
        .or_else(|| name.rsplit_once('.').map(|(owner, _)| owner))?;
    (owner != module).then(|| owner.into())
}

/// The roles of tensors that are no LoRA.
fn parameter(name: &str) -> (Role, Cow<'_, str>) {
    const TOKENS: &str = "token_adapter.trainable_tokens_delta";
    if let Some((module, tail)) = name.split_once(TOKENS)
        && (tail.is_empty() || tail.starts_with('.') && !tail[1..].contains('.'))
    {
        return match module.strip_suffix('.') {
            Some(module) => (Role::Tokens, module.into()),
            None => (Role::Other, name.into()),
        };
    }
    let Some((owner, leaf)) = name.rsplit_once('.').filter(|(_, leaf)| matches!(*leaf, "weight" | "bias"))
    else {
        return (Role::Other, name.into());
    };
    if let Some(module) = owner.strip_suffix(".base_layer") {
        // The weights of an adapted embedding come along as they are; a bias only when it was trained.
        let role = if leaf == "weight" { Role::Copy } else { Role::Replacement };
        return (role, format!("{module}.{leaf}").into());
    }
    match owner.split_once(".modules_to_save") {
        Some((module, "")) => (Role::Saved, format!("{module}.{leaf}").into()),
        Some((module, adapter)) if adapter.starts_with('.') && !adapter[1..].contains('.') => {
            (Role::Saved, format!("{module}.{leaf}").into())
        }
        Some(_) => (Role::Other, name.into()),
        None if owner.ends_with(".original_module") => (Role::Original, name.into()),
        None => (Role::Replacement, name.into()),
    }
}

type Named<'a, 'b> = (Cow<'a, str>, Role, &'a TensorInfo<'b>);

/// Sorts the tensors of a header into parts. `stacked` are the configuration's `target_parameters`.
/// The error is a reason without the file's name.
pub(in crate::library) fn find_parts(
    tensors: &[TensorInfo<'_>],
    stacked: &[String],
) -> Result<Parts, String> {
    let mut named: Vec<Named<'_, '_>> = tensors
        .iter()
        .map(|tensor| match canonical(&tensor.name) {
            Cow::Borrowed(name) => {
                let (role, module) = role(name);
                (module, role, tensor)
            }
            Cow::Owned(name) => {
                let (role, module) = role(&name);
                (module.into_owned().into(), role, tensor)
            }
        })
        .collect();
    named.sort_unstable_by(|x, y| (&x.0, x.1, &x.2.name).cmp(&(&y.0, y.1, &y.2.name)));

    let mut found = Parts { pairs: Vec::with_capacity(named.len() / 2), ..Parts::default() };
    let mut unused = Unused::default();
    if let Some(reason) =
        named.iter().filter(|(_, role, _)| *role == Role::Other).find_map(|n| refusal(&n.2.name))
    {
        return Err(reason);
    }
    let is_placeholder = |(_, role, tensor): &&Named<'_, '_>| {
        !matches!(role, Role::Other | Role::Original | Role::Training) && tensor.dims == 1 && tensor.rows == 0
    };
    if let Some((_, _, tensor)) = named.iter().find(is_placeholder) {
        return Err(format!(
            "has an empty tensor {} ([0]), a placeholder in a checkpoint that DeepSpeed ZeRO-3 sharded: gather the weights \
             with its zero_to_fp32.py, or train with stage3_gather_16bit_weights_on_model_save",
            short(&tensor.name)
        ));
    }
    for group in named.chunk_by(|x, y| x.0 == y.0) {
        let Some((module, _, first)) = group.first() else { continue };
        let lora = group.partition_point(|(_, role, _)| *role <= Role::Magnitude);
        let (lora, others) = group.split_at(lora);
        match find_pair(module, lora, stacked, &mut unused)? {
            Some(pair) => found.pairs.push(pair),
            None if lora.is_empty() => {}
            None => {
                found.others.push(file_name(&first.name, module).unwrap_or_else(|| (**module).into()).into())
            }
        }
        if module.is_empty() && others.iter().any(|(_, role, _)| *role != Role::Other) {
            return Err(format!("names no module in tensor `{}`", short(&first.name)));
        }
        find_others(module, others, &mut found, &mut unused)?;
    }
    // Where the file distinguishes the language model, all but the head lies in other parts.
    let language =
        |pair: &Pair| is_inside(pair.names().file) || matches!(pair.module.as_str(), "lm_head" | "embed_out");
    if found.pairs.iter().any(|pair| is_inside(pair.names().file)) {
        let others = found.pairs.extract_if(.., |pair| !language(pair));
        for pair in others {
            unused.add_named(UNUSED_PART, &pair.module);
            found.others.push(pair.file_name.map_or(pair.module, Into::into));
        }
    }
    found.pairs.sort_unstable_by(|x, y| natural(&x.module, &y.module));
    found.unused = unused.describe();
    if found.pairs.is_empty() {
        let others = found.replacements.iter().map(|r| &r.name).chain(found.tokens.iter().map(|t| &t.module));
        return Err(match (found.unused.first(), others.map(|name| short(name)).next()) {
            (Some(other), _) => format!("has no LoRA for a linear layer, only {other}"),
            (None, Some(name)) => {
                format!("has no LoRA for a linear layer, only other tensors (such as {name})")
            }
            (None, None) => "has no LoRA tensors".into(),
        });
    }
    Ok(found)
}

/// The pair that the LoRA tensors of one module form, if it can be applied.
fn find_pair(
    module: &str,
    group: &[Named<'_, '_>],
    stacked: &[String],
    unused: &mut Unused,
) -> Result<Option<Pair>, String> {
    let Some((_, _, first)) = group.first() else { return Ok(None) };
    if module.is_empty() {
        return Err(format!("names no module in tensor `{}`", short(&first.name)));
    }
    let one = |wanted: Role, what: &str| -> Result<Option<&TensorInfo<'_>>, String> {
        let mut all = group.iter().filter(|(_, role, _)| *role == wanted).map(|(_, _, tensor)| *tensor);
        match (all.next(), all.next()) {
            (found, None) => Ok(found),
            (Some(x), Some(y)) => Err(ambiguous(what, module, &x.name, &y.name)),
            (None, Some(_)) => Ok(None),
        }
    };
    let linear = (one(Role::A, "lora_A")?, one(Role::B, "lora_B")?);
    let embedding = (one(Role::EmbeddingA, "lora_embedding_A")?, one(Role::EmbeddingB, "lora_embedding_B")?);
    let (bias, magnitude) = (one(Role::Bias, "bias of lora_B")?, one(Role::Magnitude, "magnitude")?);
    let ((a, b), embeds) = match (linear, embedding) {
        ((Some(_), None), (None, None)) => return Err(format!("lacks lora_B of {}", short(module))),
        ((None, Some(_)), (None, None)) => return Err(format!("lacks lora_A of {}", short(module))),
        ((None, None), (Some(_), None)) => {
            return Err(format!("lacks lora_embedding_B of {}", short(module)));
        }
        ((None, None), (None, Some(_))) => {
            return Err(format!("lacks lora_embedding_A of {}", short(module)));
        }
        ((Some(a), Some(b)), (None, None)) => ((a, b), false),
        ((None, None), (Some(a), Some(b))) => ((a, b), true),
        ((None, None), (None, None)) => {
            group.iter().for_each(|(_, role, tensor)| unused.add(*role, &tensor.name));
            return Ok(None);
        }
        _ => return Err(format!("has LoRA of a linear layer and of an embedding for {}", short(module))),
    };
    let file_name = file_name(&a.name, module);
    let names = ModuleNames::new(module, file_name.as_deref());
    // Of a convolution, B has one place, or both factors have two-dimensional kernels.
    let convolution = a.dims > 3 || b.depth() == 1;
    let apart = match a.dims > 2 && b.dims > 2 {
        _ if is_other_part(module) => Some(UNUSED_PART),
        true if convolution => Some(UNUSED_CONVOLUTION),
        true => Some(UNUSED_STACKED),
        false => is_stacked(names, stacked).then_some(UNUSED_STACKED),
    };
    if let Some(kind) = apart {
        unused.add_named(kind, module);
        return Ok(None);
    }
    let mut pair = Pair { file_name, ..pair(module, embeds, a, b)? };
    for (vector, what, place) in
        [(bias, "a bias of lora_B", &mut pair.bias), (magnitude, "a DoRA magnitude", &mut pair.magnitude)]
    {
        let Some(tensor) = vector else { continue };
        // Older files keep magnitudes as [1, out].
        let flat = tensor.dims == 1 || tensor.dims == 2 && (tensor.rows == 1 || tensor.columns == 1);
        if !flat || tensor.rows.checked_mul(tensor.columns) != Some(pair.out_features as u64) {
            return Err(format!("has {what} that does not fit lora_B of {}", short(module)));
        }
        *place = Some(slot(tensor, what, module)?);
    }
    Ok(Some(pair))
}

/// Why two tensors cannot both be a module's: two adapters in one file, or two spellings of one name.
fn ambiguous(what: &str, module: &str, first: &str, second: &str) -> String {
    let adapter = |name: &str| {
        let (_, tail) = name.rsplit_once(".lora_")?;
        let (_, tail) = tail.split_once('.')?;
        Some(short(tail.split_once('.')?.0))
    };
    let module = short(module);
    match (adapter(first), adapter(second)) {
        (Some(one), Some(two)) if one != two => format!(
            "has more than one {what} for {module}: it has the adapters `{one}` and `{two}`, save one alone"
        ),
        _ => format!("has more than one {what} for {module}, under names that mean the same: keep one"),
    }
}

/// Files what is no LoRA.
fn find_others(
    module: &str,
    group: &[Named<'_, '_>],
    found: &mut Parts,
    unused: &mut Unused,
) -> Result<(), String> {
    let mut before: Option<Role> = None;
    for (_, role, tensor) in group {
        match (role, before) {
            (Role::Original | Role::Training, _) | (Role::Saved, Some(Role::Replacement)) => continue,
            _ if is_other_part(module) => {
                unused.add_named(UNUSED_PART_TENSORS, module);
                continue;
            }
            (Role::Other, _) => {
                unused.add(*role, &tensor.name);
                continue;
            }
            _ => {}
        }
        let size =
            |value: u64| usize::try_from(value).map_err(|_| "is too large for this machine".to_string());
        let (rows, columns) = (size(tensor.rows)?, size(tensor.columns)?);
        if tensor.dims > 2 || tensor.dims == 0 || rows == 0 || columns == 0 {
            unused.add(Role::Other, &tensor.name);
            continue;
        }
        let twice = || format!("has {} more than once", short(module));
        match role {
            Role::Tokens => {
                if before == Some(Role::Tokens) {
                    return Err(twice());
                }
                let slot = slot(tensor, "trained tokens", module)?;
                let file_name = file_name(&tensor.name, module);
                let module = module.to_string();
                found.tokens.push(TokenRows { module, file_name, rows, width: columns, slot });
            }
            _ => {
                if matches!(before, Some(Role::Replacement | Role::Saved | Role::Copy)) {
                    return Err(twice());
                }
                let shape = if tensor.dims == 1 { vec![rows] } else { vec![rows, columns] };
                let slot = slot(tensor, "a replaced parameter", module)?;
                let copy = *role == Role::Copy;
                let name = module.to_string();
                let owner = name.rsplit_once('.').map_or("", |(owner, _)| owner);
                let file_name = file_name(&tensor.name, owner);
                found.replacements.push(Replacement { name, file_name, shape, slot, copy });
            }
        }
        before = Some(*role);
    }
    Ok(())
}

/// Whether a module's LoRA belongs to a parameter (`target_parameters`), not to a linear layer.
fn is_stacked(module: ModuleNames<'_>, stacked: &[String]) -> bool {
    stacked.iter().take(MOST_NAMED).any(|parameter| {
        let (owner, leaf) = parameter.rsplit_once('.').unwrap_or((parameter.as_str(), ""));
        // The weights of a linear layer: that is LoRA of the layer.
        if leaf == "weight" {
            return false;
        }
        module.any(|name| ModulePath::new(name.trim_end_matches(".base_layer")).ends_with(owner))
    })
}

/// Where a tensor lies, if its type can be read.
fn slot(tensor: &TensorInfo<'_>, what: &str, module: &str) -> Result<Slot, String> {
    if matches!(tensor.dtype, Dtype::Other(..)) {
        return Err(format!(
            "has {what} of {} as {}: re-save it as f16, bf16 or f32",
            short(module),
            tensor.dtype.name()
        ));
    }
    Ok(Slot { dtype: tensor.dtype, start: tensor.start, end: tensor.end, place: tensor.place })
}

fn pair(module: &str, embedding: bool, a: &TensorInfo<'_>, b: &TensorInfo<'_>) -> Result<Pair, String> {
    for (tensor, what) in [(a, "lora_A"), (b, "lora_B")] {
        if tensor.dims != 2 {
            return Err(format!("has a {what} of {} dimensions at {}", tensor.dims, short(module)));
        }
    }
    if a.rows != b.columns {
        return Err(format!(
            "has rank {} in lora_A but {} in lora_B of {}",
            a.rows,
            b.columns,
            short(module)
        ));
    }
    if a.rows == 0 {
        return Err(format!("has rank 0 at {}", short(module)));
    }
    if a.columns == 0 || b.rows == 0 {
        return Err(format!("has an empty LoRA at {}", short(module)));
    }
    let size = |value: u64| usize::try_from(value).map_err(|_| "is too large for this machine".to_string());
    Ok(Pair {
        module: module.to_string(),
        file_name: None,
        embedding,
        rank: size(a.rows)?,
        in_features: size(a.columns)?,
        out_features: size(b.rows)?,
        a: slot(a, "lora_A", module)?,
        b: slot(b, "lora_B", module)?,
        bias: None,
        magnitude: None,
    })
}

const UNUSED_STACKED: usize = 3;
const UNUSED_CONVOLUTION: usize = 4;
const UNUSED_PART: usize = 5;
const UNUSED_PART_TENSORS: usize = 6;

/// Counts what is not applied, with one example each.
#[derive(Default)]
struct Unused([(usize, String); 7]);

impl Unused {
    const NAMES: [(&str, &str); 7] = [
        ("LoRA bias without LoRA", "LoRA biases without LoRA"),
        ("DoRA magnitude without LoRA", "DoRA magnitudes without LoRA"),
        ("other tensor", "other tensors"),
        ("LoRA of a stacked parameter (target_parameters)", "LoRA of stacked parameters (target_parameters)"),
        ("convolution LoRA", "convolution LoRA"),
        ("LoRA outside the language model", "LoRA outside the language model"),
        ("tensor outside the language model", "tensors outside the language model"),
    ];

    fn add(&mut self, role: Role, name: &str) {
        let kind = match role {
            Role::Bias => 0,
            Role::Magnitude => 1,
            _ => 2,
        };
        self.add_named(kind, name);
    }

    fn add_named(&mut self, kind: usize, name: &str) {
        if let Some((count, example)) = self.0.get_mut(kind) {
            if *count == 0 {
                *example = short(name.strip_prefix("base_model.model.").unwrap_or(name));
            }
            *count += 1;
        }
    }

    fn describe(&self) -> Vec<String> {
        self.0
            .iter()
            .zip(Self::NAMES)
            .filter(|((count, _), _)| *count > 0)
            .map(|((count, example), (one, many))| match count {
                1 => format!("1 {one} ({example})"),
                _ => format!("{count} {many} (such as {example})"),
            })
            .collect()
    }
}
