//! What Slurm says of tasks of arrays, as `squeue` and `sacct` print it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::states::{self, State};

/// Names of our arrays begin with this, so that others' jobs are passed over.
pub const PREFIX: &str = "lora-";

/// Why no records are in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is no such document.
    NoDocument,
    /// The jobs could not be loaded; what stands there instead.
    NotLoaded(String),
}

/// A task of an array: the array's number and the task's index.
pub type Task = (u64, u32);

/// What is known of one task, or of those of an array that have not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The name of its array, which no other has.
    pub name: String,
    /// `None` for one that this version does not know.
    pub state: Option<&'static State>,
    /// The state as Slurm writes it.
    pub called: String,
    /// Why it waits, by Slurm's name.
    pub reason: String,
    /// Where it runs or ran.
    pub nodes: String,
    /// Its cluster; empty where it is not said.
    pub cluster: String,
    /// Seconds since the epoch by Slurm's clock; `None` while it has not ended.
    pub ended: Option<i64>,
    /// Exit status and signal, where it has ended.
    pub exit: Option<(u32, u32)>,
    /// Who cancelled it, where that is known: a number or a name of a user.
    pub by: Option<String>,
}

/// Everything that one call has said.
#[derive(Clone, Debug, Default)]
pub struct Records {
    tasks: HashMap<Task, Arc<Record>>,
    /// Tasks that have no record of their own: those of an array that have not started.
    rest: HashMap<u64, Vec<(Indices, Arc<Record>)>>,
    arrays: HashMap<String, u64>,
}

/// Ranges of indices, ends included.
type Indices = Vec<(u32, u32)>;

impl Records {
    /// What is known of a task.
    pub fn get(&self, task: Task) -> Option<&Arc<Record>> {
        let rest = || {
            let rest = self.rest.get(&task.0)?;
            let has = |indices: &Indices| indices.iter().any(|&(low, high)| (low..=high).contains(&task.1));
            rest.iter().find(|(indices, _)| has(indices)).map(|(_, record)| record)
        };
        self.tasks.get(&task).or_else(rest)
    }

    /// The number of the array with this name.
    pub fn array(&self, name: &str) -> Option<u64> {
        self.arrays.get(name).copied()
    }

    /// Whether a task of the array with this name waits or runs, or has a state that this version does not know.
    pub fn is_open(&self, name: &str) -> bool {
        let records = self.tasks.values().chain(self.rest.values().flatten().map(|(_, record)| record));
        let is_open = |record: &Record| {
            record.state.is_none_or(|state| matches!(state.means, states::Means::Waits | states::Means::Runs))
        };
        records.filter(|record| record.name == name).any(|record| is_open(record))
    }

    /// Adds what another call has said.
    pub fn add(&mut self, other: Self) {
        self.tasks.extend(other.tasks);
        self.rest.extend(other.rest);
        self.arrays.extend(other.arrays);
    }

    fn put(&mut self, array: u64, index: &str, record: Record) {
        if !record.name.starts_with(PREFIX) {
            return;
        }
        self.arrays.insert(record.name.clone(), array);
        let record = Arc::new(record);
        match index.parse() {
            Ok(index) => {
                self.tasks.insert((array, index), record);
            }
            Err(_) => self.rest.entry(array).or_default().push((indices(index), record)),
        }
    }

    /// The output of `squeue --json` or `sacct --json`, in the schemas of Slurm 21 to 25.
    ///
    /// # Errors
    /// What is no such document, and an empty one with an error beside it: where the controller does not answer, Slurm 22
    /// prints that, and ends as if all were well.
    pub fn of_json(bytes: &[u8]) -> Result<Self, Unread> {
        let document: Document = serde_json::from_slice(bytes).map_err(|_| Unread::NoDocument)?;
        if let (Some(error), []) = (document.errors.first(), document.jobs.as_slice()) {
            let words = [&error.source, &error.description, &error.error].map(|text| text.trim());
            let words: Vec<&str> = words.into_iter().filter(|text| !text.is_empty()).collect();
            return Err(Unread::NotLoaded(words.join(": ")));
        }
        let mut records = Self::default();
        for job in document.jobs {
            let array = job.array.job_id.or(job.array_job_id).as_ref().and_then(number).filter(|id| *id > 0);
            let Some(array) = array.or_else(|| job.job_id.as_ref().and_then(number)) else { continue };
            let index = job.array.task_id.or(job.array_task_id).as_ref().and_then(number);
            let text = job.array.task.or(job.array_task_string);
            let index = match (index, text.filter(|text| !text.is_empty())) {
                (Some(index), _) => index.to_string(),
                (None, Some(text)) => text,
                (None, None) => continue,
            };
            let names = words(job.job_state.as_ref().or(job.state.current.as_ref()));
            let state = states::decisive(names.iter().map(String::as_str));
            let seconds = |value: Option<&Value>| {
                value.and_then(number).filter(|&time| time > 0).and_then(|time| i64::try_from(time).ok())
            };
            let ends =
                state.is_some_and(|state| !matches!(state.means, states::Means::Waits | states::Means::Runs));
            records.put(
                array,
                &index,
                Record {
                    name: job.name,
                    called: names.join("+"),
                    state,
                    reason: job.state_reason.or(job.state.reason).unwrap_or_default(),
                    nodes: job.nodes.as_ref().and_then(Value::as_str).unwrap_or_default().into(),
                    cluster: job.cluster.unwrap_or_default(),
                    ended: seconds(job.end_time.as_ref().or(job.time.end.as_ref())).filter(|_| ends),
                    exit: job.exit_code.as_ref().filter(|_| ends).and_then(exit),
                    by: job.kill_request_user.filter(|user| !user.is_empty()),
                },
            );
        }
        Ok(records)
    }

