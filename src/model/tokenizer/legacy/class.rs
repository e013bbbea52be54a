//! The class that transformers makes the tokenizer of a folder with.

use serde_json::{Map, Value};

use super::{pairs, pieces};

/// A class of transformers: which files it reads, and what it makes of them.
pub(super) struct Class {
    /// In `tokenizer_config.json`, without a `Fast` at its end.
    pub name: &'static str,
    /// Named tokens where the folder does not say.
    pub named: &'static [(&'static str, &'static str)],
    /// The files that it reads.
    pub kind: Kind,
    /// Whether every special token is known by its text alone, whatever is said about blanks around it.
    pub plain_special: bool,
}

/// The files of a class, with what they mean.
pub(super) enum Kind {
    /// `vocab.json` and `merges.txt`; makes all of a `tokenizer.json` but its model.
    Pairs(fn(&Map<String, Value>) -> pairs::Parts),
    /// A SentencePiece model.
    Pieces(fn(&pieces::Source) -> Result<Value, String>),
}

/// What transformers calls tokenizers that have no class of their own.
const BACKEND: &str = "TokenizersBackend";

/// What follows the settings of the SentencePiece model, where no class of its own is known.
pub(super) static GENERAL: Class =
    Class { name: BACKEND, named: &[], kind: Kind::Pieces(pieces::general), plain_special: false };

const END: &str = "<|endoftext|>";

static CLASSES: &[Class] = &[
    Class {
        name: "GPT2Tokenizer",
        named: &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
        kind: Kind::Pairs(pairs::gpt2),
        plain_special: false,
    },
    Class {
        name: "CodeGenTokenizer",
        named: &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
        kind: Kind::Pairs(pairs::gpt2),
        plain_special: false,
    },
    Class {
        name: "GPTNeoXTokenizer",
        named: &[("bos_token", END), ("eos_token", END), ("unk_token", END), ("pad_token", "<|padding|>")],
        kind: Kind::Pairs(pairs::gpt_neox),
        plain_special: false,
    },
    Class {
        name: "Qwen2Tokenizer",
        named: &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
        kind: Kind::Pairs(pairs::qwen2),
        plain_special: true,
    },
    Class {
        name: "LlamaTokenizer",
        named: &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
        kind: Kind::Pieces(pieces::llama),
        plain_special: false,
    },
    Class {
        name: "GemmaTokenizer",
        named: &[
            ("bos_token", "<bos>"),
            ("eos_token", "<eos>"),
            ("unk_token", "<unk>"),
            ("pad_token", "<pad>"),
            ("mask_token", "<mask>"),
        ],
        kind: Kind::Pieces(pieces::gemma),
        plain_special: false,
    },
];

/// The names under which a folder says that no class of its own is meant.
const GENERAL_NAMES: [&str; 4] = [BACKEND, "PythonBackend", "PreTrainedTokenizer", "PreTrainedTokenizerFast"];

/// Which class transformers takes for an architecture, where its files name none or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// None: the one that the folder names.
    Nothing,
    /// This one where the folder names none; where it names another, that one, unless this is the general one.
    Default(&'static str),
    /// This one, whatever the folder names.
    Always(&'static str),
}

impl Registered {
    /// No class of its own.
    pub const GENERAL: Self = Self::Default(BACKEND);
}

/// The class for a folder that names `declared`; its name where it is none that is known here.
pub(super) fn chosen(declared: Option<&str>, registered: Registered) -> Result<&'static Class, String> {
    let bare = |name: &str| name.strip_suffix("Fast").unwrap_or(name).to_string();
    let declared = declared.map(bare);
    let name = match (declared, registered) {
        (declared, Registered::Nothing) => declared,
        (_, Registered::Always(class)) => Some(class.to_string()),
        (Some(_), Registered::Default(class)) if class == BACKEND => None,
        (Some(declared), Registered::Default(_)) => Some(declared),
        (None, Registered::Default(class)) => Some(class.to_string()),
    };
    match name {
        Some(name) if !GENERAL_NAMES.iter().any(|general| bare(general) == name) => {
            CLASSES.iter().find(|class| class.name == name).ok_or(name)
        }
        _ => Ok(&GENERAL),
    }
}
