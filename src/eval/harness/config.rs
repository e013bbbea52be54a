//! What a YAML file of lm-evaluation-harness says of a task. What is not understood is refused by its key.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::eval::wording::{Filter, Matching};
use crate::model::template::patterns::Pattern;
use crate::outside::read_text_of;
use crate::scorers::{SCORERS, Scorer};
use crate::text::{listed, short};
use crate::yaml::{self, Node, Scalar};
use crate::{Error, Result};

/// Largest file that is read.
const MAX_FILE: u64 = 4 << 20;
/// Files that include one another.
const MAX_INCLUDES: usize = 16;
/// Most examples before an item.
const MAX_SHOTS: i64 = 1000;

/// Keys that change nothing here.
const IDLE: [&str; 7] = [
    "task_alias",
    "tag",
    "metadata",
    "should_decontaminate",
    "doc_to_decontamination_query",
    "unsafe_code",
    "include",
];

/// How a task is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// The likeliest of several texts.
    Choice,
    /// An answer in the model's own words.
    Answer,
}

/// Where the rows are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// Files by the names of splits.
    Files(Vec<(String, Vec<String>)>),
    /// A folder as the hub keeps datasets.
    Folder(String),
}

/// A field that is a template, the name of a column, or a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    /// A template, or the name of a column.
    Text(String),
    /// The same for all rows.
    Value(Value),
}

/// Which examples stand before an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shots {
    /// How many, where the file says it.
    pub count: Option<usize>,
    /// The split that they are of.
    pub split: Option<String>,
    /// Or these.
    pub samples: Option<Vec<Vec<(String, Value)>>>,
    /// Whether the first are taken instead of some.
    pub first: bool,
}

/// A row of a table: a metric, and what answers go through before.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    pub name: String,
    pub scorer: Scorer,
    pub matching: Matching,
}

/// A task.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub path: PathBuf,
    pub task: String,
    pub source: Source,
    pub config_name: Option<String>,
    pub training: Option<String>,
    pub validation: Option<String>,
    pub test: Option<String>,
    pub output: Output,
    pub text: Field,
    pub target: Field,
    pub choices: Option<Field>,
    pub description: String,
    pub blank: String,
    pub between: String,
    pub shots: Shots,
    pub measures: Vec<Measure>,
    pub stops: Vec<String>,
    pub max_tokens: Option<usize>,
}

/// The keys of a file, with those of the files that it includes behind them.
pub(super) fn fields(path: &Path) -> Result<Vec<(String, Node)>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut found: Vec<(String, Node)> = Vec::new();
    let mut pending = vec![path.to_path_buf()];
    let mut read = 0;
    while let Some(file) = pending.pop() {
        read += 1;
        if read > MAX_INCLUDES {
            return Err(Error::file(path, "include: the files include one another without end"));
        }
        let text = read_text_of(&file, MAX_FILE)?;
        let tree = yaml::parse(&text).map_err(|problem| Error::file(&file, problem))?;
        let Node::Map(fields) = tree else {
            return Err(Error::file(&file, "is no task of lm-evaluation-harness: it has no keys"));
        };
        let mut included = Vec::new();
        for (name, node) in fields {
            if name == "include" {
                for file in node.list() {
                    let inner = file.text().filter(|inner| stays_inside(inner)).ok_or_else(|| {
                        let problem = "include leads out of the folder: only files of the folder are read";
                        Error::file(path, problem)
                    })?;
                    included.push(folder.join(inner));
                }
            }
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, node));
            }
        }
        // Of several, the last one says most.
        pending.extend(included);
    }
    Ok(found)
}

/// Whether a path stays below where it begins.
pub(super) fn stays_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The error of a key.
fn refused<T>(key: &str, problem: &str) -> std::result::Result<T, String> {
    Err(format!("{key} {problem}"))
}

/// A node as a JSON value.
fn value(node: &Node) -> Value {
    match node {
        Node::List(items) => Value::Array(items.iter().map(value).collect()),
        Node::Map(fields) => {
            Value::Object(fields.iter().map(|(name, node)| (name.clone(), value(node))).collect())
        }
        node => match node.scalar() {
            None | Some(Scalar::Null) => Value::Null,
            Some(Scalar::Flag(flag)) => flag.into(),
            Some(Scalar::Int(number)) => number.into(),
            Some(Scalar::Float(number)) => number.into(),
            Some(Scalar::Text(text)) => text.into(),
        },
    }
}

/// Takes keys out of a map.
struct Keys {
    rest: Vec<(String, Node)>,
    /// Before the names of keys in messages.
    under: &'static str,
}

type Taken<T> = std::result::Result<T, String>;

impl Keys {
    fn name(&self, key: &str) -> String {
        if self.under.is_empty() { key.into() } else { format!("{}.{key}", self.under) }
    }

