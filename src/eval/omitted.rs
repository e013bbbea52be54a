//! Which experts of a library a result leaves out, and which it applies in part only.

use std::collections::HashSet;

use crate::catalog::Catalog;
use crate::library::{Expert, Skipped};
use crate::routing::Session;

/// The experts that a result leaves out: bad ones and those that do not fit the base.
pub fn left_out(library: &Catalog, session: &Session) -> Vec<Skipped> {
    let mut all = library.bad();
    all.extend_from_slice(session.skipped());
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The experts that the session's router applies in part only, with what is missing.
pub fn partial(library: &Catalog, session: &Session) -> Vec<Skipped> {
    let names: HashSet<&String> = session.experts().iter().collect();
    let routed = session.router().is_routed();
    let known = library.experts.iter().filter(|expert| names.contains(&expert.name));
    let row = |expert: &Expert| Some(Skipped::new(&expert.name, expert.not_applied(routed)?));
    known.filter_map(row).chain(session.not_applied()).collect()
}
