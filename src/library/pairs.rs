//! Which tensors of a PEFT weights file form which LoRA pair.

use std::cmp::Ordering;

use super::header::{Dtype, TensorInfo, short};

/// Where a LoRA factor lies in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub dtype: Dtype,
    pub start: u64,
    pub end: u64,
}

/// One module's A (`rank × in_features`) and B (`out_features × rank`).
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub module: String,
    pub rank: usize,
    pub in_features: usize,
    pub out_features: usize,
    pub a: Slot,
    pub b: Slot,
}

/// The LoRA pairs of a file, sorted by module, and what else is in it.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub pairs: Vec<Pair>,
    /// Tensors that are not applied, as counts and an example: `3 DoRA magnitudes (model.…)`.
    pub unused: Vec<String>,
}

/// What a tensor's name says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    A,
    B,
    Bias,
    Embedding,
    Magnitude,
    Other,
}

/// Splits a key like `base_model.model.<module>.lora_A[.<adapter>].weight`.
fn role(name: &str) -> (Role, &str) {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    let (module, rest) = match name.rfind(".lora_") {
        Some(at) => (&name[..at], &name[at + 1..]),
        None if name.starts_with("lora_") => ("", name),
        None => return (Role::Other, name),
    };
    let (kind, tail) = rest.split_once('.').unwrap_or((rest, ""));
    // What remains is `weight`, or an adapter's name (which has no dots) and `weight`.
    let leaf = match tail.rsplit_once('.') {
        Some((adapter, leaf)) if !adapter.contains('.') => leaf,
        Some(_) => return (Role::Other, name),
        None => tail,
    };
    let role = match (kind, leaf) {
        ("lora_A", "weight") => Role::A,
        ("lora_B", "weight") => Role::B,
        ("lora_A" | "lora_B", "bias") => Role::Bias,
        ("lora_embedding_A" | "lora_embedding_B", _) => Role::Embedding,
        ("lora_magnitude_vector", _) => Role::Magnitude,
        _ => Role::Other,
    };
    (role, module)
}

