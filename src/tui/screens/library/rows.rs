//! The library as table rows: what is shown and compared, made printable once per reading of the disk.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::analysis::Similarity;
use crate::library::{Expert, Library, Status};
use crate::text::printable;

/// One expert as the table shows it.
#[derive(Clone, Debug)]
pub struct Row {
    /// As people type it; not printable yet.
    pub name: String,
    pub shown: String,
    /// Bad also when it was made for another base model than most: it is of no use here.
    pub status: Status,
    /// Why it is partial or bad.
    pub reason: String,
    /// Whether its weights can be looked at.
    pub readable: bool,
    pub task: String,
    pub family: String,
    /// Smallest and largest rank; `None` without modules.
    pub rank: Option<(usize, usize)>,
    pub targets: String,
    pub dtype: String,
    pub parameters: u64,
    pub loss: Option<f64>,
    /// ‖ΔW‖, once it is known.
    pub norm: Option<f64>,
    /// Size and time of its files.
    pub file: (u64, Option<SystemTime>),
    /// When it was made: provenance, else the file's time. Seconds since the epoch.
    pub created: Option<f64>,
}

impl Row {
    fn new(expert: &Expert) -> Self {
        let provenance = expert.provenance.as_ref();
        let field = |get: fn(&crate::library::Provenance) -> &Option<String>| {
            provenance
                .and_then(|p| get(p).as_deref())
                .map_or(String::new(), |text| printable(text).into_owned())
        };
        let seconds =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64());
        let ranks = expert.modules.iter().map(|m| m.rank);
        Self {
            name: expert.name.clone(),
            shown: printable(&expert.name).into_owned(),
            status: expert.status_here(),
            reason: expert.reason_here().map_or(String::new(), |reason| printable(reason).into_owned()),
            readable: expert.is_usable(),
            task: field(|p| &p.task),
            family: field(|p| &p.family),
            rank: ranks.clone().min().zip(ranks.max()),
            targets: printable(&expert.kinds_text()).into_owned(),
            dtype: printable(&expert.dtype).into_owned(),
            parameters: expert.parameters,
            loss: expert.loss(),
            norm: None,
            file: (expert.bytes, expert.modified),
            created: expert.created().and_then(seconds),
        }
    }
}

/// What the table can be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    #[default]
    Name,
    Task,
    Family,
    Cluster,
    Rank,
    Targets,
    Dtype,
    Parameters,
    Loss,
    Norm,
    Age,
    Status,
    /// How well a row matches the filter; only while there is one.
    Match,
}

/// All rows, and which of them are shown in which order.
#[derive(Debug, Default)]
pub struct Rows {
    all: Vec<Row>,
    /// Positions in `all`.
    shown: Vec<usize>,
    pub sort: SortKey,
    pub descending: bool,
    filter: String,
    /// What a filter took the place of.
    unfiltered: (SortKey, bool),
    clusters: HashMap<String, usize>,
    /// Whether experts without a cluster may get one.
    pub comparing: bool,
    /// How many rows were looked at from outside, one by one or all at once.
    #[cfg(test)]
    pub looked_at: std::cell::Cell<usize>,
}

impl Rows {
    /// Takes another reading of the library.
    pub fn set_library(&mut self, library: &Library) {
        self.all = library.experts.iter().map(Row::new).collect();
        self.arrange();
    }

    /// Takes the cluster of each expert by name.
    pub fn set_clusters(&mut self, clusters: HashMap<String, usize>) {
        self.clusters = clusters;
        self.comparing = false;
        self.arrange();
    }

    /// Takes how strong experts are, what is to be said of those that were hardly trained, and why weights of others
    /// could not be compared: who reads them finds more than who lists them.
    pub fn set_strength(&mut self, similarity: &Similarity, doubts: &HashMap<String, String>) {
        let strength: HashMap<&str, f64> = similarity
            .experts
            .iter()
            .map(String::as_str)
            .zip(similarity.strength.iter().map(|strength| strength.norm))
            .collect();
        let skipped: HashMap<&str, &str> =
            similarity.skipped.iter().map(|one| (one.name.as_str(), one.reason.as_str())).collect();
        for row in &mut self.all {
            if let Some(reason) = skipped.get(row.name.as_str())
                && row.status != Status::Bad
            {
                row.status = Status::Bad;
                row.reason = printable(reason).into_owned();
            }
            row.norm = strength.get(row.name.as_str()).copied();
            if let Some(doubt) = doubts.get(&row.name)
                && row.status == Status::Ok
            {
                row.status = Status::Partial;
                row.reason.clone_from(doubt);
            }
        }
        self.arrange();
    }

    /// Shows only rows that match `filter` fuzzily, best first until they are sorted otherwise; all when it is empty.
    pub fn set_filter(&mut self, filter: &str) {
        let was_filtered = self.is_filtered();
        self.filter = filter.to_string();
        match (was_filtered, self.is_filtered()) {
            (false, true) => {
                self.unfiltered = (self.sort, self.descending);
                (self.sort, self.descending) = (SortKey::Match, false);
            }
            (true, false) if self.sort == SortKey::Match => (self.sort, self.descending) = self.unfiltered,
            (true, false) | (false, false) | (true, true) => {}
        }
        self.arrange();
    }

