//! How far what a router needs first is, in its own unit, and how long the rest takes.

use std::fmt;
use std::time::Instant;

use crate::text::{counted, duration};

/// Seconds after which the rest of the time can be estimated.
const PATIENCE: f64 = 1.0;

/// What is prepared for a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// Prompts are looked for.
    Looking,
    /// What is usual for each expert's scores.
    Calibration,
    /// What is usual for votes.
    Votes,
    /// What the experts' own prompts look like.
    OwnPrompts,
    /// The regression that discerns them.
    Regression,
    /// Gates.
    Gates,
}

impl Preparation {
    /// What is being done: `calibrating`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Looking | Self::Calibration => "calibrating",
            Self::Votes => "calibrating votes",
            Self::OwnPrompts => "looking at own prompts",
            Self::Regression => "fitting the regression",
            Self::Gates => "training gates",
        }
    }

    /// What is counted: `prompt`.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Looking | Self::Calibration | Self::Votes => "prompt",
            Self::OwnPrompts => "expert",
            Self::Regression | Self::Gates => "step",
        }
    }

    /// Since when a part of it is not done again.
    fn kept(self) -> &'static str {
        match self {
            Self::Looking | Self::Calibration | Self::Votes | Self::Regression => "kept once it is done",
            Self::OwnPrompts | Self::Gates => "kept expert by expert",
        }
    }
}

/// How far something is that is prepared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preparing {
    /// What it is.
    pub what: Preparation,
    /// How much of it is done, in its unit.
    pub done: usize,
    /// All of it; 0 while that is not known.
    pub all: usize,
    /// Seconds that the rest takes, once that can be estimated.
    pub left: Option<f64>,
}

/// How far a preparation is, and with what it is done.
#[derive(Clone, Copy, Debug)]
pub struct CalibrationStep<'a> {
    /// Whose prompts they are; empty where nobody asks.
    pub source: &'a str,
    /// How far it is.
    pub at: Preparing,
}

impl Preparing {
    /// `12 of 264 prompts`.
    pub fn amount(&self) -> String {
        format!("{} of {}", self.done, counted(self.all, self.what.unit()))
    }
}

impl CalibrationStep<'_> {
    /// What is begun, without how far it is: `training gates: 1200 steps; kept expert by expert`. None while it is not
    /// known how much there is to do.
    pub fn begun(&self) -> Option<String> {
        let Preparing { what, all, .. } = self.at;
        let with = if self.source.is_empty() { String::new() } else { format!(" with {}", self.source) };
        let line = || format!("{}{with}: {}; {}", what.verb(), counted(all, what.unit()), what.kept());
        (all > 0).then(line)
    }
}

impl fmt::Display for CalibrationStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, at } = self;
        f.write_str(at.what.verb())?;
        if at.all == 0 {
            return Ok(());
        }
        if !source.is_empty() {
            write!(f, " with {source}")?;
        }
        write!(f, ": {}", at.amount())?;
        at.left.map_or(Ok(()), |left| write!(f, ", {} left", duration(left)))
    }
}

/// Tells how long the rest takes from how long it took so far.
#[derive(Debug)]
pub struct Pace {
    what: Preparation,
    /// When it was heard of first, and how much was done then.
    begun: Option<(Instant, usize)>,
}

impl Pace {
    /// Nothing is done yet.
    pub fn new(what: Preparation) -> Self {
        Self { what, begun: None }
    }

    /// So much of it is done now.
    pub fn at(&mut self, done: usize, all: usize) -> Preparing {
        let (begun, before) = *self.begun.get_or_insert_with(|| (Instant::now(), done));
        let left = left(begun.elapsed().as_secs_f64(), done.saturating_sub(before), all.saturating_sub(done));
        Preparing { what: self.what, done, all, left }
    }
}

/// Seconds that `rest` takes where `done` took so many.
fn left(seconds: f64, done: usize, rest: usize) -> Option<f64> {
    (seconds >= PATIENCE && done > 0 && rest > 0).then(|| seconds / done as f64 * rest as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_what_is_done_in_its_unit_and_how_long_the_rest_takes() {
        let step = |what, source, done, all, left| {
            CalibrationStep { source, at: Preparing { what, done, all, left } }.to_string()
        };
        assert_eq!(step(Preparation::Looking, "", 0, 0, None), "calibrating");
        assert_eq!(
            step(Preparation::Calibration, "300 general prompts", 12, 300, Some(48.2)),
            "calibrating with 300 general prompts: 12 of 300 prompts, 48s left"
        );
        assert_eq!(
            step(Preparation::Gates, "", 340, 1200, Some(185.0)),
            "training gates: 340 of 1200 steps, 3m05s left"
        );
        assert_eq!(step(Preparation::OwnPrompts, "", 0, 1, None), "looking at own prompts: 0 of 1 expert");
    }

    #[test]
    fn what_is_begun_is_the_same_line_however_far_it_is() {
        let begun = |done, all| {
            let at = Preparing { what: Preparation::Gates, done, all, left: None };
            CalibrationStep { source: "", at }.begun()
        };
        assert_eq!(begun(7, 1200).as_deref(), Some("training gates: 1200 steps; kept expert by expert"));
        assert_eq!((begun(0, 1200), begun(0, 0)), (begun(900, 1200), None));
    }

    #[test]
    fn the_rest_goes_on_as_it_began() {
        assert_eq!(left(10.0, 5, 20), Some(40.0));
        assert_eq!((left(0.5, 5, 20), left(10.0, 0, 20), left(10.0, 5, 0)), (None, None, None));
    }
}