    /// A key whose value is not null.
    fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.rest.iter().position(|(name, _)| name == key)?;
        let (_, node) = self.rest.swap_remove(at);
        (node.scalar() != Some(Scalar::Null)).then_some(node)
    }

    fn text(&mut self, key: &str) -> Taken<Option<String>> {
        let Some(node) = self.take(key) else { return Ok(None) };
        match node.scalar() {
            Some(Scalar::Text(text)) => Ok(Some(text.to_string())),
            Some(_) => Ok(node.text().map(String::from)),
            None => refused(&self.name(key), "is no text"),
        }
    }

    fn flag(&mut self, key: &str) -> Taken<bool> {
        match self.take(key).as_ref().map(Node::scalar) {
            None => Ok(false),
            Some(Some(Scalar::Flag(flag))) => Ok(flag),
            Some(_) => refused(&self.name(key), "is neither true nor false"),
        }
    }

    fn whole(&mut self, key: &str, low: i64, high: i64) -> Taken<Option<i64>> {
        match self.take(key).as_ref().map(Node::scalar) {
            None => Ok(None),
            Some(Some(Scalar::Int(number))) if (low..=high).contains(&number) => Ok(Some(number)),
            Some(_) => refused(&self.name(key), &format!("is no number from {low} to {high}")),
        }
    }

    fn texts(&mut self, key: &str) -> Taken<Option<Vec<String>>> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let texts = node.list().iter().map(|node| node.text().map(String::from)).collect::<Option<_>>();
        texts.map(Some).map_or_else(|| refused(&self.name(key), "is no list of texts"), Ok)
    }

    fn field(&mut self, key: &str) -> Option<Field> {
        let node = self.take(key)?;
        Some(match node.scalar() {
            Some(Scalar::Text(text)) => Field::Text(text.into()),
            _ => Field::Value(value(&node)),
        })
    }

    /// That nothing is left but keys that change nothing.
    fn finish(self, idle: &[&str]) -> Taken<()> {
        let name = |key: &str| self.name(&short(key));
        match self
            .rest
            .iter()
            .find(|(key, node)| !idle.contains(&key.as_str()) && node.scalar() != Some(Scalar::Null))
        {
            None => Ok(()),
            Some((key, _)) if key.starts_with("process_") || key == "custom_dataset" => refused(
                &name(key),
                "is Python code, which is not run: prepare the data, and say the rest in templates",
            ),
            Some((key, _)) => refused(&name(key), "is not understood: leave it out, or ask in another way"),
        }
    }
}

fn keys(node: Node, under: &'static str) -> Taken<Keys> {
    match node {
        Node::Map(rest) => Ok(Keys { rest, under }),
        _ => refused(under, "has no keys"),
    }
}

impl Config {
    /// Reads a file and what it includes.
    ///
    /// # Errors
    /// What cannot be read or is not understood, by its key.
    pub fn read(path: &Path) -> Result<Self> {
        let keys = Keys { rest: fields(path)?, under: "" };
        Self::of(path, keys).map_err(|problem| Error::file(path, problem))
    }

    fn of(path: &Path, mut keys: Keys) -> Taken<Self> {
        if keys.rest.iter().any(|(key, _)| key == "group") {
            let problem = "names tasks that have files of their own: name these, or a folder of them";
            return refused("group", problem);
        }
        let Some(task) = keys.text("task")? else { return Err("has no task".into()) };
        let config_name = keys.text("dataset_name")?;
        let source = source(&mut keys)?;
        let output = match keys.text("output_type")?.as_deref() {
            Some("multiple_choice") => Output::Choice,
            None | Some("generate_until") => Output::Answer,
            Some(other) => {
                let known = "is not understood: it may be multiple_choice or generate_until";
                return refused(&format!("output_type {}", short(other)), known);
            }
        };
        let needed = |field: Option<Field>, key: &str| field.map_or_else(|| refused(key, "is missing"), Ok);
        let text = needed(keys.field("doc_to_text"), "doc_to_text")?;
        let target = needed(keys.field("doc_to_target"), "doc_to_target")?;
        let choices = keys.field("doc_to_choice");
        if output == Output::Choice && choices.is_none() {
            return refused("doc_to_choice", "is missing");
        }
        let between = keys.text("fewshot_delimiter")?.unwrap_or_else(|| "\n\n".into());
        let (stops, max_tokens) = generation(keys.take("generation_kwargs"), &between)?;
        if keys.whole("repeats", 1, i64::MAX)?.is_some_and(|repeats| repeats > 1) {
            return refused("repeats", "above 1 is not understood: answers are greedy, and always the same");
        }
        let measures = measures(&mut keys, output)?;
        let found = Self {
            path: path.into(),
            task,
            source,
            config_name,
            training: keys.text("training_split")?,
            validation: keys.text("validation_split")?,
            test: keys.text("test_split")?,
            output,
            text,
            target,
            choices,
            description: keys.text("description")?.unwrap_or_default(),
            blank: keys.text("target_delimiter")?.unwrap_or_else(|| " ".into()),
            between,
            shots: shots(&mut keys)?,
            measures,
            stops,
            max_tokens,
        };
        keys.finish(&IDLE)?;
        Ok(found)
    }
}

