//! The settings of a training, each defined once: command line, forms, checks, job details, `expert.toml` and docs
//! follow from this table. A new one is a field of [`TrainSpec`] and an entry here.

use super::{Schedule, TrainSpec};
use crate::model::{Precision, is_device};
use crate::settings::{
    BELOW_ONE, Kind, NON_NEGATIVE, POSITIVE, Role, SHARE, Setting, UP_TO_A_MILLION, Whole, Word,
};
use crate::{Error, Result, field, named_setting, settings};

/// Batches and accumulated batches: more make no sense, and their product fits any machine's word.
const COUNT: Whole = Whole { low: 1, high: 65_536 };
/// More steps than any training makes.
const STEPS: Whole = Whole { low: 1, high: 1_000_000_000 };

/// The setting that says which adapter to start from.
pub const INIT: &str = "init";

/// All settings, in the order of help and forms.
pub static TRAINING: &[Setting<TrainSpec>] = &[
    Setting::new("rank", Kind::Whole(field!(TrainSpec.rank), Whole { low: 1, high: 1024 }))
        .flag("rank", "Rank of the LoRA matrices")
        .value("RANK")
        .form("Rank", "")
        .brief("rank")
        .recorded(),
    Setting::new("alpha", Kind::Number(field!(TrainSpec.alpha), UP_TO_A_MILLION))
        .flag("alpha", "LoRA is scaled by alpha / rank")
        .value("ALPHA")
        .form("Alpha", "scale = alpha / rank")
        .brief("α")
        .recorded(),
    Setting::new("learning_rate", Kind::Number(field!(TrainSpec.learning_rate), POSITIVE))
        .flag("lr", "Highest learning rate")
        .value("LR")
        .form("Learning rate", "at its peak")
        .brief("lr")
        .recorded(),
    Setting::new("epochs", Kind::OptionalNumber(field!(TrainSpec.epochs), UP_TO_A_MILLION))
        .flag("epochs", "Passes over the data")
        .value("N")
        .unset("1, or as many as --max-steps takes")
        .form("Epochs", "empty: 1, or as many as max steps take"),
    Setting::new("max_steps", Kind::OptionalWhole(field!(TrainSpec.max_steps), STEPS))
        .flag("max-steps", "Stop after this many steps")
        .value("N")
        .unset("as many as --epochs has")
        .form("Max steps", "empty: as many as the epochs have"),
    Setting::new("batch", Kind::Whole(field!(TrainSpec.batch), COUNT))
        .flag("batch", "Examples that go through the model at once")
        .value("BATCH")
        .form("Batch", "examples at once")
        .brief("batch")
        .recorded(),
    Setting::new("schedule", named_setting!(Schedule, TrainSpec.schedule))
        .flag("schedule", "What the rate does after the warm-up")
        .value("SCHEDULE")
        .form("Schedule", "of the rate after the warm-up")
        .recorded(),
    Setting::new("precision", named_setting!(Precision, TrainSpec.precision))
        .flag("precision", "How the weights of the frozen base model are stored")
        .value("PRECISION")
        .form("Precision", "of the frozen base model")
        .recorded(),
    Setting::new("accumulate", Kind::Whole(field!(TrainSpec.accumulate), COUNT))
        .flag("accumulate", "Accumulate gradients over N batches per step, in the memory of one batch")
        .value("N")
        .form("Accumulate", "batches per step, in the memory of one")
        .advanced()
        .recorded(),
    Setting::new("warmup", Kind::Number(field!(TrainSpec.warmup), SHARE))
        .flag("warmup", "Share of the steps over which the rate rises from 0")
        .value("SHARE")
        .form("Warm-up", "share of the steps")
        .advanced()
        .recorded(),
    Setting::new("weight_decay", Kind::Number(field!(TrainSpec.weight_decay), NON_NEGATIVE))
        .flag("weight-decay", "Decoupled weight decay of AdamW")
        .value("W")
        .form("Weight decay", "")
        .advanced()
        .recorded(),
    Setting::new("clip", Kind::OptionalNumber(field!(TrainSpec.clip), POSITIVE))
        .flag("clip", "Scale each step's gradient down to this norm")
        .value("NORM")
        .unset("leave it")
        .form("Clip norm", "empty: the gradient stays as it is")
        .advanced()
        .recorded(),
    Setting::new("dropout", Kind::Number(field!(TrainSpec.dropout), BELOW_ONE))
        .flag("dropout", "Share of LoRA's inputs that are dropped while training")
        .value("DROPOUT")
        .form("Dropout", "")
        .advanced()
        .recorded(),
    Setting::new(
        "max_length",
        Kind::Whole(field!(TrainSpec.max_length), Whole { low: 2, high: u32::MAX as u64 }),
    )
    .flag("max-length", "Cut examples that have more tokens")
    .value("N")
    .form("Max length", "tokens; longer examples are cut")
    .advanced()
    .recorded(),
    Setting::new("targets", Kind::Names(field!(TrainSpec.targets)))
        .flag("targets", "Layers to adapt, by the last part of their path")
        .value("NAMES")
        .form("Targets", "last parts of the layers' paths")
        .advanced()
        .recorded(),
    Setting::new("checkpointing", Kind::Switch(field!(TrainSpec.checkpointing), true))
        .flag("checkpointing", "Compute every block again in the backward pass: less memory, more time")
        .form("Checkpointing", "less memory, more time")
        .advanced(),
    Setting::new("order", ORDER).form("Order", "of the examples").advanced(),
    Setting::new("by_length", Kind::Switch(field!(TrainSpec.by_length), true))
        .flag("by-length", "Put examples of similar length into one batch")
        .recorded(),
    Setting::new("shuffle", Kind::Switch(field!(TrainSpec.shuffle), false))
        .flag("no-shuffle", "Keep the order of the data")
        .conflicts("by-length")
        .recorded(),
    Setting::new("seed", Kind::Seed(field!(TrainSpec.seed)))
        .flag("seed", "Seed of the start, the order and the dropout")
        .value("SEED")
        .form("Seed", "")
        .role(Role::Plan)
        .advanced(),
    Setting::new("shots", Kind::OptionalWhole(field!(TrainSpec.shots), STEPS))
        .flag("shots", "Learn from this many examples of each task, drawn by the seed")
        .value("N")
        .unset("all")
        .recorded()
        .single(),
    Setting::new(INIT, Kind::Path(field!(TrainSpec.init)))
        .flag("init", "Adapter to start from")
        .value("ADAPTER")
        .form("Start from", "folder of an adapter; empty: a new one")
        .advanced()
        .recorded(),
    Setting::new("validation", Kind::Path(field!(TrainSpec.validation)))
        .flag("validation", "Validation examples for a .jsonl file")
        .value("FILE")
        .unset("5 % of it")
        .form("Validation", "a .jsonl file; empty: 5 % of a single file")
        .advanced()
        .single(),
    Setting::new("validation_items", Kind::OptionalWhole(field!(TrainSpec.validation_items), STEPS))
        .flag("validation-items", "Validation examples of each task that the loss is measured on")
        .value("N")
        .unset("200 in all, but 20 of each task at least; 20 in a recipe")
        .recorded(),
    Setting::new("log", Kind::Path(field!(TrainSpec.log)))
        .flag("log", "Write one JSON line per step")
        .value("FILE.jsonl")
        .decides_nothing()
        .single(),
    Setting::new("base", Kind::Path(field!(TrainSpec.base)))
        .flag("base", "Base model: a .gguf file or a transformers folder")
        .value("PATH")
        .unset("the library's"),
    Setting::new("device", Kind::Text(field!(TrainSpec.device), device_problem))
        .flag("device", "Where to compute: auto, cpu, cuda:N or metal")
        .value("DEVICE"),
    Setting::new("checkpoint_every", Kind::OptionalWhole(field!(TrainSpec.checkpoint_every), STEPS))
        .flag("checkpoint-every", "Save the job's state after every N steps")
        .value("N")
        .unset("about once a minute")
        .requires("background")
        .decides_nothing(),
];

