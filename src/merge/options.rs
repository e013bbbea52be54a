//! The options of merges. Each is defined once; the command line, checks, JSON, `expert.toml` and the reference page
//! follow, and which method has which stands at the method.

use super::MergeSpec;
use crate::field;
use crate::settings::{Kind, SHARE_ABOVE_ZERO, Setting, Whole};

/// An option that some methods have.
#[derive(Debug)]
pub struct MergeOption {
    /// Its field of [`MergeSpec`], which is empty where it was not given, with its range and texts. One that is
    /// recorded stands in the report and in `expert.toml`.
    pub setting: Setting<MergeSpec>,
    /// Its value where none is given; empty where that depends on the experts.
    pub default: &'static str,
    /// Why a method does not have it.
    pub(super) why_not: &'static str,
}

/// All options, in the order of help.
pub static MERGE_OPTIONS: &[&MergeOption] = &[&RANK, &DENSITY, &SEED];

/// The rank to cut to.
pub static RANK: MergeOption = MergeOption {
    setting: Setting::new("rank", Kind::OptionalWhole(field!(MergeSpec.rank), Whole::from(1)))
        .flag("rank", "Rank of the new expert")
        .value("R")
        .unset("the largest of the experts"),
    default: "",
    why_not: "has the rank that its sum has",
};

/// Share of entries that stay.
pub static DENSITY: MergeOption = MergeOption {
    setting: Setting::new("density", Kind::OptionalNumber(field!(MergeSpec.density), SHARE_ABOVE_ZERO))
        .flag("density", "Share of the entries to keep")
        .value("D")
        .recorded(),
    default: "0.5",
    why_not: "keeps all entries",
};

/// Of what is left to chance.
pub static SEED: MergeOption = MergeOption {
    setting: Setting::new("seed", Kind::OptionalSeed(field!(MergeSpec.seed)))
        .flag("seed", "Seed of the random choice")
        .value("S")
        .recorded(),
    default: "42",
    why_not: "leaves nothing to chance",
};

impl MergeOption {
    /// As on the command line: `--rank`.
    pub fn flag(&self) -> String {
        format!("--{}", self.setting.flag)
    }

    /// Whether a merge was given it.
    pub(super) fn is_given(&self, spec: &MergeSpec) -> bool {
        self.setting.json(spec).is_some()
    }

    /// What holds where it is not given, for people.
    pub fn fallback(&self) -> &'static str {
        if self.default.is_empty() { self.setting.unset } else { self.default }
    }

    /// Gives it the value that holds where none is given.
    pub(super) fn fill(&self, spec: &mut MergeSpec) {
        if !self.default.is_empty() && !self.is_given(spec) {
            // In its range: a test looks.
            let _ = self.setting.set(spec, self.default);
        }
    }
}

impl PartialEq for MergeOption {
    fn eq(&self, other: &Self) -> bool {
        self.setting.id == other.setting.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_values() {
        for option in MERGE_OPTIONS {
            let mut spec = MergeSpec::default();
            assert!(!option.is_given(&spec), "{option:?}");
            option.fill(&mut spec);
            assert_eq!(option.is_given(&spec), !option.default.is_empty(), "{option:?}");
            assert!(!option.fallback().is_empty());
        }
    }
}
