//! What of an expert is not applied, or was declared and is not there.

/// What of an expert is not applied, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// All of it, under the router that applies least.
    pub reason: String,
    /// Of `reason`, what holds under every router. The rest are parts that apply where an expert has the
    /// same weight everywhere, alone or in a mean, and not where every token and module has its own.
    pub unapplied: Option<String>,
}

/// The parts of a shortfall, by what they follow from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// What holds under every router, whatever the base model is.
    pub always: Vec<String>,
    /// What seems to hold as long as the base model is not known. Where it is, that is looked at anew.
    pub supposed: Vec<String>,
    /// What has no prototype, so that Arrow has no weight for it.
    pub unrouted: Option<String>,
}

impl Lacks {
    /// Put together, with what only the base model shows, where that is known.
    pub(super) fn shortfall(&self, shown: Option<Vec<String>>) -> Option<Shortfall> {
        let lines: Vec<String> =
            self.always.iter().cloned().chain(shown.unwrap_or_else(|| self.supposed.clone())).collect();
        let unapplied = (!lines.is_empty()).then(|| lines.join("; "));
        let all: Vec<&str> = unapplied.iter().chain(&self.unrouted).map(String::as_str).collect();
        (!all.is_empty()).then(|| Shortfall { reason: all.join("; "), unapplied: unapplied.clone() })
    }
}