    /// The output of `squeue` with [`SQUEUE_FORMAT`].
    pub fn of_squeue(text: &str) -> Self {
        let mut records = Self::default();
        for line in text.lines() {
            let mut fields = line.split('|').map(str::trim);
            let mut next = || fields.next().unwrap_or_default().to_string();
            let (array, index, called, name) = (next(), next(), next(), next());
            let (reason, nodes, ended) = (next(), next(), next());
            let Ok(array) = array.parse() else { continue };
            let state = states::decisive([called.as_str()]);
            let ends =
                state.is_some_and(|state| !matches!(state.means, states::Means::Waits | states::Means::Runs));
            let record = Record {
                name,
                state,
                called,
                reason,
                nodes,
                cluster: String::new(),
                ended: ended.parse().ok().filter(|_| ends),
                exit: None,
                by: None,
            };
            records.put(array, &index, record);
        }
        records
    }

    /// The output of `sacct` with [`SACCT_FORMAT`].
    pub fn of_sacct(text: &str) -> Self {
        let mut records = Self::default();
        for line in text.lines() {
            let mut fields = line.split('|').map(str::trim);
            let mut next = || fields.next().unwrap_or_default().to_string();
            let (id, called, name) = (next(), next(), next());
            let (exit, nodes, ended, cluster) = (next(), next(), next(), next());
            let Some((array, index)) = id.split_once('_') else { continue };
            let Ok(array) = array.parse() else { continue };
            let (word, by) = match called.split_once(" by ") {
                Some((word, by)) => (word.to_string(), Some(by.to_string())),
                // Long states are cut with a plus.
                None => (called.trim_end_matches('+').to_string(), None),
            };
            let state = states::decisive([word.as_str()]).or_else(|| states::beginning_with(&word));
            let exit = exit
                .split_once(':')
                .and_then(|(code, signal)| Some((code.parse().ok()?, signal.parse().ok()?)));
            let record = Record {
                name,
                state,
                called: word,
                reason: String::new(),
                nodes: if nodes == "None assigned" { String::new() } else { nodes },
                cluster,
                ended: ended.parse().ok(),
                exit,
                by,
            };
            records.put(array, index.trim_matches(['[', ']']), record);
        }
        records
    }
}

/// Columns that [`Records::of_squeue`] reads.
pub const SQUEUE_FORMAT: &str = "%F|%K|%T|%j|%r|%N|%e";
/// Columns that [`Records::of_sacct`] reads.
pub const SACCT_FORMAT: &str = "JobID%40,State%40,JobName%80,ExitCode,NodeList%80,End,Cluster";

/// `0-3,7,9-12%8`.
fn indices(text: &str) -> Indices {
    let text = text.split('%').next().unwrap_or_default();
    let number = |text: &str| {
        let text = text.trim_matches(['[', ']']);
        match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let range = |part: &str| match part.split_once('-') {
        Some((low, high)) => Some((number(low)?, number(high.split(':').next()?)?)),
        None => number(part).map(|one| (one, one)),
    };
    text.split(',').filter_map(range).collect()
}

/// A number, or an object that may have one set.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Object(fields) => {
            let is_set = fields.get("set").and_then(Value::as_bool).unwrap_or(true);
            fields.get("number").filter(|_| is_set).and_then(number)
        }
        _ => None,
    }
}

/// A word, or a list of words.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(word)) => vec![word.clone()],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(String::from).collect(),
        _ => Vec::new(),
    }
}

