//! What Slurm calls the states of a job and the reasons why it waits, and what they mean here.

/// What a state means for whoever waits for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// It has not started, or will start again.
    Waits,
    /// It runs, or is about to end.
    Runs,
    /// It has ended by itself: a result must be in its directory, at the latest when the file system shows it.
    Completed,
    /// It was stopped on request.
    Stopped,
    /// It has ended, and nobody is left who could write a result.
    Ended,
}

/// A state of a job.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    /// As Slurm writes it.
    pub name: &'static str,
    /// What it means here.
    pub means: Means,
    /// For people; what follows "the job" in a sentence. Empty where it goes without saying.
    pub words: &'static str,
}

const fn state(name: &'static str, means: Means, words: &'static str) -> State {
    State { name, means, words }
}

/// All states of Slurm 17 to 25, those of jobs and the flags that newer versions list beside them.
pub static STATES: &[State] = &[
    state("PENDING", Means::Waits, ""),
    state("CONFIGURING", Means::Waits, "waits for its node to start"),
    state("POWER_UP_NODE", Means::Waits, "waits for its node to start"),
    state("REQUEUED", Means::Waits, "is queued again"),
    state("REQUEUE_FED", Means::Waits, "is queued again by the federation"),
    state("REQUEUE_HOLD", Means::Waits, "is queued again and held"),
    state("SPECIAL_EXIT", Means::Waits, "is queued again and held"),
    state("RESV_DEL_HOLD", Means::Waits, "is held: its reservation was deleted"),
    state("RUNNING", Means::Runs, ""),
    state("COMPLETING", Means::Runs, "is ending"),
    state("SUSPENDED", Means::Runs, "is suspended"),
    state("STOPPED", Means::Runs, "is stopped"),
    state("SIGNALING", Means::Runs, ""),
    state("STAGE_OUT", Means::Runs, "is ending"),
    state("RESIZING", Means::Runs, ""),
    state("COMPLETED", Means::Completed, "has completed"),
    state("CANCELLED", Means::Stopped, "was cancelled"),
    state("FAILED", Means::Ended, "has failed"),
    state("TIMEOUT", Means::Ended, "reached its time limit"),
    state("NODE_FAIL", Means::Ended, "lost its node"),
    state("PREEMPTED", Means::Ended, "was preempted by another job"),
    state("BOOT_FAIL", Means::Ended, "got no node that starts"),
    state("LAUNCH_FAILED", Means::Ended, "could not be launched"),
    state("DEADLINE", Means::Ended, "reached its deadline"),
    state("OUT_OF_MEMORY", Means::Ended, "ran out of the memory that it asked for"),
    state("REVOKED", Means::Ended, "was moved to another cluster of the federation"),
];

/// The state of this name; what a later version may add counts as waiting.
pub fn named(name: &str) -> Option<&'static State> {
    STATES.iter().find(|state| state.name == name)
}

/// The state whose name begins so: columns that are too narrow cut names.
pub fn beginning_with(text: &str) -> Option<&'static State> {
    STATES.iter().find(|state| text.len() > 5 && state.name.starts_with(text))
}

/// The state that decides, of those that a job is said to have: newer versions list a base state and flags. What
/// requeues a job outweighs how it ended.
pub fn decisive<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'static State> {
    let rank = |state: &State| match state.means {
        Means::Waits if state.name != "PENDING" && state.name != "CONFIGURING" => 3,
        // `CANCELLED` beside `COMPLETING` is on its way to its end.
        Means::Runs if state.name == "COMPLETING" => 2,
        _ => 1,
    };
    let mut best: Option<&'static State> = None;
    for state in names.into_iter().filter_map(named) {
        if best.is_none_or(|best| rank(state) > rank(best)) {
            best = Some(state);
        }
    }
    best
}

