//! `import`: tasks out of datasets as the hub, trainers and people keep them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::options::choice;
use super::output::Output;
use super::{Align, Table};
use crate::import::{self, Caps, ImportReport, ImportSpec, Role, Shape, SplitRule, TaskReport};
use crate::named::Named;
use crate::scorers::Scorer;
use crate::text::{counted, listed, printable};
use crate::{Error, Result};

/// Make tasks of a dataset: parquet, json, csv or arrow files, or a folder as the hub keeps it
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// File or folder of rows
    pub source: PathBuf,
    /// Folder of tasks; new tasks are added to what is in it
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// `--fields`.
    #[arg(long, value_name = "FIELD=COLUMN,…", help = fields_help(), value_delimiter = ',', value_parser = parse_field)]
    pub fields: Vec<(Role, Vec<String>)>,
    /// Shape of the records [default: the first that fits the columns]
    #[arg(long, value_parser = choice::<Shape>(), hide_possible_values = true, value_name = "SHAPE")]
    pub shape: Option<Shape>,
    /// Number that the first choice has in the data [default: the shape's, mostly 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub answer_base: Option<i64>,
    /// Column that names each row's task, or none [default: task_name, task or task_id, else a task per configuration, else per file]
    #[arg(long, value_name = "COLUMN")]
    pub task_column: Option<String>,
    /// Column that says each row's split [default: split, if it is there]
    #[arg(long, value_name = "COLUMN")]
    pub split_column: Option<String>,
    /// Configurations to read, with commas between [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub config: Vec<String>,
    /// Family of the tasks [default: the name of the dataset]
    #[arg(long, value_name = "NAME", conflicts_with = "family_column")]
    pub family: Option<String>,
    /// Column that names each row's family
    #[arg(long, value_name = "COLUMN")]
    pub family_column: Option<String>,
    /// Name of the dataset, and of its task if there is one [default: the source's]
    #[arg(long)]
    pub name: Option<String>,
    /// How rows get their splits
    #[arg(long, value_name = "RULE", value_parser = choice::<SplitRule>(), default_value_t = ImportSpec::default().split_rule)]
    pub split_rule: SplitRule,
    /// Most rows per task, beside validation and test rows that the source has; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = ImportSpec::default().caps.rows)]
    pub cap: usize,
    /// Most validation rows per task
    #[arg(long, value_name = "N", default_value_t = ImportSpec::default().caps.validation)]
    pub validation: usize,
    /// Most test rows per task
    #[arg(long, value_name = "N", default_value_t = ImportSpec::default().caps.test)]
    pub test: usize,
    /// Seed of the sample and of the splits
    #[arg(long, value_name = "N", default_value_t = ImportSpec::default().seed)]
    pub seed: u64,
    /// Read only rows with this value in this column; several values of a column are alternatives
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = parse_filter)]
    pub filters: Vec<(String, String)>,
    /// Longest example, in characters; longer ones are dropped
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_chars: u32,
    /// Drop and count rows that are no examples, in place of an error
    #[arg(long)]
    pub skip_bad: bool,
    /// Keep rows that are there twice
    #[arg(long)]
    pub keep_duplicates: bool,
    /// How answers are scored [default: by what they look like]
    #[arg(long, value_parser = choice::<Scorer>())]
    pub metric: Option<Scorer>,
    /// Mark the tasks as held out: for evaluation alone
    #[arg(long)]
    pub held_out: bool,
    /// Licence of the data [default: the dataset card's]
    #[arg(long, value_name = "TEXT")]
    pub licence: Option<String>,
    /// Report what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn fields_help() -> String {
    let roles: Vec<&str> = Role::all().iter().map(Role::name).collect();
    format!(
        "Which column is what: {} [default: by the shape]; a dot leads into an object, + stands between a column per choice",
        roles.join(", ")
    )
}

fn parse_field(text: &str) -> std::result::Result<(Role, Vec<String>), String> {
    let (role, columns) = text.split_once('=').ok_or("write FIELD=COLUMN")?;
    let role: Role = role.trim().parse().map_err(|e: Error| e.to_string())?;
    let columns: Vec<String> = match role {
        Role::Choices => columns.split('+').map(|name| name.trim().to_string()).collect(),
        _ => vec![columns.trim().to_string()],
    };
    match columns.iter().any(String::is_empty) {
        true => Err("write FIELD=COLUMN".into()),
        false => Ok((role, columns)),
    }
}

fn parse_filter(text: &str) -> std::result::Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("write COLUMN=VALUE")?;
    Ok((column.trim().to_string(), value.to_string()))
}

/// Fields without which there is no example.
fn check_fields(fields: &[(Role, Vec<String>)]) -> Result<()> {
    let given = |role: Role| fields.iter().filter(|(other, _)| *other == role).count();
    if let Some(twice) = Role::all().iter().find(|role| given(**role) > 1) {
        return Err(Error::usage(format!("--fields names {twice} twice")));
    }
    let needs: &[Role] = match () {
        () if fields.is_empty() || given(Role::Messages) > 0 => &[],
        () if given(Role::Choices) > 0 => &[Role::Instruction, Role::Answer],
        () => &[Role::Instruction, Role::Output],
    };
    match needs.iter().find(|role| given(**role) == 0) {
        Some(missing) => Err(Error::usage(format!("--fields needs {missing}=COLUMN, too"))),
        None => Ok(()),
    }
}

