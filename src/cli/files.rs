//! Options that name the files of a result, one for each of its formats, and writing them.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::options::AS_JOB;
use super::output::Output;
use crate::export::{Content, Export};
use crate::library::real_of;
use crate::outside::{atomic_write, write_refusal};
use crate::plot::Drawing;
use crate::{Error, Result};

/// The files that a result is to be written into. [`Export::EXCLUDED_BY`] excludes them.
///
/// A command that can start a job has these options after those of the job, which exclude them: there is no result yet
/// when it returns.
#[derive(Clone, Debug)]
pub struct Files<R> {
    /// One for each format.
    paths: Vec<Option<PathBuf>>,
    result: PhantomData<R>,
}

impl<R: Export> Files<R> {
    /// Whether those that were asked for can be written: to be known before the work.
    ///
    /// # Errors
    /// A folder that is not there or cannot be written; a folder in the file's place; a name of another format; one file
    /// for two formats.
    pub(super) fn check(&self) -> Result<()> {
        let mut before: Vec<(&str, PathBuf)> = Vec::new();
        for (format, path) in R::FORMATS.iter().zip(&self.paths) {
            let Some(path) = path else { continue };
            if path == Path::new("-") {
                let problem =
                    format!("is no file for --{}: the table is printed without it; name one", format.flag);
                return Err(Error::file(path, problem));
            }
            let real = real_of(path)?;
            if let Some((flag, _)) = before.iter().find(|(_, other)| *other == real) {
                let problem =
                    format!("would be written by --{flag} and by --{}: give each its own file", format.flag);
                return Err(Error::file(path, problem));
            }
            before.push((format.flag, real));
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            if path.is_dir() {
                return Err(Error::file(path, "is a folder: name a file in it"));
            }
            if !parent.is_dir() {
                return Err(Error::file(path, "cannot be written: its folder does not exist; make it first"));
            }
            // What is there may be a device, whose folder nobody writes into.
            if let Some(why) = write_refusal(parent).filter(|_| !path.exists()) {
                return Err(Error::file(path, format!("cannot be written into its folder: {why}")));
            }
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            if let Some(ending) = ending.filter(|ending| is_other_format(ending, format.ending)) {
                let wanted = format.ending.to_uppercase();
                return Err(Error::file(
                    path,
                    format!(
                        "would be {wanted} under a name that ends in .{ending}: end it in .{}",
                        format.ending
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Writes those that were asked for, and says so; whether there were any.
    ///
    /// # Errors
    /// A figure that cannot be drawn, a file that cannot be written.
    pub(super) fn write(&self, result: &R, output: &Output) -> Result<bool> {
        let mut figure: Option<Box<dyn Drawing>> = None;
        for (format, path) in R::FORMATS.iter().zip(&self.paths) {
            let Some(path) = path else { continue };
            if let Content::Text(text) = format.content {
                atomic_write(path, text(result).as_bytes())?;
                output.wrote(path, &result.about_table());
                continue;
            }
            let figure = match &figure {
                Some(figure) => figure,
                None => figure.insert(result.figure()?),
            };
            let is_png = matches!(format.content, Content::Png);
            if is_png { figure.save_png(path) } else { figure.save_svg(path) }?;
            output.wrote(path, &result.about_figure());
            if is_png {
                output.numbered(figure.numbered());
            }
        }
        Ok(self.paths.iter().any(Option::is_some))
    }
}

/// Endings that say what a file is, in rows of those that say the same.
const FORMATS: [&[&str]; 10] = [
    &["csv"],
    &["md", "markdown"],
    &["tex"],
    &["png"],
    &["svg"],
    &["jpg", "jpeg", "gif", "webp", "pdf", "bmp"],
    &["json", "jsonl", "ndjson"],
    &["toml", "yaml", "yml"],
    &["tsv", "html", "parquet", "arrow", "gz", "zst", "zip"],
    &["safetensors", "gguf", "bin", "pt", "npy", "npz"],
];

/// Whether files of this ending are always in another format than the one whose ending is `own`.
fn is_other_format(ending: &str, own: &str) -> bool {
    let row = |ending: &str| FORMATS.iter().position(|row| row.contains(&ending));
    row(ending).is_some_and(|other| Some(other) != row(own))
}

impl<R: Export> Args for Files<R> {
    fn augment_args(command: Command) -> Command {
        let can_be_job = command.get_groups().any(|group| group.get_id() == AS_JOB);
        let option = |flag: &'static str, help: &'static str| {
            let arg = Arg::new(flag).long(flag).value_name("FILE").help(help);
            let arg = arg
                .value_parser(clap::value_parser!(PathBuf))
                .conflicts_with_all(R::EXCLUDED_BY.iter().copied());
            if can_be_job { arg.conflicts_with(AS_JOB) } else { arg }
        };
        command.args(R::FORMATS.iter().map(|format| option(format.flag, format.help)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<R: Export> FromArgMatches for Files<R> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let path = |flag: &str| matches.get_one::<PathBuf>(flag).cloned();
        let paths = R::FORMATS.iter().map(|format| path(format.flag)).collect();
        Ok(Self { paths, result: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;
    use crate::cli::options::JobArgs;
    use crate::eval::{EvalReport, EvalSpec};

    #[test]
    fn every_format_is_an_option_that_needs_a_result() {
        let command = || {
            let routing = Arg::new("routing").long("routing").action(ArgAction::SetTrue);
            let command = JobArgs::<EvalSpec>::augment_args(Command::new("eval").arg(routing));
            Files::<EvalReport>::augment_args(command)
        };
        let parse = |words: &[&str]| {
            let matches = command().try_get_matches_from([&["eval", "--tasks", "t"], words].concat())?;
            Files::<EvalReport>::from_arg_matches(&matches)
        };
        for (at, format) in EvalReport::FORMATS.iter().enumerate() {
            let option = format!("--{}", format.flag);
            let files = parse(&[&option, "x"]).unwrap();
            assert_eq!(files.paths.iter().position(Option::is_some), Some(at));
            for other in ["--background", "--routing"] {
                let error = parse(&[&option, "x", other]).unwrap_err().to_string();
                assert!(error.contains(&option) && error.contains(other), "{error}");
            }
        }
        // Before the work, not after it.
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        for (option, name, said) in [
            ("--csv", "none/x.csv", "its folder does not exist"),
            ("--csv", "", "is a folder"),
            ("--png", "x.jpg", "would be PNG under a name that ends in .jpg: end it in .png"),
            ("--csv", "data.jsonl", "would be CSV under a name that ends in .jsonl: end it in .csv"),
            ("--markdown", "x.csv", "would be MD under a name that ends in .csv: end it in .md"),
        ] {
            let error = parse(&[option, &place(name)]).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        parse(&["--csv", &place("x.csv"), "--svg", &place("x")]).unwrap().check().unwrap();
        parse(&["--markdown", &place("x.markdown"), "--latex", &place("x.txt")]).unwrap().check().unwrap();
        for (words, said) in [
            (
                ["--csv", &place("x"), "--markdown", &place("./x")],
                "would be written by --csv and by --markdown",
            ),
            (["--csv", &place("x.csv"), "--markdown", "-"], "-: is no file for --markdown"),
        ] {
            let error = parse(&words).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(parse(&["--csv", "a", "--png", "b"]).unwrap().paths.iter().flatten().count() == 2);
    }
}
