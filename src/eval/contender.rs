//! Who takes part in an evaluation: a method over one of the libraries.

use super::methods::Method;
use super::spec::{EvalSpec, NamedLibrary};
use crate::library::Library;
use crate::named::{find_name, split_names, unknown};
use crate::routing::Router;
use crate::{Error, Result};

/// Between the name of a library and a method.
pub(super) const OF: char = '/';

/// How a library is named beside the main one.
pub const LIBRARY_WANTED: &str = "NAME=PATH, with letters, digits, - and _ in the name";

impl NamedLibrary {
    /// Reads `NAME=PATH`.
    ///
    /// # Errors
    /// A usage error that says how it is written.
    pub fn read(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((name, path)) if is_plain(name) && !path.trim().is_empty() => {
                Ok(Self { name: name.trim().into(), path: path.trim().into() })
            }
            _ => Err(Error::usage(format!("a library is written {LIBRARY_WANTED}, not {text}"))),
        }
    }
}

fn is_plain(name: &str) -> bool {
    let name = name.trim();
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

/// A method over one of the libraries.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// As it was written: `mbc/arrow:k=1`.
    pub label: String,
    /// Number of its library: 0 is the main one.
    pub library: usize,
    /// What answers.
    pub method: Method,
}

/// Reads a list of methods: of the main library, or of one of `others` behind its name. A comma may belong to the name of
/// an expert of its library.
///
/// # Errors
/// A usage error that names what is not known.
pub fn contenders(text: &str, main: &Library, others: &[(String, &Library)]) -> Result<Vec<Contender>> {
    let names: Vec<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
    let read = |text: &str| -> Result<Contender> {
        let one = contender(text, &names)?;
        let of = others.get(one.library.wrapping_sub(1)).map_or(main, |(_, library)| library);
        if let Some(expert) = one.method.expert() {
            let is_there = find_name(of.experts.iter().map(|e| e.name.as_str()), expert).is_some();
            if !is_there {
                of.expert(expert).map_err(|unknown| Error::usage(unknown.to_string()))?;
            }
        }
        Ok(one)
    };
    let is_one = |text: &str| read(text).is_ok();
    let all: Vec<Contender> = split_names(text, is_one).into_iter().map(read).collect::<Result<_>>()?;
    let mut once: Vec<Contender> = Vec::with_capacity(all.len());
    all.into_iter().for_each(|one| {
        if !once.contains(&one) {
            once.push(one);
        }
    });
    Ok(once)
}

/// Reads a method of the main library, or of one of `others` behind its name, whatever experts they have.
fn contender(text: &str, others: &[&str]) -> Result<Contender> {
    let named = text.split_once(OF).and_then(|(name, method)| {
        let at = others.iter().position(|other| *other == name)?;
        Some((at + 1, name, method))
    });
    let (library, name, method) = named.unwrap_or((0, "", text));
    let method: Method = match (method.parse(), text.split_once(OF)) {
        (Ok(method), _) => method,
        // A name before a stroke that no router has for its own.
        (Err(_), Some((name, rest))) if library == 0 && is_plain(name) && rest.parse::<Method>().is_ok() => {
            if others.is_empty() {
                let problem =
                    format!("there is no library \"{name}\": say which it is with --library {name}=PATH");
                return Err(Error::usage(problem));
            }
            return Err(unknown("library", name, others.iter().copied(), &others.join(", ")));
        }
        (Err(error), _) => return Err(error),
    };
    let label = if library == 0 { method.to_string() } else { format!("{name}{OF}{method}") };
    Ok(Contender { label, library, method })
}

/// The names of the libraries beside the main one.
fn other_names(spec: &EvalSpec) -> Vec<&str> {
    spec.libraries.iter().map(|library| library.name.as_str()).collect()
}

/// What is wrong with the methods given the libraries by their names, before any is opened.
pub fn of_libraries_problem(spec: &EvalSpec) -> Option<String> {
    let names = other_names(spec);
    let mut names_expert = false;
    for piece in &spec.methods {
        match contender(piece, &names) {
            Ok(one) => names_expert |= one.method.expert().is_some(),
            // It may be the rest of an expert's name, which has a comma.
            Err(_) if names_expert => {}
            Err(error) => return Some(error.to_string()),
        }
    }
    None
}

/// What is wrong with the names of the libraries.
pub fn libraries_problem(spec: &EvalSpec) -> Option<String> {
    let names = other_names(spec);
    let twice = (1..names.len()).find(|&at| names[..at].contains(&names[at]))?;
    Some(format!("two libraries are called {}", names[twice]))
}

/// What is wrong with the method that others are compared with given the methods, before any library is opened: nothing
/// where the name of an expert may have a comma.
pub fn against_problem(spec: &EvalSpec) -> Option<String> {
    let names = other_names(spec);
    let all: Option<Vec<Contender>> =
        spec.methods.iter().map(|piece| contender(piece, &names).ok()).collect();
    let all = all.filter(|_| !spec.against.contains(','))?;
    against(spec, &all).err().map(|error| error.to_string())
}