/// Runs the command.
pub fn run(args: &ImportArgs, output: &Output) -> Result<()> {
    check_fields(&args.fields)?;
    let spec = ImportSpec {
        source: args.source.clone(),
        out: args.out.clone(),
        fields: args.fields.clone(),
        shape: args.shape,
        answer_base: args.answer_base,
        task_column: args.task_column.clone(),
        split_column: args.split_column.clone(),
        family: args.family.clone(),
        family_column: args.family_column.clone(),
        name: args.name.clone(),
        configs: args.config.clone(),
        caps: Caps { rows: args.cap, validation: args.validation, test: args.test },
        seed: args.seed,
        split_rule: args.split_rule,
        filters: args.filters.clone(),
        licence: args.licence.clone(),
        metric: args.metric,
        held_out: args.held_out,
        max_chars: args.max_chars as usize,
        skip_bad: args.skip_bad,
        keep_duplicates: args.keep_duplicates,
        dry_run: args.dry_run,
    };
    let mut progress = output.progress();
    let mut show = |what: &str, rows: u64| progress.update(&format!("{what}: {rows} rows"));
    let report = import::import(&spec, output.cancel(), &mut show);
    drop(progress);
    let report = report?;
    for warning in &report.warnings {
        output.note(&format!("warning: {warning}"));
    }
    if output.is_json() { output.document(&report) } else { output.text(&text(&report)) }
}

/// A table of the tasks, then the sums.
fn text(report: &ImportReport) -> String {
    let several = report.tasks.iter().any(|task| task.family != report.tasks[0].family);
    let mut table = Table::new(&[
        ("TASK", Align::Left),
        ("TRAIN", Align::Right),
        ("VALIDATION", Align::Right),
        ("TEST", Align::Right),
        ("METRIC", Align::Left),
        ("DROPPED", Align::Left),
    ]);
    for task in &report.tasks {
        let name = if several { format!("{}/{}", task.family, task.task) } else { task.task.clone() };
        let counts = [task.train, task.validation, task.test].map(|count| count.to_string());
        let [train, validation, test] = counts;
        let dropped = if task.dropped.total() == 0 { String::new() } else { task.dropped.words() };
        table.row([name, train, validation, test, task.metric.clone(), dropped]);
    }
    let mut out = table.render();
    if let Some(example) = report.tasks.first().filter(|_| !report.written).and_then(first_example) {
        out.push_str(&example);
    }
    out.push_str(&understood(report));
    let did = if report.written { "wrote" } else { "would write" };
    let tasks = counted(report.tasks.len(), "task");
    let files = counted(report.files, "file");
    let filtered = if report.filtered > 0 {
        format!(", {} left out by --where", report.filtered)
    } else {
        String::new()
    };
    let licence = report.licence.as_deref().unwrap_or("unknown: say it with --licence");
    out.push_str(&format!(
        "{did} {tasks} to {}: {} of {} rows of {files}{filtered}; dropped: {}; licence: {}\n",
        printable(&report.out.to_string_lossy()),
        report.kept,
        report.rows,
        report.dropped.words(),
        printable(licence),
    ));
    out
}

/// Columns that are named.
const NAMED: usize = 20;
/// Classes of a task that are listed.
const LISTED: usize = 8;

/// What columns were taken for, and which were not looked at: what a person can see to be wrong.
fn understood(report: &ImportReport) -> String {
    let mut lines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for task in &report.tasks {
        if let Some(answers) = &task.answers {
            lines.entry(format!("answers are read as {answers} of choices")).or_default().push(&task.task);
        }
        if !task.options.is_empty() {
            let options: Vec<Cow<'_, str>> = task.options.iter().map(|option| printable(option)).collect();
            let mut options: Vec<&str> = options.iter().map(|option| &**option).collect();
            let more = format!("{} more", options.len().saturating_sub(LISTED));
            if options.len() > LISTED {
                options.truncate(LISTED);
                options.push(&more);
            }
            let hint = match task.options.iter().any(|option| option == "-1") {
                true => "; where -1 stands for no answer, --where drops such rows",
                false => "",
            };
            let line = format!("outputs are classes: {}{hint}", listed(&options, "and"));
            lines.entry(line).or_default().push(&task.task);
        }
    }
    let mut out = String::new();
    for (line, tasks) in lines {
        let of_all = tasks.len() == report.tasks.len();
        let names = if of_all { String::new() } else { format!(" ({})", printable(&listed(&tasks, "and"))) };
        out.push_str(&format!("{line}{names}\n"));
    }
    if !report.unread.is_empty() {
        // As pandas calls the numbers of rows.
        let shown =
            |name: &String| if name.trim().is_empty() { "one without a name".into() } else { name.clone() };
        let mut names: Vec<String> = report.unread.iter().take(NAMED).map(shown).collect();
        if report.unread.len() > NAMED {
            names.push(format!("{} more", report.unread.len() - NAMED));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        out.push_str(&format!("columns that are not written: {}\n", printable(&listed(&names, "and"))));
    }
    out
}

/// The first example, as it was understood.
fn first_example(task: &TaskReport) -> Option<String> {
    let example = task.example.as_ref()?;
    let line = |text: &str| printable(&text.chars().take(200).collect::<String>()).into_owned();
    let shape = printable(&task.shape);
    let mut out = format!(
        "\nfirst example of {}, read as {shape}:\n  instruction  {}\n",
        printable(&task.task),
        line(&example.instruction)
    );
    if !example.input.is_empty() {
        out.push_str(&format!("  input        {}\n", line(&example.input)));
    }
    out.push_str(&format!("  output       {}\n\n", line(&example.output)));
    Some(out)
}
