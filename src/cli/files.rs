//! Options that name the files of a result, one for each of its formats, and writing them.

use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::options::AS_JOB;
use super::output::Output;
use crate::Result;
use crate::export::{Content, Export};
use crate::outside::atomic_write;
use crate::plot::Drawing;

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
        assert!(parse(&["--csv", "a", "--png", "b"]).unwrap().paths.iter().flatten().count() == 2);
    }
}
