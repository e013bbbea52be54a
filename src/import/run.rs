//! The import itself: two passes over the rows, then the folders.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use super::answers::read_answers;
use super::cell::At;
use super::labels::Labels;
use super::layouts::{Found, find};
use super::names::clean;
use super::oddities::{Given, MAX_LEFT_OUT, MAX_WARNINGS, empty_files, first_few, rows_as_tasks, unread};
use super::plan::{FilePlan, plan};
use super::record::{Key, Mixer, Record};
use super::report::{Counts, Example, ImportReport, TaskReport};
use super::sample::{Fate, Kept, Seen};
use super::scan::{Dropped, Scanned, scan};
use super::spec::ImportSpec;
use super::splits::Split;
use super::write::{TaskPath, Writer, check_free, check_out, shown};
use crate::scorers::{Answered, Scorer};
use crate::text::{printable, short};
use crate::train::TaskInfo;
use crate::{Cancel, Error, Result};

/// Most tasks of a source.
const MAX_TASKS: usize = 20_000;
/// Identifiers that are remembered, to find those that are there twice.
const MAX_IDS: usize = 1 << 20;
/// Characters of an example to look at.
const SHOWN: usize = 2000;

/// Makes tasks of a source. `progress` hears what is done, and how many rows are through.
///
/// # Errors
/// What is wrong with the source, with a file, with a row; tasks that are there already; a disk that is full. Nothing
/// is written then.
pub fn import(
    spec: &ImportSpec,
    cancel: &Cancel,
    progress: &mut dyn FnMut(&str, u64),
) -> Result<ImportReport> {
    check_out(&spec.out, &spec.source)?;
    if spec.split_column.is_some() && !spec.split_rule.column {
        let rule = spec.split_rule;
        return Err(Error::usage(format!(
            "--split-rule {rule} takes no splits from a column: leave out --split-column, or choose another rule"
        )));
    }
    let found = find(&spec.source, &spec.configs)?;
    let found = chosen(spec, found)?;
    let name = match &spec.name {
        Some(name) => named("--name", name)?,
        None => match clean(&found.name) {
            name if name.is_empty() => "dataset".into(),
            name => name,
        },
    };
    let is_empty = |name: &String| format!("the split {} has no rows", printable(name));
    let mut left_out = first_few(found.empty.iter().map(is_empty).collect());
    left_out.extend(first_few(found.unread.clone()));
    let mut plans = plan(spec, &found, &name, &mut left_out)?;
    read_answers(spec, &mut plans, cancel, &mut |rows| progress("looking at answers", rows))?;
    let mut first = FirstPass::new(spec, &name)?;
    let passed =
        scan(spec, &plans, cancel, &mut |rows| progress("looking at", rows), &mut |row| first.row(row))?;
    let rows = passed.rows;
    first.settle_names()?;
    let (tasks, mut warnings) = (first.tasks, left_out);
    warnings.extend(first.warnings);
    if first.repeated > MAX_WARNINGS {
        let more = first.repeated - MAX_WARNINGS;
        warnings.push(format!("{more} more rows have the id of another one, with other content"));
    }
    warnings.extend(rows_as_tasks(spec, &plans, tasks.len(), first.seen));
    let filtered = rows - first.seen - passed.homeless;
    let dropped = Counts::only(Dropped::Bad, passed.homeless);
    if tasks.is_empty() {
        return Err(nothing(spec, rows, rows - filtered, &dropped));
    }
    let mut second = SecondPass::new(spec, tasks);
    if !spec.dry_run {
        check_free(&spec.out, &second.written())?;
        second.writer = Some(Writer::new(&spec.out, second.paths.clone())?);
    }
    let again =
        scan(spec, &plans, cancel, &mut |rows| progress("writing", rows), &mut |row| second.row(row))?;
    if again != passed {
        return Err(Error::file(&spec.source, "changed while it was read: import it again"));
    }
    warnings.extend(first_few(empty_files(&plans, &second.file_rows)));
    let mut report = ImportReport {
        out: spec.out.clone(),
        written: !spec.dry_run,
        name,
        origin: found.origin.clone(),
        licence: spec.licence.clone().or_else(|| found.licence.clone()),
        split_rule: spec.split_rule.to_string(),
        files: plans.len(),
        rows,
        filtered,
        dropped,
        unread: unread(&plans, first.left_out),
        warnings,
        ..ImportReport::default()
    };
    second.finish(spec, &found, &mut report, first.seen)?;
    Ok(report)
}

