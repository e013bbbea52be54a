//! A terminal workbench for libraries of LoRA experts.
//!
//! Modules are layered. Each uses only those in rows below its own, which `tests/integration/layering.rs` checks:
//!
//! | modules | subject |
//! |---|---|
//! | `cli`, `tui` | one file per command; the screens |
//! | `recipe` | experiments: a graph of jobs from a recipe, and its report |
//! | `jobs` | job directories, events, the queue, workers |
//! | `adapt` | a new task with few examples, out of a library's experts |
//! | `eval` | methods × tasks, legibility of routing |
//! | `import` | tasks out of datasets as others keep them |
//! | `train` | datasets, LoRA training, one expert per cluster |
//! | `merge` | one adapter out of several |
//! | `routing` | routers, stacked experts, traces, sessions |
//! | `export` | results as files: tables and figures |
//! | `plot` | figures as PNG and SVG |
//! | `analysis` | similarity, clustering, prototypes, spectra |
//! | `catalog` | a library with its base model: the one opener |
//! | `model` | one decoder driven by data: checkpoints, forward and backward pass, tokenizers |
//! | `configuration` | the user's configuration |
//! | `library` | experts and libraries on disk, adapter formats, sources of base models |
//! | `settings`, `scorers` | what options are, and their ranges; how answers are scored |
//! | `colours` | colours of the terminal |
//! | `matrix` | products of dense matrices |
//! | `cpu` | which instructions are used |
//! | `named` | sets whose members have names |
//! | `machine` | load of processor and memory, room on the disk, what a process takes |
//! | `devices` | GPUs as their driver shows them |
//! | `cancel`, `memory`, `signals`, `threads` | cancellation, free memory, signals, pools of threads |
//! | `outside` | files and folders: the one place that opens, makes, locks, renames and removes them |
//! | `error` | the error type |
//! | `yaml`, `mersenne` | YAML as a tree; random numbers of Python and numpy |
//! | `text`, `module_path`, `clock`, `streams` | text for people, paths of modules, times as texts, waiting for streams |
//!
//! # Use as a library
//!
//! `examples/` has programs that compare, route and merge. Comparing, for instance:
//!
//! ```no_run
//! use lora_tui::Cancel;
//! use lora_tui::analysis::{ComparisonCache, Metric, similarity};
//! use lora_tui::library::Library;
//!
//! let library = Library::open("library".as_ref())?;
//! // As in the paper, half of each expert's entries count as zero, the smallest.
//! let found = similarity(&library, Metric::MBC, 0.5, &ComparisonCache::of(&library), &mut |_, _| {}, &Cancel::new())?;
//! println!("{} and {}: {:.3}", found.experts[0], found.experts[1], found.get(0, 1));
//! # Ok::<(), lora_tui::Error>(())
//! ```

pub mod adapt;
pub mod analysis;
pub mod cancel;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod colours;
pub mod configuration;
pub mod cpu;
pub mod devices;
pub mod error;
pub mod eval;
pub mod export;
pub mod import;
pub mod jobs;
pub mod library;
pub mod machine;
pub mod matrix;
pub mod memory;
pub mod merge;
pub mod mersenne;
pub mod model;
pub mod module_path;
pub mod named;
pub mod outside;
pub mod plot;
pub mod recipe;
pub mod routing;
pub mod scorers;
pub mod settings;
pub mod signals;
pub mod streams;
pub mod text;
pub mod threads;
pub mod train;
pub mod tui;
mod yaml;

pub use cancel::Cancel;
pub use error::{Error, NoSource, Result};
