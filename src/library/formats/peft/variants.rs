//! The variants of LoRA that PEFT writes, and its other kinds of adapters: how a file shows that it is one, and what
//! becomes of it here.

/// How an adapter shows that it is of a variant.
enum Mark {
    /// A field of the configuration that says something.
    Field(&'static str),
    /// `init_lora_weights` begins with this.
    Init(&'static str),
    /// A parameter of a LoRA layer with this name: `lora_diag`.
    Parameter(&'static str),
}

/// What becomes of an adapter of a variant.
enum Fate {
    /// It is applied as PEFT applies it.
    Applied,
    /// It differs in training alone: B·A is all that it is afterwards.
    TrainingOnly,
    /// It is not B·A on the base model's weights, for this reason, which starts with a verb.
    Refused(&'static str),
}

/// A variant of LoRA.
struct Variant {
    name: &'static str,
    marks: &'static [Mark],
    fate: Fate,
}

use Fate::{Applied, Refused, TrainingOnly};
use Mark::{Field, Init, Parameter};

/// What to do with an adapter whose start was subtracted from the base model's weights. PEFT decomposes these anew
/// when it loads one, with another result for `pissa_niter_N`, cannot load `corda`, and forgets the subtraction for
/// `lora_ga`; what was trained is certain only after a conversion.
const CONVERT: &str = "changed the base model's weights when the training began: convert it into plain LoRA (PEFT's \
                       save_pretrained with path_initial_model_for_weight_conversion)";

/// All of them. Sources: PEFT's `tuners/lora` (`config.py`, `variants.py`, `layer.py`).
const VARIANTS: &[Variant] = &[
    Variant { name: "rsLoRA", marks: &[Field("use_rslora")], fate: Applied },
    Variant { name: "DoRA", marks: &[Field("use_dora"), Parameter("lora_magnitude_vector")], fate: Applied },
    Variant { name: "a bias of B", marks: &[Field("lora_bias")], fate: Applied },
    Variant { name: "EVA", marks: &[Field("eva_config"), Init("eva")], fate: TrainingOnly },
    Variant { name: "orthogonal start", marks: &[Init("orthogonal")], fate: TrainingOnly },
    Variant { name: "MiCA", marks: &[Init("mica")], fate: TrainingOnly },
    Variant { name: "Gaussian start", marks: &[Init("gaussian")], fate: TrainingOnly },
    Variant {
        name: "VeLoRA",
        marks: &[Field("velora_config"), Parameter("lora_velora_embed")],
        fate: TrainingOnly,
    },
    Variant {
        name: "MonteCLoRA",
        marks: &[Field("monteclora_config"), Parameter("lora_monteclora_sampler")],
        fate: TrainingOnly,
    },
    Variant { name: "PiSSA", marks: &[Init("pissa")], fate: Refused(CONVERT) },
    Variant { name: "OLoRA", marks: &[Init("olora")], fate: Refused(CONVERT) },
    Variant { name: "CorDA", marks: &[Init("corda")], fate: Refused(CONVERT) },
    Variant { name: "LoRA-GA", marks: &[Init("lora_ga")], fate: Refused(CONVERT) },
    Variant {
        name: "LoftQ",
        marks: &[Init("loftq")],
        fate: Refused(
            "belongs to a base model whose weights it quantised when the training began: merge it into that base \
             model with PEFT",
        ),
    },
    Variant {
        name: "KaSA",
        marks: &[Field("kasa_config"), Parameter("lora_diag")],
        fate: Refused(
            "has a diagonal between A and B, and takes the smallest singular parts out of the base model's weights: \
             merge it into the base model with PEFT",
        ),
    },
    Variant {
        name: "aLoRA",
        marks: &[Field("alora_invocation_tokens")],
        fate: Refused("acts only on tokens behind its invocation tokens, which no router here looks for"),
    },
    Variant {
        name: "QALoRA",
        marks: &[Field("use_qalora")],
        fate: Refused("has an A for means over groups of inputs of a GPTQ model"),
    },
    Variant {
        name: "BD-LoRA",
        marks: &[Field("use_bdlora")],
        fate: Refused("keeps blocks of A or B alone: write them as whole matrices"),
    },
    Variant {
        name: "layer replication",
        marks: &[Field("layer_replication")],
        fate: Refused("belongs to a base model with repeated layers"),
    },
    Variant {
        name: "Arrow's router",
        marks: &[Field("arrow_config"), Parameter("lora_arrow")],
        fate: Refused("routes over other adapters and is none itself: give the folder of those"),
    },
    Variant {
        name: "LoCon",
        marks: &[Parameter("lora_mid")],
        fate: Refused("has a third factor between its two, for convolutions"),
    },
    Variant {
        name: "LoRA of kohya or diffusers",
        marks: &[Parameter("lora_down"), Parameter("lora_up")],
        fate: Refused("is of image models"),
    },
    Variant {
        name: "AdaLoRA",
        marks: &[Parameter("lora_E")],
        fate: Refused("has singular values between A and B: merge it into the base model with PEFT"),
    },
];

/// Other kinds of adapters that PEFT writes: `peft_type`, name, and what the names of their parameters begin with.
const TUNERS: &[(&str, &str, &str)] = &[
    ("ADALORA", "AdaLoRA", "lora_E"),
    ("ADAMSS", "AdaMSS", "adamss_"),
    ("ADAPTION_PROMPT", "an adaption prompt", "adaption_"),
    ("BEFT", "BEFT", "beft_"),
    ("BOFT", "BOFT", "boft_"),
    ("C3A", "C3A", "c3a_"),
    ("CARTRIDGE", "a cartridge", "prompt_embeddings"),
    ("CPT", "CPT", "prompt_embeddings"),
    ("DEFT", "DEFT", "deft_"),
    ("DELORA", "DeLoRA", "delora_"),
    ("FOURIERFT", "FourierFT", "fourierft_"),
    ("FROD", "FRoD", "frod_"),
    ("GLORA", "GLoRA", "glora_"),
    ("GRALORA", "GraLoRA", "gralora_"),
    ("HIRA", "HiRA", "hira_"),
    ("HRA", "HRA", "hra_"),
    ("IA3", "IA³", "ia3_"),
    ("LILY", "Lily", "lily_"),
    ("LN_TUNING", "LN tuning", "ln_tuning_"),
    ("LOHA", "LoHa", "hada_"),
    ("LOKR", "LoKr", "lokr_"),
    ("MISS", "MiSS", "miss_"),
    ("MULTITASK_PROMPT_TUNING", "multitask prompt tuning", "prompt_embeddings"),
    ("OFT", "OFT", "oft_"),
    ("OSF", "OSF", "osf_"),
    ("PEANUT", "PEANuT", "peanut_"),
    ("POLY", "Poly", "poly_"),
    ("PREFIX_TUNING", "prefix tuning", "prompt_embeddings"),
    ("PROMPT_TUNING", "prompt tuning", "prompt_embeddings"),
    ("PSOFT", "PSOFT", "psoft_"),
    ("PVERA", "PVeRA", "pvera_"),
    ("P_TUNING", "p-tuning", "prompt_embeddings"),
    ("RANDLORA", "RandLoRA", "randlora_"),
    ("ROAD", "RoAd", "road_"),
    ("SHADOW", "Shadow", "shadow_"),
    ("SHIRA", "SHiRA", "shira_"),
    ("SUPERTUNING", "Supertuning", "supertuning_"),
    ("TINYLORA", "TinyLoRA", "tinylora_"),
    ("TRAINABLE_TOKENS", "trainable tokens alone", "trainable_tokens_"),
    ("UNILORA", "Uni-LoRA", "unilora_"),
    ("VBLORA", "VB-LoRA", "vblora_"),
    ("VERA", "VeRA", "vera_"),
    ("WAVEFT", "WaveFT", "waveft_"),
    ("XLORA", "X-LoRA, a gate over adapters of its own", "xlora_"),
];

/// What the name of a tensor's parameter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameters {
    /// It matters in training alone.
    TrainingOnly,
    /// It makes the adapter something else than B·A: the name of the kind, and why.
    Refused(&'static str, &'static str),
    /// Nothing.
    Unknown,
}

/// Why an adapter with this field in its configuration cannot be used, if it cannot: `asks for KaSA (…), which …`.
pub(in crate::library) fn refused_field(field: &str) -> Option<String> {
    let has = |mark: &Mark| matches!(mark, Field(name) if *name == field);
    refusal(has, field)
}

/// Whether a field of the configuration shows a variant.
pub(super) fn is_field(field: &str) -> bool {
    let is = |mark: &Mark| matches!(mark, Field(name) if *name == field);
    VARIANTS.iter().any(|variant| variant.marks.iter().any(is))
}

/// The same as [`refused_field`] for a value of `init_lora_weights`.
pub(super) fn refused_init(value: &str) -> Option<String> {
    let value = value.to_ascii_lowercase();
    refusal(|mark| matches!(mark, Init(start) if value.starts_with(start)), "init_lora_weights")
}

fn refusal(has: impl Fn(&Mark) -> bool, field: &str) -> Option<String> {
    let variant = VARIANTS.iter().find(|variant| variant.marks.iter().any(&has))?;
    match variant.fate {
        Refused(why) => Some(format!("asks for {} (`{field}`), which {why}", variant.name)),
        Applied | TrainingOnly => None,
    }
}

/// What a parameter of a LoRA layer means: `lora_diag`.
pub(super) fn parameter(name: &str) -> Parameters {
    let is = |mark: &Mark| matches!(mark, Parameter(known) if *known == name);
    match VARIANTS.iter().find(|variant| variant.marks.iter().any(is)) {
        Some(Variant { fate: TrainingOnly, .. }) => Parameters::TrainingOnly,
        Some(Variant { name, fate: Refused(why), .. }) => Parameters::Refused(name, why),
        Some(Variant { fate: Applied, .. }) => Parameters::Unknown,
        None => {
            let of = |(_, _, start): &&(&str, &str, &str)| start.ends_with('_') && name.starts_with(start);
            match TUNERS.iter().find(of) {
                Some((_, tuner, _)) => Parameters::Refused(tuner, "is no LoRA"),
                None => Parameters::Unknown,
            }
        }
    }
}

/// What a `peft_type` other than LORA is called, for people.
pub(super) fn tuner(peft_type: &str) -> Option<&'static str> {
    TUNERS.iter().find(|(id, ..)| id.eq_ignore_ascii_case(peft_type)).map(|&(_, name, _)| name)
}

/// The variants as a Markdown table, for docs/adapters.md.
pub fn variants_table() -> String {
    let mut table = String::from("| variant | known by | what becomes of it |\n|---|---|---|\n");
    for Variant { name, marks, fate } in VARIANTS {
        let mark = |mark: &Mark| match mark {
            Field(name) | Parameter(name) => format!("`{name}`"),
            Init(start) => format!("`init_lora_weights` {start}"),
        };
        let known = marks.iter().map(mark).collect::<Vec<_>>().join(", ");
        let fate = match fate {
            Applied => "applied".to_string(),
            TrainingOnly => "applied: it differs from LoRA in training alone".to_string(),
            Refused(why) => format!("refused: it {why}"),
        };
        table += &format!("| {name} | {known} | {fate} |\n");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_that_change_the_base_are_refused_and_others_are_not() {
        for start in ["pissa", "pissa_niter_4", "OLoRA", "corda", "loftq", "lora_ga"] {
            assert!(refused_init(start).is_some(), "{start}");
        }
        for start in ["gaussian", "eva", "orthogonal", "mica", "unknown"] {
            assert_eq!(refused_init(start), None, "{start}");
        }
    }

    #[test]
    fn every_mark_belongs_to_one_variant() {
        let text = |mark: &Mark| match mark {
            Field(name) => format!("field {name}"),
            Init(start) => format!("init {start}"),
            Parameter(name) => format!("parameter {name}"),
        };
        let mut all: Vec<String> = VARIANTS.iter().flat_map(|v| v.marks).map(text).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn parameters_are_known_by_their_kind() {
        assert_eq!(parameter("lora_velora_embed"), Parameters::TrainingOnly);
        assert!(matches!(parameter("lora_diag"), Parameters::Refused("KaSA", _)));
        assert!(matches!(parameter("hada_w1_a"), Parameters::Refused("LoHa", _)));
        assert_eq!(parameter("scale"), Parameters::Unknown);
        assert_eq!(tuner("vera"), Some("VeRA"));
    }
}