/// The configurations that are named.
fn chosen(spec: &ImportSpec, mut found: Found) -> Result<Found> {
    if spec.configs.is_empty() {
        return Ok(found);
    }
    let of = |piece: &super::layouts::Piece| piece.config.clone().or_else(|| piece.group.clone());
    let all: Vec<String> = found.pieces.iter().filter_map(of).collect();
    if let Some(unknown) = spec.configs.iter().find(|name| !all.contains(name)) {
        let mut names: Vec<String> = all.iter().map(|name| short(name)).collect();
        names.sort();
        names.dedup();
        names.truncate(20);
        let has = if names.is_empty() { "none".into() } else { names.join(", ") };
        return Err(Error::file(
            &spec.source,
            format!("has no configuration \"{}\"; it has {has}", short(unknown)),
        ));
    }
    found.pieces.retain(|piece| of(piece).is_some_and(|name| spec.configs.contains(&name)));
    Ok(found)
}

/// A name that a person gave, cleaned.
fn named(option: &str, name: &str) -> Result<String> {
    match clean(name) {
        cleaned if cleaned.is_empty() => {
            Err(Error::usage(format!("{option} has no letter or digit: {name:?}")))
        }
        cleaned => Ok(cleaned),
    }
}

/// That no row is kept.
fn nothing(spec: &ImportSpec, rows: u64, seen: u64, dropped: &Counts) -> Error {
    let why = match (rows, seen) {
        (0, _) => "has no rows".to_string(),
        (_, 0) => format!("has {rows} rows, none of which --where lets through"),
        _ => format!("has {rows} rows, none of which is kept: {}", dropped.words()),
    };
    Error::file(&spec.source, why)
}

/// What the first pass knows of a task.
struct Task {
    raw: String,
    path: TaskPath,
    /// Where it was first found.
    place: String,
    seen: Seen,
    /// Its rows, for the rule that numbers them.
    rows: u64,
}

/// Finds which rows are kept.
struct FirstPass<'s> {
    spec: &'s ImportSpec,
    family: String,
    tasks: Vec<Task>,
    index: Index,
    /// Rows that the filters let through.
    seen: u64,
    /// Of identifiers: what was said under them, and where.
    ids: HashMap<u64, (Key, At, usize)>,
    /// Files of these rows, by the number that is said there.
    files: Vec<PathBuf>,
    repeated: usize,
    /// What of turns is not written.
    left_out: BTreeSet<String>,
    warnings: Vec<String>,
}

/// Numbers of tasks by what the source calls them and their family.
#[derive(Default)]
struct Index {
    numbers: HashMap<String, usize>,
    /// Most rows are of the task of the row before.
    last: Option<(String, usize)>,
}

impl Index {
    fn get(&mut self, name: &str) -> Option<usize> {
        if let Some((last, number)) = &self.last
            && last == name
        {
            return Some(*number);
        }
        let number = *self.numbers.get(name)?;
        self.last = Some((name.into(), number));
        Some(number)
    }
}

/// What distinguishes tasks.
fn key_of(row: &Scanned<'_, '_>) -> String {
    match &row.family {
        Some(family) => format!("{family}\n{}", row.task),
        None => row.task.to_string(),
    }
}

impl<'s> FirstPass<'s> {
    fn new(spec: &'s ImportSpec, name: &str) -> Result<Self> {
        let family = match &spec.family {
            Some(family) => named("--family", family)?,
            None => name.to_string(),
        };
        Ok(Self {
            spec,
            family,
            tasks: Vec::new(),
            index: Index::default(),
            seen: 0,
            ids: HashMap::new(),
            files: Vec::new(),
            repeated: 0,
            left_out: BTreeSet::new(),
            warnings: Vec::new(),
        })
    }

