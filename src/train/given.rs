//! How paths were named by whoever asked: a job works with real paths, an expert's provenance names them as given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The names by which real paths were given, where they differ; that of the folder where it was asked is empty. Decides
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Given(BTreeMap<PathBuf, PathBuf>);

impl Given {
    /// Whether every path is as it was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers that `real` was given as `named`. The first name stays.
    pub fn note(&mut self, real: &Path, named: &Path) {
        if real != named {
            self.0.entry(real.into()).or_insert_with(|| named.into());
        }
    }

    /// Remembers the working directory as the one where it was asked, unless another is known.
    pub fn note_here(&mut self) {
        if self.here().is_none()
            && let Ok(here) = std::env::current_dir()
        {
            self.note(&here, Path::new(""));
        }
    }

    /// The folder where it was asked: names that are not absolute begin there.
    pub fn here(&self) -> Option<&Path> {
        self.0.iter().find(|(_, named)| named.as_os_str().is_empty()).map(|(real, _)| real.as_path())
    }

    /// `path` as it was given; what lies below a folder that was given is named below that folder's name.
    pub fn name(&self, path: &Path) -> PathBuf {
        let above = path.ancestors().find_map(|above| Some((above, self.0.get(above)?)));
        let Some((above, named)) = above else { return path.into() };
        match path.strip_prefix(above) {
            Ok(rest) if !rest.as_os_str().is_empty() => named.join(rest),
            _ if named.as_os_str().is_empty() => Path::new(".").into(),
            _ => named.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_a_folder_is_named_below_its_name() {
        let mut given = Given::default();
        for (real, named) in [
            ("/data/tasks", "../tasks/"),
            ("/data/tasks/two", "/mnt/two"),
            ("/data/tasks", "later"),
            ("/same", "/same"),
            ("/home", ""),
        ] {
            given.note(Path::new(real), Path::new(named));
        }
        assert_eq!(given.here(), Some(Path::new("/home")));
        given.note_here();
        for (path, name) in [
            ("/data/tasks", "../tasks"),
            ("/data/tasks/code/one", "../tasks/code/one"),
            ("/data/tasks/two/x.jsonl", "/mnt/two/x.jsonl"),
            ("/data/other", "/data/other"),
            ("/same", "/same"),
            ("/home/tasks/one", "tasks/one"),
            ("/home", "."),
        ] {
            assert_eq!(given.name(Path::new(path)), Path::new(name));
        }
        let text = serde_json::to_string(&given).unwrap();
        assert_eq!(serde_json::from_str::<Given>(&text).unwrap(), given);
    }
}
