//! The tests that use the crate and its binary from outside, as one program: a module says in a sentence what
//! it holds, and none of them needs the network but those of `base_model`.
//!
//! What has to count the allocations of a whole process has a program of its own: `tests/hostile_*.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed helper is a failed test")]

/// Fixtures, trainings, jobs and terminals that several modules use.
mod support;

/// A new task with few examples out of a library: `adapt`.
#[cfg(unix)]
mod adapt;
/// Adapters from all over what PEFT can write: its logits, and its warnings.
mod adapter_grid;
/// Similarity, clustering and prototypes against scikit-learn and numpy.
mod analysis_parity;
/// What needs the shipped library's base model, and therefore perhaps the network.
mod base_model;
/// The binary as scripts see it: exit status, stdout, stderr.
mod command_line;
/// Commands that compare experts, and that they give what the screens show.
mod comparing;
/// Completions as shells ask for them.
#[cfg(unix)]
mod completions;
/// Adapters without what they declare, or in other sizes than their base model's.
mod declared;
/// GPUs as the driver shows them.
#[cfg(target_os = "linux")]
mod devices;
/// The documentation: its commands, links and tables.
mod docs;
/// Methods × tasks on a tiny model, beside what one prompt at a time gives.
mod eval;
/// What evaluations keep: killed ones, repeated ones, those in the background, and the files they write.
mod eval_kept;
/// The Eval tab in a terminal: an evaluation is started there, its table fills, and what it found out is looked at.
#[cfg(unix)]
mod eval_tab;
/// Libraries that came from others, moved, or lost their state folder.
#[cfg(unix)]
mod foreign;
/// Adapters in every kind of file, read as PEFT wrote them.
mod formats;
/// GGUF base models against transformers.
mod gguf;
/// Tasks of lm-evaluation-harness, beside what it finds itself.
mod harness;
/// Tasks out of datasets as pyarrow, pandas and the datasets library write them, and out of broken ones.
mod import;
/// Trainings as jobs: progress, interruptions, and the same bytes in the end.
#[cfg(unix)]
mod job_training;
/// Jobs with real worker processes, watched and interfered with.
#[cfg(unix)]
mod jobs;
/// A crowd of programs on the jobs of one library.
#[cfg(unix)]
mod jobs_crowd;
/// What the list of jobs says and refuses, and what is removed from it.
#[cfg(unix)]
mod jobs_list;
/// Modules use only those below them, as the sources say.
mod layering;
/// What files ask for that no machine has, under a limit on the address space.
#[cfg(unix)]
mod limits;
/// Merged adapters against PEFT's and against the sums they stand for.
mod merge;
/// Base models, routers and prototypes against transformers and PEFT.
mod model_parity;
/// Language models inside models that also see or hear.
mod multimodal;
/// Storage whose locks fail as those of some mounts do.
#[cfg(target_os = "linux")]
mod no_locks;
/// Files are opened, made and changed in one place, as the sources say.
mod outside;
/// Routers that know experts by their own data, and what is kept of it.
mod own_data;
/// Experiments from recipes: killed, resumed and refused.
#[cfg(unix)]
mod recipes;
/// Adapters as people report them of other tools.
mod reports;
/// Routers as commands name them, and what these say of them.
mod routed_commands;
/// Laws that every router of the table obeys, in the forms that its settings give it.
mod router_laws;
/// Routers that score, calibrate and vote, against torch.
mod routers;
/// The experts and tasks that come along, without the base model.
mod shipped_library;
/// The files beside a base model's weights, against transformers.
mod side_files;
/// Jobs on a Slurm of this machine, and on one of scripts.
#[cfg(unix)]
mod slurm;
/// Adapters whose training began with a part of the base model.
mod started;
/// Experts that cannot take part: their values overflow, they are muted, general, left out or zero.
mod taking_part;
/// The binary in a pseudo-terminal, and how the terminal is left behind.
#[cfg(unix)]
mod terminal;
/// One expert per cluster: the MBC library, made, interrupted, refused, and as a job.
#[cfg(unix)]
mod train_clusters;
/// An expert for each of several tasks: `train-many`.
#[cfg(unix)]
mod train_many;
/// Gradients and loss curves against PyTorch and PEFT.
mod train_parity;
/// What a training does and leaves on disk.
mod train_runs;
/// Several experts in one process, each as it would be alone.
mod train_together;
/// Every kind of LoRA that PEFT writes, under every router.
mod variants;
/// Random walks of the binary in a pseudo-terminal.
#[cfg(unix)]
mod walk;
