//! Which jobs come before a job, as `after.json` names them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layout::{AFTER, is_id};
use crate::outside::own;

/// Largest list of parents that is read.
const MAX_AFTER: u64 = 1 << 20;

/// A job that has to end before another begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct After {
    /// Its name.
    pub id: String,
    /// However it ends; else it has to be finished.
    pub any: bool,
}

/// As `after.json` has it: a name alone where the job has to be finished.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Finished(String),
    Ended { id: String, any: bool },
}

impl From<Written> for After {
    fn from(written: Written) -> Self {
        match written {
            Written::Finished(id) => Self { id, any: false },
            Written::Ended { id, any } => Self { id, any },
        }
    }
}

impl From<After> for Written {
    fn from(After { id, any }: After) -> Self {
        if any { Self::Ended { id, any } } else { Self::Finished(id) }
    }
}

impl After {
    /// A job that has to be finished.
    pub fn finished(id: impl Into<String>) -> Self {
        Self { id: id.into(), any: false }
    }
}

/// The jobs that have to end before the one in `job` begins; none where that cannot be read.
pub fn parents(job: &Path) -> Vec<After> {
    let bytes = own::read(&job.join(AFTER), MAX_AFTER).ok().flatten().unwrap_or_default();
    let all: Vec<After> = serde_json::from_slice(&bytes).unwrap_or_default();
    all.into_iter().filter(|after| is_id(&after.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_read_as_earlier_versions_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(dir.path().join(AFTER), text).unwrap();
        write(r#"["a","b"]"#);
        assert_eq!(parents(dir.path()), ["a", "b"].map(After::finished));
        let mixed = vec![After::finished("a"), After { id: "b".into(), any: true }];
        let text = serde_json::to_string(&mixed).unwrap();
        assert_eq!(text, r#"["a",{"id":"b","any":true}]"#);
        write(&text);
        assert_eq!(parents(dir.path()), mixed);
        write(r#"["../x"]"#);
        assert_eq!(parents(dir.path()), []);
    }
}