/// Where the rows are: `dataset_path` with `dataset_kwargs.data_files`, or a folder.
fn source(keys: &mut Keys) -> Taken<Source> {
    let Some(path) = keys.text("dataset_path")? else { return refused("dataset_path", "is missing") };
    let more = keys.take("dataset_kwargs");
    let mut files = None;
    if let Some(node) = more {
        let mut inner = self::keys(node, "dataset_kwargs")?;
        files = inner.take("data_files");
        inner.flag("trust_remote_code")?;
        inner.finish(&[])?;
    }
    let kinds = ["json", "csv", "parquet", "arrow"];
    let inside = |path: &str| match stays_inside(path) {
        true => Ok(()),
        false => refused(
            &format!("the path {}", short(path)),
            "leads out of the folder: put the data beside the file, and name them from there",
        ),
    };
    let texts = |node: &Node| -> Taken<Vec<String>> {
        let texts: Option<Vec<String>> =
            node.list().iter().map(|node| node.text().map(String::from)).collect();
        let texts = texts.map_or_else(|| refused("dataset_kwargs.data_files", "is no path"), Ok)?;
        texts.iter().try_for_each(|text| inside(text))?;
        Ok(texts)
    };
    match files {
        Some(_) if !kinds.contains(&path.as_str()) => {
            refused(&format!("dataset_path {}", short(&path)), &format!("is none of {}", kinds.join(", ")))
        }
        Some(Node::Map(splits)) => {
            let each = splits.iter().map(|(split, node)| Ok((split.clone(), texts(node)?)));
            Ok(Source::Files(each.collect::<Taken<_>>()?))
        }
        Some(node) => Ok(Source::Files(vec![("train".into(), texts(&node)?)])),
        None if kinds.contains(&path.as_str()) => {
            refused("dataset_kwargs.data_files", "is missing: it names the files of the data")
        }
        None => inside(&path).map(|()| Source::Folder(path)),
    }
}

/// Stops and most tokens.
fn generation(node: Option<Node>, between: &str) -> Taken<(Vec<String>, Option<usize>)> {
    let Some(node) = node else { return Ok((vec![between.into()], None)) };
    let mut keys = self::keys(node, "generation_kwargs")?;
    let stops = keys.texts("until")?.unwrap_or_else(|| vec![between.into()]);
    let mut most = None;
    for name in ["max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"] {
        let given = keys.whole(name, 1, 1 << 20)?;
        most = most.or(given);
    }
    let warm = match keys.take("temperature").as_ref().map(Node::scalar) {
        None | Some(Some(Scalar::Int(0))) => false,
        Some(Some(Scalar::Float(degree))) => degree != 0.0,
        _ => true,
    };
    if keys.flag("do_sample")? || warm {
        return refused(
            "generation_kwargs",
            "samples: answers are greedy here (do_sample: false, temperature: 0)",
        );
    }
    keys.finish(&[])?;
    Ok((stops, most.and_then(|most| usize::try_from(most).ok())))
}

fn shots(keys: &mut Keys) -> Taken<Shots> {
    let mut shots = Shots { split: keys.text("fewshot_split")?, ..Shots::default() };
    let count = keys.whole("num_fewshot", 0, MAX_SHOTS)?;
    shots.count = count.and_then(|count| usize::try_from(count).ok());
    let Some(node) = keys.take("fewshot_config") else { return Ok(shots) };
    let mut inner = self::keys(node, "fewshot_config")?;
    shots.split = inner.text("split")?.or(shots.split);
    shots.first = match inner.text("sampler")?.as_deref() {
        None | Some("default") => false,
        Some("first_n") => true,
        Some(other) => {
            let known = "is not understood: it may be default or first_n";
            return refused(&format!("fewshot_config.sampler {}", short(other)), known);
        }
    };
    if let Some(node) = inner.take("samples") {
        let row = |node: &Node| match value(node) {
            Value::Object(fields) => Ok(fields.into_iter().collect()),
            _ => refused("fewshot_config.samples", "is no list of rows"),
        };
        let samples = node.list().iter().map(row).collect::<Taken<Vec<_>>>()?;
        shots.samples = Some(samples).filter(|_| shots.split.is_none());
    }
    inner.finish(&[])?;
    Ok(shots)
}