    fn row(&mut self, row: Scanned<'_, '_>) -> Result<()> {
        self.seen += 1;
        let number = match self.index.get(&key_of(&row)) {
            Some(number) => number,
            None => self.new_task(&row)?,
        };
        let numbered = self.spec.split_rule.by_number;
        let Some(task) = self.tasks.get_mut(number) else { return Ok(()) };
        let at = task.rows;
        task.rows += 1;
        let Ok(record) = &row.record else { return Ok(()) };
        // Rows may have any number of names.
        let new = record.left_out.iter().filter(|name| !self.left_out.contains(*name));
        let new: Vec<String> = new.take(MAX_LEFT_OUT.saturating_sub(self.left_out.len())).cloned().collect();
        self.left_out.extend(new);
        let key = Key::of(record, self.spec.seed);
        let split = match numbered {
            Some(rule) if is_under(at, self.spec.caps.rows) => rule(at),
            Some(_) => return Ok(()),
            None => row.split,
        };
        task.seen.offer(split, key);
        if let Some(id) = &row.id {
            let id = id_hash(number, split, id);
            self.note_id(id, key, &row);
        }
        Ok(())
    }

    fn new_task(&mut self, row: &Scanned<'_, '_>) -> Result<usize> {
        let problem = |problem: String| Error::file(&row.plan.piece.path, format!("{}: {problem}", row.at));
        let name = clean(&row.task);
        if name.is_empty() {
            return Err(problem(format!(
                "the task \"{}\" has no letter or digit in its name",
                short(&row.task)
            )));
        }
        let family = match &row.family {
            Some(family) => clean(family),
            None => self.family.clone(),
        };
        if family.is_empty() {
            return Err(problem("the family has no letter or digit in its name".into()));
        }
        // A column of families without one of tasks says the tasks.
        let name = match row.family.is_some() && row.plan.task.is_none() {
            true => joined(&name, &family),
            false => name,
        };
        let path = TaskPath { family, task: name };
        if self.tasks.len() >= MAX_TASKS {
            let column =
                row.plan.task.and_then(|place| row.plan.wanted.get(place)).map_or("", String::as_str);
            return Err(problem(format!(
                "has more than {MAX_TASKS} tasks: does the column \"{}\" name tasks? choose another with --task-column, or none",
                short(column)
            )));
        }
        let number = self.tasks.len();
        let seen = Seen::new(self.spec.caps, self.spec.split_rule.by_number.is_some());
        let place = format!("{}: {}", shown(&row.plan.piece.path), row.at);
        self.tasks.push(Task { raw: row.task.to_string(), path, place, seen, rows: 0 });
        self.index.numbers.insert(key_of(row), number);
        Ok(number)
    }

    /// Gives tasks of one name in several families the names of these, too: a task is known by its name.
    ///
    /// # Errors
    /// Two tasks that are named differently in the source, and alike here.
    fn settle_names(&mut self) -> Result<()> {
        let mut counts: HashMap<String, HashSet<String>> = HashMap::new();
        for task in &self.tasks {
            counts.entry(task.path.task.clone()).or_default().insert(task.path.family.clone());
        }
        let mut taken: HashMap<String, String> = HashMap::new();
        for Task { path, raw, place, .. } in &mut self.tasks {
            if counts.get(&path.task).is_some_and(|families| families.len() > 1) {
                path.task = joined(&path.task, &path.family);
            }
            if let Some(other) = taken.insert(path.task.clone(), raw.clone()) {
                return Err(Error::msg(format!(
                    "{place}: the tasks \"{}\" and \"{}\" would both be named {}: rename one",
                    short(&other),
                    short(raw),
                    path.task
                )));
            }
        }
        Ok(())
    }

    /// Warns of an identifier under which something else was said before.
    fn note_id(&mut self, id: u64, key: Key, row: &Scanned<'_, '_>) {
        match self.ids.get(&id) {
            Some((before, ..)) if *before == key => {}
            Some((_, at, file)) => {
                let file = self.files.get(*file).filter(|path| **path != row.plan.piece.path);
                let place = match file {
                    Some(path) => format!("{at} of {}", shown(path)),
                    None => at.to_string(),
                };
                self.repeated += 1;
                if self.repeated <= MAX_WARNINGS {
                    let id = row.id.as_deref().unwrap_or_default();
                    self.warnings.push(format!(
                        "{}: {}: the id \"{}\" is also that of {place}, with other content; both rows are kept",
                        shown(&row.plan.piece.path),
                        row.at,
                        short(id)
                    ));
                }
            }
            None if self.ids.len() < MAX_IDS => {
                let path = &row.plan.piece.path;
                if self.files.last() != Some(path) {
                    self.files.push(path.clone());
                }
                self.ids.insert(id, (key, row.at, self.files.len() - 1));
            }
            None => {}
        }
    }
}

