//! What to do about what Slurm's commands refuse.

/// An error of Slurm's commands with what to do about it.
pub fn hint(error: &str) -> String {
    let hints = [
        ("nvalid partition", "set partition in [executor.slurm]; `sinfo` lists them"),
        (
            "nvalid account",
            "set account in [executor.slurm]; `sacctmgr show associations user=$USER` lists them",
        ),
        ("nvalid qos", "set qos in [executor.slurm]; `sacctmgr show qos` lists them"),
        (
            "submit limit",
            "hand over what is left later: start it again, or `lora-tui jobs LIBRARY resume --failed` where a part was \
             taken",
        ),
        ("nvalid generic resource", "set gres in [executor.slurm]; `sinfo -o %G` lists them"),
        ("nvalid feature", "set constraint in [executor.slurm]; `sinfo -o %f` lists them"),
        (
            "partition not available",
            "hand it over when `sinfo` says that it is up, or set another partition in [executor.slurm]",
        ),
        (
            "not permitted to use this partition",
            "set another partition in [executor.slurm]; `sinfo` lists them",
        ),
        ("entry for --cluster", "set cluster in [executor.slurm]; `sacctmgr show clusters` lists them"),
        ("configuration is not available", "ask for less in [executor.slurm]: no node has so much"),
        ("Requested time limit is invalid", "set a time in [executor.slurm] that the partition allows"),
    ];
    match hints.iter().find(|(said, _)| error.contains(said)) {
        Some((_, what)) => format!("{error}; {what}"),
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slurm_refuses_is_told_with_what_to_do() {
        // As Slurm 22.05 and 23.11 say it.
        for (said, wanted) in [
            ("Batch job submission failed: Invalid partition name specified", "set partition"),
            ("Batch job submission failed: Invalid account or account/partition combination", "set account"),
            ("Batch job submission failed: Invalid qos specification", "set qos"),
            ("Invalid generic resource (gres) specification", "set gres"),
            ("Batch job submission failed: Invalid feature specification", "set constraint"),
            ("Required partition not available (inactive or drain)", "set another partition"),
            ("User's group not permitted to use this partition", "set another partition"),
            ("'b' can't be reached now, or it is an invalid entry for --cluster.", "set cluster"),
            ("Requested node configuration is not available", "ask for less"),
            ("Requested time limit is invalid (missing or exceeds some limit)", "set a time"),
            (
                "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
                "hand over what is left later",
            ),
        ] {
            let told = hint(said);
            assert!(told.starts_with(said) && told.contains(wanted), "{told}");
        }
        assert_eq!(hint("Socket timed out"), "Socket timed out");
    }
}