/// The scorers of such an output by the harness's names; without others asked for, all of them.
fn scorers(output: Output) -> impl Iterator<Item = (&'static str, Scorer)> {
    let chooses = match output {
        Output::Choice => true,
        Output::Answer => false,
    };
    SCORERS
        .iter()
        .filter(move |scorer| scorer.chooses() == chooses)
        .filter_map(|scorer| Some((scorer.harness?, *scorer)))
}

/// The metrics, each with each of the filters.
fn measures(keys: &mut Keys, output: Output) -> Taken<Vec<Measure>> {
    let metrics: Vec<Node> = match keys.take("metric_list") {
        Some(node) => node.list().to_vec(),
        None => scorers(output)
            .map(|(name, _)| Node::Map(vec![("metric".into(), Node::Text(name.into()))]))
            .collect(),
    };
    let filters = filters(keys.take("filter_list"), output)?;
    let mut measures = Vec::new();
    for node in metrics {
        let mut inner = self::keys(node, "metric_list")?;
        let metric = inner.text("metric")?.unwrap_or_default();
        let Some((_, scorer)) = scorers(output).find(|(name, _)| *name == metric) else {
            let known: Vec<&str> = scorers(output).map(|(name, _)| name).collect();
            let of = match output {
                Output::Choice => "multiple_choice",
                Output::Answer => "generate_until",
            };
            let problem = format!("is not understood: it may be {} of {of}", listed(&known, "and"));
            return refused(&format!("metric_list.metric {}", short(&metric)), &problem);
        };
        if let Some(other) = inner.text("aggregation")?.filter(|name| name != "mean") {
            return refused(
                &format!("metric_list.aggregation {}", short(&other)),
                "is not understood: it may be mean",
            );
        }
        inner.take("higher_is_better");
        let removed = inner.texts("regexes_to_ignore")?.unwrap_or_default();
        let removed = removed.iter().map(|text| Pattern::new(text)).collect::<Taken<Vec<_>>>();
        let matching = Matching {
            trims: false,
            removed: removed.map_err(|problem| format!("metric_list.regexes_to_ignore: {problem}"))?,
            ignore_case: inner.flag("ignore_case")?,
            ignore_punctuation: inner.flag("ignore_punctuation")?,
            ignore_numbers: inner.flag("ignore_numbers")?,
            filters: Vec::new(),
        };
        inner.finish(&[])?;
        for (name, filters) in &filters {
            measures.push(Measure {
                name: if name.is_empty() { metric.clone() } else { format!("{metric}, {name}") },
                scorer,
                matching: Matching { filters: filters.clone(), ..matching.clone() },
            });
        }
    }
    match measures.is_empty() {
        true => refused("metric_list", "has no metric"),
        false => Ok(measures),
    }
}

/// Named rows of filters; one without a name where none are said.
fn filters(node: Option<Node>, output: Output) -> Taken<Vec<(String, Vec<Filter>)>> {
    let Some(node) = node else { return Ok(vec![(String::new(), Vec::new())]) };
    let mut all = Vec::new();
    for node in node.list() {
        let mut keys = self::keys(node.clone(), "filter_list")?;
        let name = keys.text("name")?.unwrap_or_default();
        let mut row = Vec::new();
        for step in keys.take("filter").as_ref().map(Node::list).unwrap_or_default() {
            let mut step = self::keys(step.clone(), "filter_list.filter")?;
            let function = step.text("function")?.unwrap_or_default();
            match function.as_str() {
                // There is one answer.
                "take_first" => {}
                "remove_whitespace" => row.push(Filter::Trimmed),
                "lowercase" => row.push(Filter::Lower),
                "uppercase" => row.push(Filter::Upper),
                "regex" => {
                    let pattern =
                        step.text("regex_pattern")?.unwrap_or_else(|| r"#### (\-?[0-9\.\,]+)".into());
                    let fallback = step.text("fallback")?.unwrap_or_else(|| "[invalid]".into());
                    let select = step.whole("group_select", -1000, 1000)?.unwrap_or(0);
                    let pattern =
                        Pattern::new(&pattern).map_err(|problem| format!("filter_list: {problem}"))?;
                    row.push(Filter::Find { pattern, select, fallback });
                }
                other => {
                    let known = "is not understood: it may be regex, take_first, remove_whitespace, lowercase, uppercase";
                    return refused(&format!("filter_list.filter.function {}", short(other)), known);
                }
            }
            step.finish(&[])?;
        }
        if output == Output::Choice && !row.is_empty() {
            return refused(
                "filter_list",
                "of multiple_choice is not understood: there is no answer to filter",
            );
        }
        keys.finish(&[])?;
        all.push((name, row));
    }
    match all.is_empty() {
        true => Ok(vec![(String::new(), Vec::new())]),
        false => Ok(all),
    }
}