fn device_problem(text: &str) -> Option<&'static str> {
    (!is_device(text)).then_some("auto, cpu, cuda:N or metal")
}

/// `shuffle` and `by_length` as one choice, for forms.
const ORDER: Kind<TrainSpec> = Kind::Choice {
    words: || ORDERS.to_vec(),
    get: |spec| {
        let at = match (spec.by_length, spec.shuffle) {
            (true, _) => 1,
            (false, true) => 0,
            (false, false) => 2,
        };
        ORDERS[at].word
    },
    set: |spec, text| {
        let Some(at) = ORDERS.iter().position(|order| order.word == text) else { return false };
        (spec.by_length, spec.shuffle) = (at == 1, at != 2);
        true
    },
};

const ORDERS: [Word; 3] = [
    Word { word: "random", help: "" },
    Word { word: "by length", help: "" },
    Word { word: "as in the file", help: "" },
];

impl TrainSpec {
    /// Checks everything that needs no file.
    ///
    /// # Errors
    /// A usage error for the first setting that makes no sense.
    pub fn check(&self) -> Result<()> {
        settings::check(TRAINING, self)?;
        let refuse = |problem: &str| Err(Error::usage(problem));
        if self.by_length && !self.shuffle {
            return refuse("batches by length change the order of the data: leave --no-shuffle out");
        }
        if self.data.is_empty() {
            return refuse("give at least one task folder or .jsonl file with --data");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every way in refuses: command line and forms take texts, files bring values.
    fn refused(id: &str, text: &str) -> bool {
        let setting = TRAINING.iter().find(|setting| setting.id == id).unwrap();
        setting.set(&mut TrainSpec::default(), text).is_err()
    }

    #[test]
    fn one_range_holds_everywhere() {
        for (id, good, bad) in [
            ("rank", &["1", "1024"][..], &["0", "1025", "-1", "4.5"][..]),
            ("learning_rate", &["1e-9", "2.5"], &["0", "-1", "inf"]),
            ("epochs", &["0.25", "20000", ""], &["0", "nan"]),
            ("max_steps", &["1", "20000000", ""], &["0", "-1"]),
            ("dropout", &["0", "0.99"], &["1", "1.0", "-0.1"]),
            ("warmup", &["0", "1"], &["1.01"]),
            ("batch", &["65536"], &["0", "65537"]),
        ] {
            assert!(good.iter().all(|text| !refused(id, text)), "{id}");
            assert!(bad.iter().all(|text| refused(id, text)), "{id}");
        }
        let spec = |change: &dyn Fn(&mut TrainSpec)| {
            let mut spec = TrainSpec { data: vec!["tasks".into()], ..TrainSpec::default() };
            change(&mut spec);
            spec.check().is_ok()
        };
        assert!(spec(&|s| s.rank = 1024) && !spec(&|s| s.rank = 1025) && !spec(&|s| s.dropout = 1.0));
        assert!(spec(&|s| s.learning_rate = 2.5) && spec(&|s| s.epochs = Some(20_000.0)));
        assert!(spec(&|s| s.max_steps = Some(20_000_000)) && !spec(&|s| s.max_steps = Some(0)));
    }

    #[test]
    fn every_field_of_the_file_has_a_setting_or_is_filled_in() {
        let serde_json::Value::Object(fields) = serde_json::to_value(TrainSpec::default()).unwrap() else {
            panic!("not an object")
        };
        let elsewhere = ["library", "data", "name", "given", "forecast"];
        for field in fields.keys().filter(|field| !elsewhere.contains(&field.as_str())) {
            assert!(TRAINING.iter().any(|setting| setting.id == field), "{field}");
        }
        let mut flags: Vec<&str> = TRAINING.iter().map(|s| s.flag).filter(|flag| !flag.is_empty()).collect();
        let all = flags.len();
        flags.sort_unstable();
        flags.dedup();
        assert_eq!(flags.len(), all);
    }

    #[test]
    fn an_expert_says_all_that_another_like_it_is_trained_with() {
        // What is said elsewhere: by name, by the steps, or where it is trained.
        let elsewhere =
            ["epochs", "max_steps", "seed", "order", "base", "device", "validation", "checkpointing"];
        for setting in TRAINING.iter().filter(|setting| setting.decides && !elsewhere.contains(&setting.id)) {
            assert!(setting.recorded, "{}", setting.id);
        }
    }

    #[test]
    fn texts_give_back_what_they_came_from() {
        let spec = TrainSpec {
            clip: Some(0.5),
            shuffle: false,
            schedule: Schedule::Cosine,
            precision: Precision::Q8,
            ..TrainSpec::default()
        };
        let mut other = TrainSpec::default();
        for setting in TRAINING {
            setting.set(&mut other, &setting.text(&spec)).unwrap();
        }
        assert_eq!(other, spec);
    }

    #[test]
    fn the_docs_have_a_row_per_option() {
        let text = crate::settings::markdown(TRAINING);
        for row in [
            "| `--lr` | `0.001` | a number above 0 | Highest learning rate |",
            "| `--clip` | leave it | a number above 0 | Scale each step's gradient down to this norm |",
            "| `--schedule` | `linear` | `linear`, `cosine`, `constant` | What the rate does after the warm-up |",
            "| `--no-shuffle` |  |  | Keep the order of the data |",
        ] {
            assert!(text.contains(row), "{row}\n{text}");
        }
    }
}