/// Why a job waits, by Slurm's name of the reason.
static REASONS: &[(&str, &str)] = &[
    ("None", ""),
    ("Resources", "waits for free resources"),
    ("Priority", "waits for jobs of higher priority"),
    ("Dependency", "waits for the jobs that it depends on"),
    ("DependencyNeverSatisfied", "waits for a job that has failed"),
    ("JobArrayTaskLimit", "waits: as many of its array run as may run at once"),
    ("BeginTime", "waits for its begin time, which a job that is queued again gets"),
    ("JobHeldUser", "is held"),
    ("JobHeldAdmin", "is held by the administrator"),
    ("JobLaunchFailure", "waits: it could not be launched"),
    ("ReqNodeNotAvail", "waits for a node that is not available"),
    ("NodeDown", "waits for a node that is down"),
    (
        "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions",
        "waits: the nodes that it needs are down, drained or reserved",
    ),
    ("PartitionDown", "waits: its partition is down"),
    ("PartitionInactive", "waits: its partition is inactive"),
    ("PartitionNodeLimit", "asks for more nodes than its partition has"),
    ("PartitionTimeLimit", "asks for more time than its partition allows"),
    ("PartitionConfig", "asks for what its partition does not have"),
    ("BadConstraints", "asks for what no node has"),
    ("Licenses", "waits for a licence"),
    ("Reservation", "waits for its reservation"),
    ("Cleaning", "waits for its previous run to be cleaned up"),
    ("Prolog", "waits for its node to be prepared"),
    ("InvalidAccount", "has an account that is not valid"),
    ("InvalidQOS", "has a QOS that is not valid"),
    ("AssociationJobLimit", "waits: its account has as many jobs as it may have"),
    ("FrontEndDown", "waits: the front end is down"),
    ("SystemFailure", "waits after a failure of Slurm"),
    ("launch_failed_requeued_held", "is held: it could not be launched"),
    ("job_requeued_in_held_state", "is queued again and held"),
];

/// A reason in words; empty where there is none. Limits have dozens of names (`QOSMaxJobsPerUserLimit`,
/// `AssocGrpCpuLimit`), which are shown after what they have in common.
pub fn reason(name: &str) -> String {
    let name = name.trim_matches(['(', ')']);
    if let Some((_, words)) = REASONS.iter().find(|(known, _)| *known == name) {
        return (*words).into();
    }
    let limit =
        [("QOS", "its QOS"), ("Assoc", "its account"), ("MaxJobs", "its user"), ("MaxCpu", "its user")];
    match limit.into_iter().find(|(begin, _)| name.starts_with(begin) && !name.ends_with("NotAllowed")) {
        Some((_, whose)) => format!("waits: {whose} is at a limit ({name})"),
        None if name.is_empty() => String::new(),
        None => format!("waits ({name})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_that_decides_is_found_among_flags() {
        let found = |names: &[&str]| decisive(names.iter().copied()).map(|state| state.name);
        assert_eq!(found(&["RUNNING"]), Some("RUNNING"));
        assert_eq!(found(&["CANCELLED", "COMPLETING"]), Some("COMPLETING"));
        assert_eq!(found(&["PENDING", "REQUEUE_HOLD"]), Some("REQUEUE_HOLD"));
        assert_eq!(found(&["PREEMPTED", "REQUEUED"]), Some("REQUEUED"));
        assert_eq!(found(&["NODE_FAIL"]), Some("NODE_FAIL"));
        assert_eq!(found(&["DANCING"]), None);
        let mut names: Vec<&str> = STATES.iter().map(|state| state.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STATES.len());
    }

    #[test]
    fn reasons_are_words_and_unknown_ones_are_shown() {
        for (name, words) in [
            ("(Resources)", "waits for free resources"),
            ("None", ""),
            ("", ""),
            ("QOSMaxJobsPerUserLimit", "waits: its QOS is at a limit (QOSMaxJobsPerUserLimit)"),
            ("AssocGrpCpuLimit", "waits: its account is at a limit (AssocGrpCpuLimit)"),
            ("MoonPhase", "waits (MoonPhase)"),
        ] {
            assert_eq!(reason(name), words);
        }
    }
}