/// Exit status and signal: a status as `wait` gives it, or an object with both.
fn exit(value: &Value) -> Option<(u32, u32)> {
    if let Value::Object(fields) = value {
        let part =
            |value: Option<&Value>| value.and_then(number).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let signal = fields.get("signal");
        let signal =
            signal.and_then(|signal| signal.get("id").or_else(|| signal.get("signal_id"))).or(signal);
        return Some((part(fields.get("return_code")), part(signal)));
    }
    let status = u32::try_from(number(value)?).ok()?;
    Some(((status >> 8) & 0xff, status & 0x7f))
}

#[derive(Deserialize)]
struct Document {
    jobs: Vec<Job>,
    #[serde(default, deserialize_with = "of_some_shape")]
    errors: Vec<Mistake>,
}

/// An error of such a document.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Mistake {
    description: String,
    error: String,
    source: String,
}

/// Errors, of whatever shape.
fn of_some_shape<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Mistake>, D::Error> {
    let values = Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(values.into_iter().map(|value| serde_json::from_value(value).unwrap_or_default()).collect())
}

/// What is read of a job. `squeue` names fields in one way, `sacct` in another, and versions differ in their types.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Job {
    job_id: Option<Value>,
    array_job_id: Option<Value>,
    array_task_id: Option<Value>,
    array_task_string: Option<String>,
    array: Array,
    job_state: Option<Value>,
    state_reason: Option<String>,
    state: CurrentState,
    name: String,
    nodes: Option<Value>,
    cluster: Option<String>,
    end_time: Option<Value>,
    time: Times,
    exit_code: Option<Value>,
    kill_request_user: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Array {
    job_id: Option<Value>,
    task_id: Option<Value>,
    task: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CurrentState {
    current: Option<Value>,
    reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Times {
    end: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(records: &Records, task: Task) -> Option<(&str, &str, &str)> {
        records
            .get(task)
            .map(|record| (record.called.as_str(), record.reason.as_str(), record.nodes.as_str()))
    }

    #[test]
    fn the_schema_of_slurm_22_is_read() {
        let records = Records::of_json(
            br#"{"meta":{},"errors":[],"jobs":[
            {"job_id":2,"array_job_id":1,"array_task_id":0,"array_task_string":"","job_state":"RUNNING","state_reason":"None",
             "name":"lora-train-a","nodes":"n1","exit_code":0,"cluster":"local","end_time":1827443953},
            {"job_id":3,"array_job_id":1,"array_task_id":1,"array_task_string":"","job_state":"FAILED","state_reason":"NonZeroExitCode",
             "name":"lora-train-a","nodes":"n2","exit_code":768,"cluster":"local","end_time":1795907953},
            {"job_id":1,"array_job_id":1,"array_task_id":null,"array_task_string":"2-5,9%2","job_state":"PENDING",
             "state_reason":"JobArrayTaskLimit","name":"lora-train-a","nodes":"","exit_code":0,"cluster":"local","end_time":0},
            {"job_id":9,"array_job_id":0,"array_task_id":null,"array_task_string":"","job_state":"RUNNING","name":"other"}]}"#,
        )
        .unwrap();
        assert_eq!(found(&records, (1, 0)), Some(("RUNNING", "None", "n1")));
        assert_eq!(found(&records, (1, 4)), Some(("PENDING", "JobArrayTaskLimit", "")));
        assert_eq!(found(&records, (1, 9)), Some(("PENDING", "JobArrayTaskLimit", "")));
        assert_eq!(found(&records, (1, 6)), None);
        let failed = records.get((1, 1)).unwrap();
        assert_eq!((failed.exit, failed.ended), (Some((3, 0)), Some(1_795_907_953)));
        assert_eq!(records.get((1, 0)).unwrap().ended, None);
        assert_eq!((records.array("lora-train-a"), records.array("other")), (Some(1), None));
        assert_eq!((records.is_open("lora-train-a"), records.is_open("other")), (true, false));
    }

    #[test]
    fn a_queue_that_could_not_be_loaded_is_no_empty_one() {
        let of = |text: &str| Records::of_json(text.as_bytes()).map(|records| records.array("lora-a"));
        let down = r#"{"meta":{},"errors":[{"description":"Failed while looking for jobs","error_number":-1,
            "error":"Unspecified error","source":"slurm_load_jobs"}],"jobs":[]}"#;
        let said = "slurm_load_jobs: Failed while looking for jobs: Unspecified error";
        assert_eq!(of(down), Err(Unread::NotLoaded(said.into())));
        assert_eq!(of(r#"{"errors":["no"],"jobs":[]}"#), Err(Unread::NotLoaded(String::new())));
        assert_eq!(of(r#"{"errors":[],"jobs":[]}"#), Ok(None));
        assert_eq!(of(r#"{"errors":null,"jobs":[]}"#), Ok(None));
        let warned = r#"{"errors":[{"error":"old"}],"jobs":[{"job_id":8,"array_job_id":7,"array_task_id":3,"job_state":"RUNNING",
            "name":"lora-a"}]}"#;
        assert_eq!(of(warned), Ok(Some(7)));
    }

    #[test]
    fn the_schemas_of_slurm_23_and_later_are_read() {
        let records = Records::of_json(
            br#"{"jobs":[
            {"job_id":8,"array_job_id":{"set":true,"infinite":false,"number":7},"array_task_id":{"set":true,"infinite":false,"number":3},
             "array_task_string":"","job_state":["CANCELLED"],"state_reason":"None","name":"lora-eval-b","nodes":"gpu[1-2]",
             "end_time":{"set":true,"infinite":false,"number":99},"exit_code":{"status":["SIGNALED"],
             "return_code":{"set":true,"number":0},"signal":{"id":{"set":true,"number":9},"name":"KILL"}},"new_field":{}},
            {"job_id":7,"array_job_id":{"set":true,"infinite":false,"number":7},"array_task_id":{"set":false,"infinite":false,"number":0},
             "array_task_string":"4-6","job_state":["PENDING"],"state_reason":"Dependency","name":"lora-eval-b"},
            {"job_id":6,"array_job_id":{"set":true,"number":7},"array_task_id":{"set":true,"number":2},
             "job_state":["RUNNING","COMPLETING"],"name":"lora-eval-b"}]}"#,
        )
        .unwrap();
        assert_eq!(found(&records, (7, 3)), Some(("CANCELLED", "None", "gpu[1-2]")));
        assert_eq!(records.get((7, 3)).unwrap().exit, Some((0, 9)));
        assert_eq!(found(&records, (7, 5)), Some(("PENDING", "Dependency", "")));
        assert_eq!(found(&records, (7, 2)), Some(("RUNNING+COMPLETING", "", "")));
        assert_eq!(Records::of_json(b"slurm_load_jobs error").unwrap_err(), Unread::NoDocument);
    }

    #[test]
    fn the_accounts_json_is_read() {
        let records = Records::of_json(
            br#"{"jobs":[{"array":{"job_id":1,"task":null,"task_id":5},"job_id":1,"name":"lora-x","cluster":"local",
            "kill_request_user":"root","nodes":"n1","state":{"current":"CANCELLED","reason":"None"},"time":{"end":7}},
            {"array":{"job_id":1,"task":"","task_id":{"set":true,"number":6}},"job_id":1,"name":"lora-x",
            "state":{"current":["COMPLETED"],"reason":"None"},"time":{"end":8}}]}"#,
        )
        .unwrap();
        assert_eq!(found(&records, (1, 5)), Some(("CANCELLED", "None", "n1")));
        assert_eq!(records.get((1, 5)).unwrap().by.as_deref(), Some("root"));
        assert_eq!(records.get((1, 6)).unwrap().ended, Some(8));
        assert!(!records.is_open("lora-x"), "both have ended");
    }

    #[test]
    fn the_plain_formats_are_read() {
        let records = Records::of_squeue(
            "1|2-5%2|PENDING|lora-a|JobArrayTaskLimit||N/A\n1|0|RUNNING|lora-a|None|n1|99\n\
             1|1|COMPLETED|lora-a|None|n1|98\nnonsense\n5|N/A|RUNNING|other|None|n1|N/A\n",
        );
        assert_eq!(found(&records, (1, 3)), Some(("PENDING", "JobArrayTaskLimit", "")));
        assert_eq!(
            (records.get((1, 0)).unwrap().ended, records.get((1, 1)).unwrap().ended),
            (None, Some(98))
        );
        let records = Records::of_sacct(
            "1_0|CANCELLED by 0|lora-a|0:15|n1|77|local\n1_1|OUT_OF_ME+|lora-a|0:9|n1|78|local\n\
             1_[4-6]|PENDING|lora-a|0:0|None assigned|Unknown|local\n7|RUNNING|other|0:0|n1|Unknown|local\n",
        );
        let cancelled = records.get((1, 0)).unwrap();
        assert_eq!(
            (cancelled.by.as_deref(), cancelled.exit, cancelled.ended),
            (Some("0"), Some((0, 15)), Some(77))
        );
        assert_eq!(found(&records, (1, 5)), Some(("PENDING", "", "")));
    }
}
