//! Who takes part in an evaluation: a method over one of the libraries.

use super::methods::Method;
use super::spec::NamedLibrary;
use crate::library::Library;
use crate::named::{find_name, split_names, unknown};
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
    let read = |text: &str| -> Result<Contender> {
        let named = text.split_once(OF).and_then(|(name, method)| {
            let at = others.iter().position(|(other, _)| other == name)?;
            Some((at + 1, name, method))
        });
        let (library, name, method) = named.unwrap_or((0, "", text));
        let method: Method = match (method.parse(), text.split_once(OF)) {
            (Ok(method), _) => method,
            // A name before a stroke that no router has for its own.
            (Err(_), Some((name, rest)))
                if library == 0 && is_plain(name) && rest.parse::<Method>().is_ok() =>
            {
                if others.is_empty() {
                    let problem =
                        format!("there is no library \"{name}\": say which it is with --library {name}=PATH");
                    return Err(Error::usage(problem));
                }
                let names = || others.iter().map(|(name, _)| name.as_str());
                return Err(unknown("library", name, names(), &names().collect::<Vec<_>>().join(", ")));
            }
            (Err(error), _) => return Err(error),
        };
        let of = others.get(library.wrapping_sub(1)).map_or(main, |(_, library)| library);
        if let Some(expert) = method.expert() {
            let is_there = find_name(of.experts.iter().map(|e| e.name.as_str()), expert).is_some();
            if !is_there {
                of.expert(expert).map_err(|unknown| Error::usage(unknown.to_string()))?;
            }
        }
        let label = if library == 0 { method.to_string() } else { format!("{name}{OF}{method}") };
        Ok(Contender { label, library, method })
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
