//! `[executor.slurm]`: what is asked of Slurm, each setting defined once.

use crate::field;
use crate::settings::{Kind, Setting, Whole};

/// What is asked of Slurm for every job; an empty text asks for nothing, so that the cluster's default holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlurmSettings {
    /// `--partition`.
    pub partition: String,
    /// `--account`.
    pub account: String,
    /// `--qos`.
    pub qos: String,
    /// `--time`.
    pub time: String,
    /// `--cpus-per-task`.
    pub cpus: Option<usize>,
    /// `--mem`.
    pub memory: String,
    /// `--gres`.
    pub gres: String,
    /// `--constraint`.
    pub constraint: String,
    /// `--clusters`.
    pub cluster: String,
    /// Lines of the script before the worker.
    pub setup: String,
    /// The program on the nodes; this one where it is empty.
    pub program: String,
    /// `%K` of an array.
    pub at_once: Option<usize>,
    /// Jobs that one task of an array does, one after the other.
    pub tasks_per_job: usize,
    /// Seconds before the time limit at which a job saves its state.
    pub warning: usize,
    /// Seconds between two looks at the queue, at least.
    pub poll: usize,
}

impl Default for SlurmSettings {
    fn default() -> Self {
        let none = String::new;
        Self {
            partition: none(),
            account: none(),
            qos: none(),
            time: none(),
            cpus: None,
            memory: none(),
            gres: none(),
            constraint: none(),
            cluster: none(),
            setup: none(),
            program: none(),
            at_once: None,
            tasks_per_job: 1,
            warning: 120,
            poll: 10,
        }
    }
}

/// Settings that are commands, or name one: they are taken from the user's own configuration only, since a library may
/// come from anybody.
pub const COMMANDS: &[&str] = &["setup", "program"];

/// All settings. Their flags are their names in the docs and in the file.
pub static TABLE: &[Setting<SlurmSettings>] = &[
    text("partition", Kind::Text(field!(SlurmSettings.partition), words), "Partition").unset("the cluster's"),
    text("account", Kind::Text(field!(SlurmSettings.account), words), "Account that is charged").unset("the cluster's"),
    text("qos", Kind::Text(field!(SlurmSettings.qos), words), "Quality of service").unset("the cluster's"),
    text(
        "time",
        Kind::Text(field!(SlurmSettings.time), time),
        "Time limit of one task of an array: `2:00:00`, `1-12`, or minutes",
    ).unset("the partition's"),
    text("cpus", Kind::OptionalWhole(field!(SlurmSettings.cpus), COUNT), "CPU cores of a task").unset("the cluster's"),
    text("memory", Kind::Text(field!(SlurmSettings.memory), memory), "Memory of a task: `8G`")
        .unset("the forecast of the largest training and a fifth"),
    text("gres", Kind::Text(field!(SlurmSettings.gres), words), "Devices of a task: `gpu:1`").unset("none"),
    text("constraint", Kind::Text(field!(SlurmSettings.constraint), words), "Features that a node must have").unset("none"),
    text("cluster", Kind::Text(field!(SlurmSettings.cluster), words), "Cluster, where there are several").unset("that of Slurm's commands"),
    text(
        "at_once",
        Kind::OptionalWhole(field!(SlurmSettings.at_once), COUNT),
        "Tasks of an array that run at once",
    )
    .unset("as many as the cluster allows"),
    text(
        "tasks_per_job",
        Kind::Whole(field!(SlurmSettings.tasks_per_job), COUNT),
        "Jobs that one task of an array does, one after the other",
    ),
    text(
        "warning",
        Kind::Whole(field!(SlurmSettings.warning), Whole { low: 10, high: 3600 }),
        "Seconds before the time limit at which a training saves its state and is queued again, at most 3 times",
    ),
    text(
        "poll",
        Kind::Whole(field!(SlurmSettings.poll), Whole { low: 1, high: 3600 }),
        "Seconds between two looks at the queue, at least",
    ),
    text(
        "setup",
        Kind::Text(field!(SlurmSettings.setup), lines),
        "Lines of the batch script before the worker starts, such as `module load cuda`; from your own configuration only",
    ).unset("none"),
    text(
        "program",
        Kind::Text(field!(SlurmSettings.program), path),
        "`lora-tui` on the nodes; from your own configuration only",
    )
    .unset("the program that hands the job over"),
];

const COUNT: Whole = Whole { low: 1, high: 1_000_000 };

const fn text(id: &'static str, kind: Kind<SlurmSettings>, help: &'static str) -> Setting<SlurmSettings> {
    Setting::new(id, kind).flag(id, help)
}

/// What Slurm's options take: names, lists and expressions, and nothing that begins another option.
fn words(text: &str) -> Option<&'static str> {
    let fine = |c: char| c.is_alphanumeric() || "-_.,:=*&|[]()/+@".contains(c);
    (text.starts_with('-') || text.len() > 256 || !text.chars().all(fine))
        .then_some("a name or a list of names without blanks")
}

fn time(text: &str) -> Option<&'static str> {
    let right = text.is_empty()
        || (text.starts_with(|c: char| c.is_ascii_digit())
            && text.len() <= 32
            && text.chars().all(|c| c.is_ascii_digit() || c == ':' || c == '-'));
    (!right).then_some("minutes, H:M:S or D-H:M:S")
}

fn memory(text: &str) -> Option<&'static str> {
    let number = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let right = text.is_empty()
        || (text.len() - number.len() <= 1
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit()));
    (!right).then_some("a whole number with K, M, G or T")
}

fn lines(text: &str) -> Option<&'static str> {
    text.contains('\0').then_some("lines of a script")
}

fn path(text: &str) -> Option<&'static str> {
    (!text.is_empty() && !text.starts_with('/') || text.contains(['\0', '\n'])).then_some("an absolute path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_one_word_of_its_kind() {
        let mut settings = SlurmSettings::default();
        let mut set = |id: &str, text: &str| {
            TABLE.iter().find(|setting| setting.id == id).unwrap().set(&mut settings, text)
        };
        for (id, text) in [
            ("partition", "gpu,cpu"),
            ("time", "1-12:00"),
            ("time", "90"),
            ("memory", "8G"),
            ("gres", "gpu:a100:2"),
            ("constraint", "[zen4|zen5]&ib"),
            ("setup", "module load cuda\nexport A=1"),
            ("program", "/opt/lora-tui"),
        ] {
            assert_eq!(set(id, text), Ok(()), "{id} {text}");
        }
        for (id, text) in [
            ("partition", "gpu --wrap=x"),
            ("partition", "--wrap"),
            ("account", "a\nb"),
            ("time", "soon"),
            ("time", "-1"),
            ("memory", "8GB"),
            ("memory", "G"),
            ("cpus", "0"),
            ("tasks_per_job", "0"),
            ("program", "lora-tui"),
        ] {
            assert!(set(id, text).is_err(), "{id} {text}");
        }
    }
}