    /// Whether a filter leaves rows out.
    pub fn is_filtered(&self) -> bool {
        !self.filter.trim().is_empty()
    }

    /// Sorts by another key.
    pub fn set_sort(&mut self, sort: SortKey, descending: bool) {
        (self.sort, self.descending) = (sort, descending);
        self.arrange();
    }

    /// Rows shown.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Number of all rows, filtered out ones too.
    pub fn total(&self) -> usize {
        self.all.len()
    }

    /// All rows, filtered out ones too.
    pub fn all(&self) -> &[Row] {
        #[cfg(test)]
        self.looked_at.update(|count| count + self.all.len());
        &self.all
    }

    /// The row shown at `position`.
    pub fn get(&self, position: usize) -> Option<&Row> {
        #[cfg(test)]
        self.looked_at.update(|count| count + 1);
        self.shown.get(position).and_then(|&i| self.all.get(i))
    }

    /// Where an expert is shown.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.shown.iter().position(|&i| self.all[i].name == name)
    }

    pub fn cluster(&self, name: &str) -> Option<usize> {
        self.clusters.get(name).copied()
    }

    pub fn has_clusters(&self) -> bool {
        self.comparing || !self.clusters.is_empty()
    }

    fn arrange(&mut self) {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        let by = if self.sort == SortKey::Match { self.unfiltered } else { (self.sort, self.descending) };
        order.sort_by(|&a, &b| compare(&self.all[a], &self.all[b], by, &self.clusters).then(a.cmp(&b)));
        if self.is_filtered() {
            let pattern = Pattern::parse(&self.filter, CaseMatching::Smart, Normalization::Smart);
            let mut matcher = Matcher::new(Config::DEFAULT);
            let mut buffer = Vec::new();
            let mut scored: Vec<(u32, usize)> = order
                .into_iter()
                .filter_map(|i| {
                    let row = &self.all[i];
                    // Each by itself: marks strewn over several fields are no match.
                    let fields = [&row.shown, &row.task, &row.family];
                    let mut score =
                        |text: &str| pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher);
                    fields.iter().copied().filter_map(|text| score(text)).max().map(|score| (score, i))
                })
                .collect();
            // Stable: equals stay in table order.
            match (self.sort, self.descending) {
                (SortKey::Match, false) => scored.sort_by_key(|&(score, _)| std::cmp::Reverse(score)),
                (SortKey::Match, true) => scored.sort_by_key(|&(score, _)| score),
                _ => {}
            }
            order = scored.into_iter().map(|(_, i)| i).collect();
        }
        self.shown = order;
    }
}

/// By a key, falling where the second is true; what has no value comes last in either direction, then by name.
fn compare(
    a: &Row,
    b: &Row,
    (sort, falling): (SortKey, bool),
    clusters: &HashMap<String, usize>,
) -> Ordering {
    fn ranked<T: Ord>(x: Option<T>, y: Option<T>, falling: bool) -> Ordering {
        match (x, y) {
            (Some(x), Some(y)) if falling => y.cmp(&x),
            (Some(x), Some(y)) => x.cmp(&y),
            (x, y) => y.is_some().cmp(&x.is_some()),
        }
    }
    let text = |x: &str, y: &str| ranked((!x.is_empty()).then_some(x), (!y.is_empty()).then_some(y), falling);
    let number = |x: Option<f64>, y: Option<f64>| match (x, y) {
        (Some(x), Some(y)) if falling => y.total_cmp(&x),
        (Some(x), Some(y)) => x.total_cmp(&y),
        (x, y) => y.is_some().cmp(&x.is_some()),
    };
    let cluster = |row: &Row| clusters.get(&row.name).copied();
    match sort {
        SortKey::Name => text(&a.name, &b.name),
        SortKey::Task => text(&a.task, &b.task),
        SortKey::Family => text(&a.family, &b.family),
        SortKey::Cluster => ranked(cluster(a), cluster(b), falling),
        SortKey::Rank => ranked(a.rank, b.rank, falling),
        SortKey::Targets => text(&a.targets, &b.targets),
        SortKey::Dtype => text(&a.dtype, &b.dtype),
        SortKey::Parameters => ranked(Some(a.parameters), Some(b.parameters), falling),
        SortKey::Loss => number(a.loss, b.loss),
        SortKey::Norm => number(a.norm, b.norm),
        // The age grows as the time of making falls.
        SortKey::Age => number(a.created.map(|t| -t), b.created.map(|t| -t)),
        SortKey::Status => ranked(Some(severity(a.status)), Some(severity(b.status)), falling),
        // Rows have no such value: it comes with the filter.
        SortKey::Match => Ordering::Equal,
    }
}

fn severity(status: Status) -> u8 {
    match status {
        Status::Bad => 0,
        Status::Partial => 1,
        Status::Ok => 2,
    }
}
