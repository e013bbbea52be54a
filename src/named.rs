//! Names: closed sets whose members have one, names that people type, lists of names.
//!
//! A closed set (similarity metrics, schedules, ways to mix …) implements [`Named`]: one table of its members
//! with their names and help lines. Reading, printing, serde, command line values and completions follow from
//! it: `by_name!(Metric)` gives `Display`, `FromStr`, `Serialize` and `Deserialize`, and
//! `cli::options::choice::<Metric>()` a clap value parser with possible values.

use std::fmt::Display;

use crate::text::{composed, printable};
use crate::{Error, Result};

/// A member of a closed set that is known by its name.
pub trait Named: Sized + Send + Sync + 'static {
    /// What a member is called in messages: `metric`, `router`.
    const KIND: &'static str;

    /// Every member, in the order of lists and cycles.
    fn all() -> &'static [Self];

    /// As on the command line, in files and in JSON; unique within the set.
    fn name(&self) -> &'static str;

    /// One line for `--help` and docs, without a full stop.
    fn help(&self) -> &'static str;

    /// The member called `name`.
    ///
    /// # Errors
    /// A usage error that names the nearest members, or all of them where none is near.
    fn named(name: &str) -> Result<&'static Self> {
        Self::all().iter().find(|member| member.name() == name).ok_or_else(|| {
            let names = || Self::all().iter().map(Self::name);
            unknown(Self::KIND, name, names(), &names().collect::<Vec<_>>().join(", "))
        })
    }
}

/// `Display`, `FromStr`, `Serialize` and `Deserialize` of a [`Named`] type that is `Clone`, all by its name.
macro_rules! by_name {
    ($type:ty) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad($crate::named::Named::name(self))
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                <Self as $crate::named::Named>::named(text).cloned()
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::named::Named::name(self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use by_name;

/// The error for a name that no member of a set has: the nearest of `names`, else `choices`.
pub fn unknown<'a>(
    kind: &str,
    typed: impl Display,
    names: impl Iterator<Item = &'a str>,
    choices: &str,
) -> Error {
    let typed = typed.to_string();
    let near = nearest(&typed, names, 2);
    Error::usage(match near.as_slice() {
        [] => format!("there is no {kind} \"{typed}\": choose from {choices}"),
        near => format!("there is no {kind} \"{typed}\"; did you mean {}?", near.join(" or ")),
    })
}

/// The names in `text`, which has commas between them. A name that itself has a comma is matched whole first:
/// from the left, the longest stretch that `is_name` accepts is one name; what is none ends at its next comma.
/// Blanks around names and empty names are dropped.
pub fn split_names(text: &str, is_name: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let ends = || rest.match_indices(',').map(|(at, _)| at).chain([rest.len()]);
        let known = ends().filter(|&end| rest.get(..end).is_some_and(|name| is_name(name.trim()))).last();
        let end = known.or_else(|| ends().next()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if !name.trim().is_empty() {
            names.push(name.trim());
        }
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return names,
        }
    }
}

/// Index of the name that was typed: as it is, else as it is printed, with control characters escaped, else with its
/// accents written in another way, if only one name is that.
pub fn find_name<'a>(names: impl Iterator<Item = &'a str> + Clone, typed: &str) -> Option<usize> {
    let exact = names.clone().position(|name| name == typed);
    exact.or_else(|| names.clone().position(|name| printable(name) == typed)).or_else(|| {
        let typed = composed(typed);
        let mut same = names.enumerate().filter(|(_, name)| composed(name) == typed);
        same.next().filter(|_| same.next().is_none()).map(|(at, _)| at)
    })
}

/// Edit distance in which swapping two neighbours counts once (optimal string alignment), in characters.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = b.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, &y) in b.iter().enumerate() {
            let change = last[j] + usize::from(x != y);
            row[j + 1] = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Up to `count` of `names` that someone who typed `typed` may have meant, nearest first.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    // Distances are quadratic in the length: no mistyped name is this long.
    const LONGEST: usize = 200;
    let lower: String = typed.chars().take(LONGEST).collect::<String>().to_lowercase();
    let close = (lower.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = names
        .filter(|name| name.len() <= LONGEST)
        .filter_map(|name| {
            let other = name.to_lowercase();
            let distance = edit_distance(&lower, &other);
            if distance <= close {
                Some((distance, name))
            } else if lower.len() >= 3 && other.contains(&lower) {
                Some((close + 1, name))
            } else {
                None
            }
        })
        .collect();
    found.sort();
    found.into_iter().take(count).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fruit {
        Apple,
        Pear,
    }

    impl Named for Fruit {
        const KIND: &'static str = "fruit";

        fn all() -> &'static [Self] {
            &[Self::Apple, Self::Pear]
        }

        fn name(&self) -> &'static str {
            match self {
                Self::Apple => "apple",
                Self::Pear => "pear",
            }
        }

        fn help(&self) -> &'static str {
            "A fruit"
        }
    }
    by_name!(Fruit);

    #[test]
    fn members_are_read_and_printed_by_name() {
        assert_eq!("pear".parse::<Fruit>().unwrap(), Fruit::Pear);
        assert_eq!(Fruit::Apple.to_string(), "apple");
        assert_eq!(serde_json::to_string(&Fruit::Pear).unwrap(), "\"pear\"");
        assert_eq!(serde_json::from_str::<Fruit>("\"apple\"").unwrap(), Fruit::Apple);
    }

    #[test]
    fn unknown_names_are_answered_with_the_nearest() {
        let error = |text: &str| text.parse::<Fruit>().unwrap_err().to_string();
        assert_eq!(error("aple"), "there is no fruit \"aple\"; did you mean apple?");
        assert_eq!(error("x"), "there is no fruit \"x\": choose from apple, pear");
        assert!(serde_json::from_str::<Fruit>("\"aple\"").unwrap_err().to_string().contains("mean apple"));
    }

    #[test]
    fn a_name_that_holds_a_comma_is_matched_whole_first() {
        let names = ["a", "b", "a,b", "b,c,d"];
        let split = |text| split_names(text, |name| names.contains(&name));
        assert_eq!(split("a,b"), ["a,b"]);
        assert_eq!(split("b, a"), ["b", "a"]);
        assert_eq!(split("a,b,c,d"), ["a,b", "c", "d"]);
        assert_eq!(split("x,b,c,d,a"), ["x", "b,c,d", "a"]);
        assert_eq!(split(" ,, "), Vec::<&str>::new());
    }

    #[test]
    fn nearness_counts_swaps_once() {
        assert_eq!(edit_distance("plurla", "plural"), 1);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(nearest("simlarity", ["similarity", "show"].into_iter(), 1), ["similarity"]);
        assert!(nearest("x", ["similarity", "show"].into_iter(), 1).is_empty());
    }

    #[test]
    fn names_are_found_however_their_accents_are_written() {
        let names = ["caf\u{e9}", "n\u{e9}e", "ne\u{301}e"];
        let find = |typed: &str| find_name(names.iter().copied(), typed);
        assert_eq!(find("cafe\u{301}"), Some(0));
        // Where two names differ in that alone, only what was typed exactly counts.
        assert_eq!((find("n\u{e9}e"), find("ne\u{301}e")), (Some(1), Some(2)));
        let decomposed = ["x\u{323}\u{302}"];
        assert_eq!(find_name(decomposed.iter().copied(), "x\u{302}\u{323}"), Some(0));
    }
}
