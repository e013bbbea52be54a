//! `adapter_config.json` as PEFT writes it, read with suspicion.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::variants;
use crate::library::AdapterConfig;
use crate::outside::{io_reason, read_limited};
use crate::text::short;

/// No real configuration comes near this.
const MAX_CONFIG: u64 = 8 << 20;
/// Nor does a real list or map in it: keeps memory in proportion to the file.
const MAX_ENTRIES: usize = 50_000;

/// Unknown keys that are named.
const SAID_KEYS: usize = 3;
/// Keys that PEFT's `LoraConfig` has, or had in another version, and that say nothing here.
const KNOWN_KEYS: [&str; 13] = [
    "auto_mapping",
    "corda_config",
    "enable_lora",
    "inference_mode",
    "loftq_config",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "merge_weights",
    "peft_version",
    "qalora_group_size",
    "runtime_config",
    "task_type",
];

/// What the configuration says beyond [`AdapterConfig`].
#[derive(Debug, Default)]
pub(in crate::library) struct ConfigNotes {
    /// `target_parameters`: layers whose LoRA is shaped for a stack of weights.
    pub stacked: Vec<String>,
    /// `trainable_token_indices`: token ids per module; without a module's name for the embedding.
    pub tokens: Vec<(Option<String>, Vec<u32>)>,
    /// Whether B has a bias.
    pub lora_bias: bool,
    /// Which modules are adapted, as far as the configuration says.
    pub selection: Selection,
    /// A scale that is used as it is, for all modules.
    pub scale: Option<f64>,
    /// The configuration says nothing about ranks.
    pub any_rank: bool,
    /// It has no `r`, for which PEFT takes 8.
    pub no_r: bool,
    /// Keys that PEFT does not know: how many, and the first.
    pub unknown_keys: (usize, Vec<String>),
    /// What had to be assumed.
    pub doubts: Vec<String>,
}

/// Which modules an adapter's configuration adapts: `target_modules` and what narrows it down. The tensors decide; this
/// is for reporting contradictions.
#[derive(Debug, Default)]
pub struct Selection {
    /// `target_modules` and `exclude_modules`.
    pub(in crate::library) targets: Names,
    pub(in crate::library) excluded: Names,
    /// `modules_to_save`, which get no LoRA.
    pub(in crate::library) saves: Vec<String>,
    /// `layers_to_transform`; empty means all layers.
    pub(in crate::library) layers: Vec<usize>,
    /// `layers_pattern`: what stands before the number of a layer; empty means anything.
    pub(in crate::library) layers_pattern: Vec<String>,
    /// `ensure_weight_tying`: LoRA of the embedding is also the head's.
    pub(in crate::library) tied: bool,
    /// `bias`: which biases of the base model are trained.
    pub(in crate::library) biases: TrainedBiases,
    /// `init_lora_weights` is false: what the file does not have of A and B, PEFT fills at random.
    pub(in crate::library) random: bool,
    /// What `trainable_token_indices` calls a head whose tokens are those of the embedding, and of which the file has no
    /// rows: one that is the embedding shares its rows.
    pub(in crate::library) shared_tokens: Option<String>,
    /// `target_parameters`, which get LoRA whatever the targets are. The `weight` of a linear layer is one.
    pub(in crate::library) parameters: Vec<String>,
}

/// Which biases of the base model are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::library) enum TrainedBiases {
    #[default]
    None,
    /// All that the model has.
    All,
    /// Those of the layers with LoRA.
    Own,
}

impl TrainedBiases {
    /// As `bias` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::Own => "lora_only",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::None, Self::All, Self::Own].into_iter().find(|biases| biases.name() == name)
    }
}

/// Module names as a list, or one regular expression.
#[derive(Debug, Default)]
pub(in crate::library) enum Names {
    #[default]
    None,
    List(Vec<String>),
    Regex(String),
}

/// Reads and checks a configuration. The error is a reason for a person, without the folder's name.
pub(in crate::library) fn read_config(path: &Path) -> Result<(AdapterConfig, ConfigNotes), String> {
    let bytes =
        read_limited(path, MAX_CONFIG).map_err(|e| format!("adapter_config.json {}", io_reason(&e)))?;
    parse_config(&bytes).map_err(|reason| format!("adapter_config.json {reason}"))
}

