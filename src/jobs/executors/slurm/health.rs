//! What `doctor` says of Slurm: whether it answers, and what of the settings it does not know.

use super::command::{Call, Failure};
use super::hints::hint;
use super::poll::on;
use super::settings::{SlurmSettings, TABLE};
use super::submit::{Limits, trial};
use super::{MAX_TEXT, config, on_path};
use crate::Result;
use crate::text::counted;

/// Whether it works here with these settings; `None` where none of it is here and it is not the default.
pub fn health(settings: Result<SlurmSettings>, is_default: bool) -> Option<Result<String, String>> {
    let found = ["sbatch", "squeue", "scancel", "scontrol"].map(|program| (program, on_path(program)));
    if found.iter().all(|(_, found)| !found) {
        let names = found.map(|(program, _)| format!("`{program}`")).join(", ");
        return is_default.then(|| {
            Err(format!(
                "jobs go to Slurm by default, but none of its commands ({names}) is on the PATH: load its module, or set \
                 another default in [executor]"
            ))
        });
    }
    if let Some((missing, _)) = found.iter().find(|(_, found)| !found) {
        return Some(Err(format!("`{missing}` is not on the PATH, though other commands of Slurm are")));
    }
    Some(match settings {
        Err(error) => Err(format!("no job can be handed over: {error}")),
        Ok(settings) => with(&settings),
    })
}

fn with(settings: &SlurmSettings) -> Result<String, String> {
    let text = config(&settings.cluster).map_err(|failure| hint(failure.text()))?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split('=').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once('=')).map_or("?", |(_, value)| value.trim())
    };
    no_partition(settings).map_or(Ok(()), Err)?;
    let accounts = match value("AccountingStorageType") {
        "accounting_storage/none" | "(null)" => {
            let names: Vec<String> = NAMES.iter().filter_map(|name| name.shown(settings)).collect();
            let unknown = match names.as_slice() {
                [] => String::new(),
                names => format!(", and whether there is {} cannot be known", names.join(" and ")),
            };
            format!("no accounts: ended jobs are known for MinJobAge only{unknown}")
        }
        _ => {
            let named = if settings.cluster.is_empty() { value("ClusterName") } else { &settings.cluster };
            let notes: Vec<String> =
                NAMES.iter().map(|name| name.look_up(settings, named)).collect::<Result<_, _>>()?;
            format!("with accounts{}", notes.concat())
        }
    };
    // What else is asked for, the scheduler judges as it would a job.
    trial(settings).run(MAX_TEXT).map_err(|failure| {
        format!("a job with what [executor.slurm] asks for is refused: {}", hint(failure.text()))
    })?;
    let asks = TABLE.iter().filter(|setting| !setting.is_same(settings, &SlurmSettings::default()));
    let asks: Vec<String> =
        asks.map(|setting| format!("{} {}", setting.id, setting.text(settings))).collect();
    let asks = if asks.is_empty() { String::new() } else { format!("; {}", asks.join(", ")) };
    Ok(format!(
        "cluster {}, Slurm {}, arrays of up to {}, {accounts}{asks}",
        value("ClusterName"),
        value("SLURM_VERSION"),
        counted(Limits::read(&text).array, "task")
    ))
}

/// A partition in the settings that Slurm does not know, in words.
fn no_partition(settings: &SlurmSettings) -> Option<String> {
    settings.partition.split(',').filter(|name| !name.is_empty()).find_map(|name| {
        let words = on(&settings.cluster).into_iter().chain(["show", "partition", name].map(String::from));
        match Call::new("scontrol", words).run(MAX_TEXT) {
            Err(Failure::Refused(_)) => Some(format!(
                "partition {name} in [executor.slurm]: Slurm knows none of this name; `sinfo` lists those that there are"
            )),
            _ => None,
        }
    })
}

/// A setting whose value is a name in Slurm's accounts. A cluster that enforces nothing takes any name, and charges nobody.
struct Name {
    id: &'static str,
    get: fn(&SlurmSettings) -> &str,
    /// What `sacctmgr` shows of it, by the name and the cluster.
    query: fn(&str, &str) -> Vec<String>,
    /// What lists those that there are.
    lists: &'static str,
}

static NAMES: &[Name] = &[
    Name {
        id: "account",
        get: |settings| &settings.account,
        query: |name, cluster| {
            vec![
                "associations".into(),
                format!("account={name}"),
                format!("cluster={cluster}"),
                "format=Account".into(),
            ]
        },
        lists: "sacctmgr show associations user=$USER",
    },
    Name {
        id: "qos",
        get: |settings| &settings.qos,
        query: |name, _| vec!["qos".into(), format!("name={name}"), "format=Name".into()],
        lists: "sacctmgr show qos",
    },
];

impl Name {
    /// `account x`, where it is set.
    fn shown(&self, settings: &SlurmSettings) -> Option<String> {
        let name = (self.get)(settings);
        (!name.is_empty()).then(|| format!("{} {name}", self.id))
    }

    /// Looks it up in the accounts of a cluster: nothing where it is there or not set, a word where it cannot be known.
    ///
    /// # Errors
    /// A name that there is not, in words.
    fn look_up(&self, settings: &SlurmSettings, cluster: &str) -> Result<String, String> {
        let Some(shown) = self.shown(settings) else { return Ok(String::new()) };
        let words = ["--noheader", "--parsable2", "show"].map(String::from);
        let call =
            Call::new("sacctmgr", words.into_iter().chain((self.query)((self.get)(settings), cluster)));
        match call.run(MAX_TEXT) {
            Ok(answer) if answer.iter().all(u8::is_ascii_whitespace) => Err(format!(
                "{shown} in [executor.slurm]: the accounts of cluster {cluster} have none of this name, or show none to \
                 you; `{}` lists those that they do",
                self.lists
            )),
            Ok(_) => Ok(String::new()),
            Err(failure) => {
                Ok(format!(", but whether there is {shown} cannot be known ({})", failure.text()))
            }
        }
    }
}