/// Sorts the tensors of a header into pairs. `stacked` are the configuration's `target_parameters`.
/// The error is a reason without the file's name.
pub(super) fn find_pairs(tensors: &[TensorInfo<'_>], stacked: &[String]) -> Result<Pairs, String> {
    let mut named: Vec<(&str, Role, &TensorInfo<'_>)> = tensors
        .iter()
        .map(|tensor| {
            let (role, module) = role(&tensor.name);
            (module, role, tensor)
        })
        .collect();
    named.sort_unstable_by(|x, y| (x.0, x.1, &x.2.name).cmp(&(y.0, y.1, &y.2.name)));

    let mut found = Pairs { pairs: Vec::with_capacity(named.len() / 2), unused: Vec::new() };
    let mut unused = Unused::default();
    let mut rest = &named[..];
    while let Some(&(module, role, tensor)) = rest.first() {
        match role {
            Role::A | Role::B => {}
            other => {
                unused.add(other, &tensor.name);
                rest = &rest[1..];
                continue;
            }
        }
        if module.is_empty() {
            return Err(format!("names no module in tensor `{}`", short(&tensor.name)));
        }
        let same = rest.iter().take_while(|(m, r, _)| *m == module && *r <= Role::B).count();
        let (group, after) = rest.split_at(same);
        rest = after;
        let (a, b) = match group {
            [(_, Role::A, a), (_, Role::B, b)] => (*a, *b),
            [(_, Role::A, _)] => return Err(format!("lacks lora_B of {}", short(module))),
            [(_, Role::B, _)] => return Err(format!("lacks lora_A of {}", short(module))),
            _ => return Err(format!("has more than one lora_A or lora_B for {}", short(module))),
        };
        if is_stacked(module, stacked) {
            unused.add_named(UNUSED_STACKED, module);
            continue;
        }
        if a.dims > 2 && b.dims > 2 {
            unused.add_named(UNUSED_CONVOLUTION, module);
            continue;
        }
        found.pairs.push(pair(module, a, b)?);
    }
    found.pairs.sort_unstable_by(|x, y| natural(&x.module, &y.module));
    found.unused = unused.describe();
    if found.pairs.is_empty() {
        return Err(match found.unused.first() {
            Some(other) => format!("has no LoRA for a linear layer, only {other}"),
            None => "has no LoRA tensors".into(),
        });
    }
    Ok(found)
}

/// Whether a module's LoRA belongs to a parameter (`target_parameters`), not to a linear layer.
fn is_stacked(module: &str, stacked: &[String]) -> bool {
    let module = module.trim_end_matches(".base_layer");
    stacked.iter().any(|parameter| {
        let owner = parameter.rsplit_once('.').map_or(parameter.as_str(), |(owner, _)| owner);
        module.strip_suffix(owner).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

fn pair(module: &str, a: &TensorInfo<'_>, b: &TensorInfo<'_>) -> Result<Pair, String> {
    for (tensor, what) in [(a, "lora_A"), (b, "lora_B")] {
        if tensor.dims != 2 {
            return Err(format!("has a {what} of {} dimensions at {}", tensor.dims, short(module)));
        }
        if matches!(tensor.dtype, Dtype::Other(..)) {
            return Err(format!(
                "has {what} of {} as {}: re-save it as f16, bf16 or f32",
                short(module),
                tensor.dtype.name()
            ));
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
    let slot = |tensor: &TensorInfo<'_>| Slot { dtype: tensor.dtype, start: tensor.start, end: tensor.end };
    Ok(Pair {
        module: module.to_string(),
        rank: size(a.rows)?,
        in_features: size(a.columns)?,
        out_features: size(b.rows)?,
        a: slot(a),
        b: slot(b),
    })
}

const UNUSED_STACKED: usize = 4;
const UNUSED_CONVOLUTION: usize = 5;

/// Counts what is not applied, with one example each.
#[derive(Default)]
struct Unused([(usize, String); 6]);

impl Unused {
    const NAMES: [(&str, &str); 6] = [
        ("LoRA bias", "LoRA biases"),
        ("embedding LoRA tensor", "embedding LoRA tensors"),
        ("DoRA magnitude", "DoRA magnitudes"),
        ("other tensor", "other tensors"),
        ("LoRA of stacked weights", "LoRA of stacked weights"),
        ("convolution LoRA", "convolution LoRA"),
    ];

    fn add(&mut self, role: Role, name: &str) {
        let kind = match role {
            Role::Bias => 0,
            Role::Embedding => 1,
            Role::Magnitude => 2,
            Role::A | Role::B | Role::Other => 3,
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

/// Order of module paths with numbers compared as numbers: layer 2 before layer 10.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (x, y) = (a.as_bytes(), b.as_bytes());
    let common = x.iter().zip(y).take_while(|(p, q)| p == q).count();
    let run = x[..common].iter().rev().take_while(|c| c.is_ascii_digit()).count();
    let number = |bytes: &[u8]| -> (usize, usize) {
        let digits = &bytes[common - run..];
        let length = digits.iter().take_while(|c| c.is_ascii_digit()).count();
        let zeros = digits[..length].iter().take_while(|&&c| c == b'0').count();
        (zeros, length)
    };
    let ((x_zeros, x_length), (y_zeros, y_length)) = (number(x), number(y));
    if x_length == 0 || y_length == 0 {
        return x.cmp(y);
    }
    let digits = |bytes: &[u8], zeros, length| bytes[common - run..][zeros..length].to_vec();
    (x_length - x_zeros)
        .cmp(&(y_length - y_zeros))
        .then_with(|| digits(x, x_zeros, x_length).cmp(&digits(y, y_zeros, y_length)))
        .then_with(|| x.cmp(y))
}