/// Reads a configuration of another kind. The error is a reason without the file's name.
pub(in crate::library) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let bytes = read_limited(path, MAX_CONFIG).map_err(|e| io_reason(&e))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(bytes).map_err(|e| format!("cannot be used: {}", short(&e.to_string())))
}

/// [`read_config`] on bytes in memory.
pub(in crate::library) fn parse_config(bytes: &[u8]) -> Result<(AdapterConfig, ConfigNotes), String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty".into());
    }
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err("is not a JSON object".into());
    }
    let raw: RawConfig =
        serde_json::from_slice(bytes).map_err(|e| format!("cannot be used: {}", short(&problem(&e))))?;
    match raw.peft_type.0.as_deref() {
        Some(kind) if kind.eq_ignore_ascii_case("LORA") => {}
        Some(kind) => {
            let name = variants::tuner(kind).filter(|name| *name != kind);
            let name = name.map_or(String::new(), |name| format!(" ({name})"));
            return Err(format!("is of peft_type {}{name}: only LORA can be used", short(kind)));
        }
        None => return Err("has no peft_type: it is not a PEFT adapter".into()),
    }
    if let Some(refusal) = raw.refused {
        return Err(refusal);
    }
    let no_r = raw.r.0.is_none();
    let r = whole(raw.r.0.unwrap_or(8.0)).ok_or("has an `r` that is not a whole number")?;
    if r == 0 {
        return Err("says rank 0: nothing was trained".into());
    }
    let alpha = raw.alpha.0.unwrap_or(8.0);
    let dropout = raw.dropout.0.unwrap_or(0.0);
    if !alpha.is_finite() || !dropout.is_finite() {
        return Err("has a `lora_alpha` or `lora_dropout` that is not a number".into());
    }
    let rank_pattern = raw
        .rank_pattern
        .0
        .into_iter()
        .map(|(key, value)| match whole(value) {
            Some(rank) => Ok((key, rank)),
            None => Err(format!("has a `rank_pattern` for {} that is not a whole number", short(&key))),
        })
        .collect::<Result<_, _>>()?;
    let mut targets = match &raw.targets {
        Names::None => Vec::new(),
        Names::List(names) => names.clone(),
        Names::Regex(regex) => vec![regex.clone()],
    };
    targets.sort_unstable();
    let layers = raw.layers.0.iter().map(|&v| whole(v)).collect::<Option<Vec<_>>>();
    let layers = layers.ok_or("has `layers_to_transform` that are not whole numbers")?;
    let config = AdapterConfig {
        base: raw.base.0.filter(|base| !base.is_empty()),
        revision: raw.revision.0.filter(|revision| !revision.is_empty()),
        r,
        alpha,
        dropout,
        use_rslora: raw.use_rslora.0,
        use_dora: raw.use_dora.0,
        fan_in_fan_out: raw.fan_in_fan_out.0,
        targets,
        rank_pattern,
        alpha_pattern: raw.alpha_pattern.0,
    };
    let mut doubts = Vec::new();
    let biases = raw.bias.0.as_deref().unwrap_or_default();
    let biases = TrainedBiases::named(biases).unwrap_or_else(|| {
        if !biases.is_empty() {
            doubts.push(format!("`bias` is {}, which PEFT refuses: it is taken as none", short(biases)));
        }
        TrainedBiases::None
    });
    let notes = ConfigNotes {
        no_r,
        unknown_keys: raw.unknown,
        doubts,
        tokens: raw.tokens.0,
        lora_bias: raw.lora_bias.0,
        selection: Selection {
            targets: raw.targets,
            excluded: raw.excluded,
            saves: raw.saves.0,
            layers,
            layers_pattern: raw.layers_pattern.0.into_iter().filter(|pattern| !pattern.is_empty()).collect(),
            tied: raw.tied.0,
            biases,
            random: raw.random,
            shared_tokens: None,
            parameters: raw.stacked.0.clone(),
        },
        stacked: raw.stacked.0,
        ..ConfigNotes::default()
    };
    Ok((config, notes))
}

/// What is wrong with a configuration. Where a value is wrong its key says where; else the line and column do.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ").filter(|_| error.is_data()) {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

fn too_many<E: de::Error>() -> E {
    E::custom(format!("more than {MAX_ENTRIES} entries"))
}

fn whole(value: f64) -> Option<usize> {
    (value.fract() == 0.0 && (0.0..=1e9).contains(&value)).then_some(value as usize)
}

