//! What the comparing tabs know of a library: its usable experts, and when they changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::library::Expert;
use crate::text::{counted, printable};

/// More experts than this are compared only after a question: cost grows with their square.
pub const LARGE: usize = 2000;

/// Experts of a library that can be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparable {
    /// Number of experts that can be compared.
    pub len: usize,
    /// Number of those that cannot: bad, or made for another base model than most.
    pub bad: usize,
    /// Differs when the experts that can be compared or their files differ.
    pub fingerprint: u64,
}

impl Comparable {
    /// Looks at headers only.
    pub fn of(library: Option<&Arc<Catalog>>) -> Self {
        let Some(library) = library else { return Self::default() };
        let mut hasher = DefaultHasher::new();
        let mut len = 0;
        for expert in library.comparable() {
            len += 1;
            (&expert.name, expert.bytes, expert.modified).hash(&mut hasher);
        }
        Self { len, bad: library.experts.len() - len, fingerprint: hasher.finish() }
    }

    /// Why there is nothing to compare yet, in one line; `None` when there is.
    pub fn problem(&self) -> Option<String> {
        match (self.len, self.bad) {
            (0, 0) => Some(
                "No experts yet: train one in the Library tab, or put PEFT adapters into the folder.".into(),
            ),
            (0, 1) => Some("The one expert cannot be used: the Library tab says why.".into()),
            (0, bad) => Some(format!("None of the {bad} experts can be used: the Library tab says why.")),
            (1, 0) => Some(
                "One expert: comparing needs at least two. Train another in the Library tab, or put PEFT \
                 adapters into the folder."
                    .into(),
            ),
            (1, bad) => Some(format!(
                "One usable expert, and {bad} that cannot be used (the Library tab says why): comparing needs \
                 at least two."
            )),
            _ => None,
        }
    }

    /// That some experts are not compared, in a few words; `None` when all are.
    pub fn note(&self) -> Option<String> {
        (self.bad > 0).then(|| format!("{} cannot be used, see Library", counted(self.bad, "expert")))
    }

    /// What a comparison of a large library costs, as a question; `None` below [`LARGE`].
    pub fn question(&self) -> Option<String> {
        (self.len > LARGE).then(|| {
            let bytes = 4.0 * (self.len as f64) * (self.len as f64);
            let size =
                if bytes < 1e9 { format!("{:.0} MB", bytes / 1e6) } else { format!("{:.1} GB", bytes / 1e9) };
            format!(
                "{} experts: the similarity matrix takes {size} and reads all weights. Enter computes it.",
                self.len
            )
        })
    }
}

/// The usable expert of this name.
pub fn find<'a>(library: Option<&'a Arc<Catalog>>, name: &str) -> Option<&'a Expert> {
    let experts = &library?.experts;
    // Experts are sorted by the bytes of their names.
    experts.binary_search_by(|expert| expert.name.as_str().cmp(name)).ok().and_then(|at| experts.get(at))
}

/// Family of an expert as its provenance says, printable.
pub fn family(library: Option<&Arc<Catalog>>, name: &str) -> Option<String> {
    let family = find(library, name)?.provenance.as_ref()?.family.as_ref()?;
    Some(printable(family).into_owned())
}

/// An error under way to the screen: one printable line.
pub fn one_line(text: &str) -> String {
    printable(text.lines().next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_there_is_nothing_and_what_much_costs() {
        let of = |len, bad| Comparable { len, bad, fingerprint: 0 };
        assert!(of(0, 0).problem().is_some_and(|line| line.contains("train one")));
        assert!(of(0, 3).problem().is_some_and(|line| line.contains("Library tab")));
        assert!(of(1, 0).problem().is_some_and(|line| line.contains("Train another")));
        assert!(of(1, 4).problem().is_some_and(|line| line.contains("4 that cannot")));
        assert!(of(2, 9).problem().is_none() && of(2, 0).note().is_none());
        assert_eq!(of(2, 1).note().as_deref(), Some("1 expert cannot be used, see Library"));
        assert_eq!(of(2000, 0).question(), None);
        assert!(of(10_000, 0).question().is_some_and(|line| line.contains("400 MB")));
        assert!(of(50_000, 0).question().is_some_and(|line| line.contains("10.0 GB")));
    }
}