/// The name of a task with that of its family.
fn joined(task: &str, family: &str) -> String {
    clean(&format!("{task}_{family}"))
}

fn id_hash(task: usize, split: Split, id: &str) -> u64 {
    let mut hash = Mixer::new(2);
    hash.word(task as u64);
    hash.word(split.index() as u64);
    hash.text(id);
    hash.finish()
}

/// Whether a row with this number is kept under a cap; 0 is none.
fn is_under(row: u64, cap: usize) -> bool {
    cap == 0 || row < cap as u64
}

/// What the second pass knows of a task.
struct Chosen {
    raw: String,
    kept: Kept,
    rows: u64,
    counts: [u64; 3],
    given: Given,
    dropped: Counts,
    shape: &'static str,
    example: Option<Example>,
    /// Its instruction, as long as all rows have the same.
    instruction: Option<String>,
    characters: u64,
    choices: bool,
    options: Vec<String>,
    labels: Labels,
    answers: Option<&'static str>,
}

/// Writes the rows that are kept.
struct SecondPass<'s> {
    spec: &'s ImportSpec,
    tasks: Vec<Chosen>,
    paths: Vec<TaskPath>,
    index: Index,
    writer: Option<Writer>,
    file_rows: HashSet<*const FilePlan>,
}

impl<'s> SecondPass<'s> {
    fn new(spec: &'s ImportSpec, tasks: Vec<Task>) -> Self {
        let numbered = spec.split_rule.by_number.is_some();
        let mut pass = Self {
            spec,
            tasks: Vec::with_capacity(tasks.len()),
            paths: Vec::with_capacity(tasks.len()),
            index: Index::default(),
            writer: None,
            file_rows: HashSet::new(),
        };
        for task in tasks {
            pass.paths.push(task.path);
            pass.tasks.push(Chosen {
                raw: task.raw,
                kept: task.seen.choose(spec.caps, numbered, spec.keep_duplicates),
                rows: 0,
                counts: [0; 3],
                given: Given::default(),
                dropped: Counts::default(),
                shape: "",
                example: None,
                instruction: None,
                characters: 0,
                choices: false,
                options: Vec::new(),
                labels: Labels::default(),
                answers: None,
            });
        }
        pass
    }

    /// The tasks of which rows are kept.
    fn written(&self) -> Vec<TaskPath> {
        let all = self.paths.iter().zip(&self.tasks);
        all.filter(|(_, task)| !task.kept.is_empty()).map(|(path, _)| path.clone()).collect()
    }

    fn row(&mut self, row: Scanned<'_, '_>) -> Result<()> {
        self.file_rows.insert(std::ptr::from_ref(row.plan));
        let key = key_of(&row);
        let number = match self.index.get(&key) {
            Some(number) => number,
            // The tasks come in the order of the first pass.
            None => {
                let number = self.index.numbers.len();
                self.index.numbers.insert(key, number);
                number
            }
        };
        let Some(task) = self.tasks.get_mut(number) else {
            return Err(Error::file(&self.spec.source, "changed while it was read: import it again"));
        };
        let at = task.rows;
        task.rows += 1;
        task.given.add(row.split, row.record.as_ref().err().copied());
        let record = match row.record {
            Ok(record) => record,
            Err(why) => {
                task.dropped.add(why);
                return Ok(());
            }
        };
        let fate = match self.spec.split_rule.by_number {
            Some(_) if !is_under(at, self.spec.caps.rows) => Fate::Over,
            Some(rule) => task.kept.fate(rule(at), Key::of(&record, self.spec.seed)),
            None => task.kept.fate(row.split, Key::of(&record, self.spec.seed)),
        };
        match fate {
            Fate::Duplicate => task.dropped.add(Dropped::Duplicate),
            Fate::Over => task.dropped.add(Dropped::Over),
            Fate::Kept(split) => {
                task.note(row.plan, &record);
                task.counts[split.index()] += 1;
                if let Some(writer) = &mut self.writer {
                    writer.example(number, split, &record)?;
                }
            }
        }
        Ok(())
    }