/// The fields that matter, each `null`-tolerant.
#[derive(Default)]
struct RawConfig {
    peft_type: Text,
    base: Text,
    revision: Text,
    r: Number,
    alpha: Number,
    dropout: Number,
    use_rslora: Flag,
    use_dora: Flag,
    fan_in_fan_out: Flag,
    targets: Names,
    excluded: Names,
    layers: Numbers,
    layers_pattern: Strings,
    tied: Flag,
    saves: Strings,
    tokens: TokenIds,
    lora_bias: Flag,
    rank_pattern: Pattern,
    alpha_pattern: Pattern,
    stacked: Strings,
    bias: Text,
    /// `init_lora_weights` is false.
    random: bool,
    /// Keys that PEFT does not know: how many, and the first.
    unknown: (usize, Vec<String>),
    /// Why it cannot be used, though it is LoRA.
    refused: Option<String>,
}

impl<'de> Deserialize<'de> for RawConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawVisitor)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawConfig;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawConfig, A::Error> {
        let mut raw = RawConfig::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let key = &*key;
            match key {
                "peft_type" => raw.peft_type = value(&mut map, key)?,
                "base_model_name_or_path" => raw.base = value(&mut map, key)?,
                "revision" => raw.revision = value(&mut map, key)?,
                "r" => raw.r = value(&mut map, key)?,
                "lora_alpha" => raw.alpha = value(&mut map, key)?,
                "lora_dropout" => raw.dropout = value(&mut map, key)?,
                "use_rslora" => raw.use_rslora = value(&mut map, key)?,
                "use_dora" => raw.use_dora = value(&mut map, key)?,
                "fan_in_fan_out" => raw.fan_in_fan_out = value(&mut map, key)?,
                "target_modules" => raw.targets = value(&mut map, key)?,
                "exclude_modules" => raw.excluded = value(&mut map, key)?,
                "layers_to_transform" => raw.layers = value(&mut map, key)?,
                "layers_pattern" => raw.layers_pattern = value(&mut map, key)?,
                "ensure_weight_tying" => raw.tied = value(&mut map, key)?,
                "modules_to_save" => raw.saves = value(&mut map, key)?,
                "trainable_token_indices" => raw.tokens = value(&mut map, key)?,
                "lora_bias" => raw.lora_bias = value(&mut map, key)?,
                "rank_pattern" => raw.rank_pattern = value(&mut map, key)?,
                "alpha_pattern" => raw.alpha_pattern = value(&mut map, key)?,
                "target_parameters" => raw.stacked = value(&mut map, key)?,
                "bias" => raw.bias = value(&mut map, key)?,
                "init_lora_weights" => {
                    let Filled { text, no, .. } = value(&mut map, key)?;
                    raw.random = no;
                    let refusal = text.and_then(|name| variants::refused_init(&name));
                    raw.refused = raw.refused.take().or(refusal);
                }
                _ => match variants::refused_field(key) {
                    Some(refusal) => {
                        if value::<Filled, _>(&mut map, key)?.filled {
                            raw.refused.get_or_insert(refusal);
                        }
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                        if !KNOWN_KEYS.contains(&key) && !variants::is_field(key) {
                            raw.unknown.0 += 1;
                            if raw.unknown.1.len() < SAID_KEYS {
                                raw.unknown.1.push(short(key));
                            }
                        }
                    }
                },
            }
        }
        Ok(raw)
    }
}

fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(map: &mut A, key: &str) -> Result<T, A::Error> {
    map.next_value().map_err(|e| de::Error::custom(format!("`{key}`: {e}")))
}

/// Implements `Deserialize` through `deserialize_any` for a visitor of the same value. Types without
/// strings refuse them without repeating them: they may be very long.
macro_rules! any {
    ($type:ident, $expecting:literal, no strings, { $($method:item)* }) => {
        any!($type, $expecting, {
            fn visit_str<E: de::Error>(self, _: &str) -> Result<$type, E> {
                Err(E::custom(concat!("a string where ", $expecting, " is expected")))
            }
            $($method)*
        });
    };
    ($type:ident, $expecting:literal, { $($method:item)* }) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct AnyVisitor;
                impl<'de> Visitor<'de> for AnyVisitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_unit<E: de::Error>(self) -> Result<$type, E> {
                        Ok($type::default())
                    }
                    $($method)*
                }
                deserializer.deserialize_any(AnyVisitor)
            }
        }
    };
}