/// The number of the method that others are compared with: the one that is named, else `base`, else the first of several.
///
/// # Errors
/// A usage error for one that is not asked.
pub(super) fn against(spec: &EvalSpec, contenders: &[Contender]) -> Result<Option<usize>> {
    let find = |label: &str| contenders.iter().position(|contender| contender.label == label);
    if spec.against.is_empty() {
        return Ok(find(Router::base().id).or((contenders.len() > 1).then_some(0)));
    }
    let wanted = spec.against.trim();
    let same = |contender: &Contender| {
        wanted.parse::<Method>().is_ok_and(|method| contender.library == 0 && contender.method == method)
    };
    find(wanted).or_else(|| contenders.iter().position(same)).map(Some).ok_or_else(|| {
        let names = || contenders.iter().map(|contender| contender.label.as_str());
        unknown("method to compare with", wanted, names(), &names().collect::<Vec<_>>().join(", "))
    })
}

/// What is wrong with a list of methods, as far as that can be known without their libraries.
pub fn methods_problem(names: &[String]) -> Option<String> {
    let mut names_expert = false;
    for name in names {
        let alone = name.parse::<Method>();
        let of_another = || name.split_once(OF).filter(|(library, _)| is_plain(library));
        let read = match alone {
            Ok(method) => Ok(method),
            Err(error) => of_another().map_or(Err(error), |(_, method)| method.parse()),
        };
        match read {
            Ok(method) => names_expert |= method.expert().is_some(),
            // It may be the rest of an expert's name, which has a comma.
            Err(_) if names_expert => {}
            Err(error) => return Some(error.to_string()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Expert;

    fn library(experts: &[&str]) -> Library {
        let expert = |name: &&str| Expert { name: (*name).into(), ..Expert::default() };
        Library { experts: experts.iter().map(expert).collect(), ..Library::default() }
    }

    #[test]
    fn what_does_not_go_together_is_known_before_a_library_is_opened() {
        let spec = |methods: &str, against: &str, libraries: &[&str]| EvalSpec {
            methods: methods.split(',').map(String::from).collect(),
            against: against.into(),
            libraries: libraries
                .iter()
                .map(|name| NamedLibrary { name: (*name).into(), path: "x".into() })
                .collect(),
            ..EvalSpec::default()
        };
        let wrong = against_problem(&spec("base,mbc/arrow:k=1", "lag", &["mbc"])).unwrap();
        assert!(wrong.starts_with("there is no method to compare with \"lag\""), "{wrong}");
        for against in ["", "base", "mbc/arrow:k=1", " base "] {
            assert_eq!(against_problem(&spec("base,mbc/arrow:k=1", against, &["mbc"])), None, "{against}");
        }
        assert_eq!(against_problem(&spec("oracle,base", "expert", &[])), None);
        // An expert whose name has a comma is known when its library is open.
        assert_eq!(against_problem(&spec("single:a,b,base", "single:a,b", &[])), None);
        let wrong = of_libraries_problem(&spec("base,foo/arrow", "", &[])).unwrap();
        assert!(wrong.contains("--library foo=PATH"), "{wrong}");
        assert_eq!(of_libraries_problem(&spec("single:a,b,foo/arrow", "", &["foo"])), None);
        assert_eq!(
            libraries_problem(&spec("base", "", &["a", "b", "a"])).unwrap(),
            "two libraries are called a"
        );
    }

    #[test]
    fn methods_belong_to_the_library_that_they_name() {
        let (main, mbc) = (library(&["a,b", "team/c"]), library(&["c0"]));
        let others = [("mbc".to_string(), &mbc)];
        let read = |text: &str| contenders(text, &main, &others);
        let found = read("single:a,b, arrow,mbc/arrow:k=1,mbc/single:c0,single:team/c,arrow,oracle").unwrap();
        let labels: Vec<&str> = found.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(
            labels,
            ["single:a,b", "arrow", "mbc/arrow:k=1", "mbc/single:c0", "single:team/c", "expert"]
        );
        assert_eq!(found.iter().map(|c| c.library).collect::<Vec<_>>(), [0, 0, 1, 1, 0, 0]);
        for (text, said) in [
            ("mcb/arrow", "there is no library \"mcb\"; did you mean mbc?"),
            ("mbc/single:a,b", "a"),
            ("mbc/arow", "did you mean arrow"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let error = contenders("foo/arrow", &main, &[]).unwrap_err().to_string();
        assert!(
            error.contains("there is no library \"foo\": say which it is with --library foo=PATH"),
            "{error}"
        );
        assert!(
            NamedLibrary::read("mbc=/x").is_ok()
                && NamedLibrary::read("/x").is_err()
                && NamedLibrary::read("a/b=x").is_err()
        );
    }
}