    /// Describes the tasks, puts them into their place and into the report.
    fn finish(
        mut self,
        spec: &ImportSpec,
        found: &Found,
        report: &mut ImportReport,
        seen: u64,
    ) -> Result<()> {
        let origin = found.origin.clone().unwrap_or_else(|| found.name.clone());
        let mut writer = self.writer.take();
        let chooses = spec.metric.is_some_and(|metric| metric.chooses());
        let (mut lost, mut moved, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (mut task, path)) in self.tasks.into_iter().zip(&self.paths).enumerate() {
            report.dropped.add_all(&task.dropped);
            let kept: u64 = task.counts.iter().sum();
            report.kept += kept;
            if kept == 0 {
                let dropped = task.dropped.words();
                lost.push(format!("no row of the task \"{}\" is kept: {dropped}", short(&task.raw)));
                continue;
            }
            if task.kept.moved.is_some() {
                let raw = short(&task.raw);
                moved.push(format!("the task \"{raw}\" has validation rows alone: they are its test split"));
            }
            if spec.split_rule.by_number.is_none() {
                odd.extend(task.given.odd(&short(&task.raw), task.counts, &task.kept));
            }
            if task.options.is_empty() {
                task.options = std::mem::take(&mut task.labels).classes(kept, chooses);
            }
            let metric = spec.metric.unwrap_or_else(|| task.scorer(kept));
            if chooses && !task.choices && task.options.is_empty() {
                return Err(Error::file(
                    &spec.source,
                    format!(
                        "the task \"{}\" has no choices, and its outputs are no classes, so that {metric} has nothing to \
                         choose from: name another --metric, or the choices with --fields",
                        short(&task.raw)
                    ),
                ));
            }
            if let Some(writer) = &mut writer {
                let info = TaskInfo {
                    id: path.task.clone(),
                    family: Some(path.family.clone()),
                    instruction: task.instruction.clone().filter(|text| !text.is_empty()),
                    metric,
                    options: task.options.clone(),
                    held_out: spec.held_out,
                    source: Some(origin.clone()),
                    licence: report.licence.clone(),
                    ..TaskInfo::default()
                };
                writer.describe(number, &info)?;
            }
            let [train, validation, test] = task.counts;
            report.tasks.push(TaskReport {
                task: path.task.clone(),
                family: path.family.clone(),
                name: task.raw,
                shape: task.shape.into(),
                metric: metric.to_string(),
                answers: task.answers.map(String::from),
                options: task.options,
                train,
                validation,
                test,
                dropped: task.dropped,
                example: task.example,
            });
        }
        if report.tasks.is_empty() {
            return Err(nothing(spec, report.rows, seen, &report.dropped));
        }
        report.warnings.extend([lost, moved, odd].into_iter().flat_map(first_few));
        report.tasks.sort_by(|a, b| (&a.family, &a.task).cmp(&(&b.family, &b.task)));
        match writer {
            Some(writer) => writer.finish(),
            None => Ok(()),
        }
    }
}

impl Chosen {
    /// Looks at an example that is kept.
    fn note(&mut self, plan: &FilePlan, record: &Record<'_>) {
        let cut = |text: &str| text.chars().take(SHOWN).collect::<String>();
        if self.example.is_none() {
            self.shape = plan.shape.name;
            self.answers = plan.mapping.reading.map(|reading| reading.name);
            self.instruction = Some(record.instruction.to_string());
            self.options = plan.mapping.classes.clone().unwrap_or_default();
            self.example = Some(Example {
                instruction: cut(&record.instruction),
                input: cut(&record.input),
                output: cut(&record.output),
            });
        } else if self.instruction.as_deref().is_some_and(|first| first != record.instruction) {
            self.instruction = None;
        }
        self.choices |= !record.choices.is_empty();
        self.labels.note(record);
        self.characters += record.output.chars().count() as u64;
    }

    /// How the answers of such a task are scored.
    fn scorer(&self, kept: u64) -> Scorer {
        Scorer::suited(Answered {
            has_choices: self.choices,
            are_labels: !self.options.is_empty(),
            mean_length: self.characters / kept.max(1),
        })
    }
}