#[derive(Default)]
pub(in crate::library) struct Text(pub Option<String>);
any!(Text, "a string or null", {
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Text, E> {
        Ok(Text(Some(v.to_string())))
    }
});

#[derive(Default)]
struct Flag(bool);
any!(Flag, "true, false or null", no strings, {
    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Flag, E> {
        Ok(Flag(v))
    }
});

#[derive(Default)]
pub(in crate::library) struct Number(pub Option<f64>);
any!(Number, "a number or null", no strings, {
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Number, E> {
        Ok(Number(Some(v as f64)))
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Number, E> {
        Ok(Number(Some(v as f64)))
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Number, E> {
        Ok(Number(Some(v)))
    }
});

#[derive(Default)]
struct Strings(Vec<String>);
any!(Strings, "a string, a list of strings or null", {
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Strings, E> {
        Ok(Strings(vec![v.to_string()]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strings, A::Error> {
        let mut strings = Vec::new();
        while let Some(string) = seq.next_element::<String>()? {
            if strings.len() == MAX_ENTRIES {
                return Err(too_many());
            }
            strings.push(string);
        }
        Ok(Strings(strings))
    }
});

any!(Names, "a string, a list of strings or null", {
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Names, E> {
        Ok(Names::Regex(v.to_string()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Names, A::Error> {
        let strings = Strings::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
        Ok(Names::List(strings.0))
    }
});

#[derive(Default)]
struct Numbers(Vec<f64>);
any!(Numbers, "a whole number, a list of them or null", no strings, {
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Numbers, E> {
        Ok(Numbers(vec![v as f64]))
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Numbers, E> {
        Ok(Numbers(vec![v as f64]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Numbers, A::Error> {
        let mut numbers = Vec::new();
        while let Some(Number(number)) = seq.next_element()? {
            if numbers.len() == MAX_ENTRIES {
                return Err(too_many());
            }
            numbers.push(number.unwrap_or(f64::NAN));
        }
        Ok(Numbers(numbers))
    }
});

#[derive(Default)]
struct TokenIds(Vec<(Option<String>, Vec<u32>)>);

impl TokenIds {
    fn ids<E: de::Error>(numbers: &Numbers) -> Result<Vec<u32>, E> {
        let id = |&v: &f64| whole(v).and_then(|v| u32::try_from(v).ok());
        numbers.0.iter().map(id).collect::<Option<_>>().ok_or_else(|| E::custom("expected token ids"))
    }
}

any!(TokenIds, "a list of token ids, a map from module names to such lists, or null", no strings, {
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<TokenIds, A::Error> {
        let numbers = Numbers::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
        Ok(TokenIds(vec![(None, TokenIds::ids(&numbers)?)]))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TokenIds, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if entries.len() == MAX_ENTRIES {
                return Err(too_many());
            }
            let numbers = value::<Numbers, _>(&mut map, &short(&key))?;
            entries.push((Some(key), TokenIds::ids(&numbers)?));
        }
        Ok(TokenIds(entries))
    }
});

#[derive(Default)]
struct Pattern(Vec<(String, f64)>);
any!(Pattern, "a map from module names to numbers or null", no strings, {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pattern, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if entries.len() == MAX_ENTRIES {
                return Err(too_many());
            }
            let number = match value::<Number, _>(&mut map, &short(&key))?.0 {
                Some(number) => number,
                None => return Err(de::Error::custom(format!("`{}`: expected a number", short(&key)))),
            };
            entries.push((key, number));
        }
        Ok(Pattern(entries))
    }
});

/// Whether a value says anything: not null, false, zero or an empty list.
#[derive(Default)]
struct Filled {
    filled: bool,
    /// False.
    no: bool,
    text: Option<String>,
}
any!(Filled, "any value", {
    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Filled, E> {
        Ok(Filled { filled: v, no: !v, text: None })
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Filled, E> {
        Ok(Filled { filled: v != 0, no: false, text: None })
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Filled, E> {
        Ok(Filled { filled: v != 0, no: false, text: None })
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Filled, E> {
        Ok(Filled { filled: v != 0.0, no: false, text: None })
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Filled, E> {
        Ok(Filled { filled: !v.is_empty(), no: false, text: Some(v.to_string()) })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Filled, A::Error> {
        let mut filled = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            filled = true;
        }
        Ok(Filled { filled, no: false, text: None })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filled, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        // Settings of a variant, all of which may be the defaults.
        Ok(Filled { filled: true, no: false, text: None })
    }
});
