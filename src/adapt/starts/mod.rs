//! What training can begin with: a file each, and a table of them.

mod nearest;
mod router;
mod scratch;
mod uniform;
mod weights;

use super::bench::Bench;
use crate::named::{split_names, unknown};
use crate::routing::{ROUTERS, RouterConfig};
use crate::train::Example;
use crate::{Error, Result};

/// Every start.
pub static STARTS: &[&Start] =
    &[&scratch::START, &nearest::START, &uniform::START, &weights::START, &router::START];

/// What training can begin with.
pub struct Start {
    /// On the command line and in `expert.toml`.
    pub id: &'static str,
    /// One line for the docs, without a full stop: Markdown, without `|`.
    pub help: &'static str,
    /// Whether it uses anything of the library.
    pub uses_experts: bool,
    /// Whether the weights of the experts are learned, and not factors.
    pub learns_weights: bool,
    /// Whether any router's text form stands for it, rather than its id.
    pub is_router: bool,
    /// How much of each expert it is made of, given the examples; `None` where it is made of none. The text is as on the
    /// command line.
    pub(super) weigh: fn(&mut Bench<'_, '_>, &str, &[Example]) -> Result<Option<Mixture>>,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl PartialEq for Start {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// A start that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Which one.
    pub start: &'static Start,
    /// As on the command line: its id, or the text form of a router.
    pub text: String,
}

/// How much of each expert goes into a merge.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// By module, in the order of [`crate::merge::Merging::modules`], and by expert.
    pub weights: Vec<Vec<f64>>,
}

impl Mixture {
    /// The same everywhere.
    pub fn everywhere(weights: &[f64], modules: usize) -> Self {
        Self { weights: vec![weights.to_vec(); modules] }
    }

    /// The mean weight of each expert over the modules.
    pub fn means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.weights.first().map_or(0, Vec::len)];
        for weights in &self.weights {
            means.iter_mut().zip(weights).for_each(|(mean, weight)| *mean += weight);
        }
        means.iter_mut().for_each(|mean| *mean /= self.weights.len().max(1) as f64);
        means
    }
}

/// Reads a start.
fn read(text: &str) -> Result<Chosen> {
    let of = |start: &'static Start| Chosen { start, text: text.into() };
    if let Some(start) = STARTS.iter().find(|start| !start.is_router && start.id == text) {
        return Ok(of(start));
    }
    match text.parse::<RouterConfig>() {
        Ok(config) if !config.is_weighted() => Err(Error::usage(format!(
            "{text} uses no expert, so there is nothing to begin with: {} is a new start",
            scratch::START.id
        ))),
        Ok(_) => Ok(of(&router::START)),
        Err(error) => {
            let head = text.split(':').next().unwrap_or(text);
            // What is wrong with a router, it says itself.
            if ROUTERS.iter().any(|router| router.id == head) {
                return Err(error);
            }
            let own = || STARTS.iter().filter(|start| !start.is_router).map(|start| start.id);
            let names = own().chain(ROUTERS.iter().map(|router| router.id));
            let choices =
                format!("{}, or a router ({})", own().collect::<Vec<_>>().join(", "), ROUTERS[0].id);
            Err(unknown("start", text, names, &choices))
        }
    }
}

/// The starts in a list with commas between, each once.
///
/// # Errors
/// A usage error for what is none.
pub(super) fn chosen(text: &str) -> Result<Vec<Chosen>> {
    let mut all: Vec<Chosen> = Vec::new();
    // The name of an expert goes on behind a comma unless another start begins there.
    let behind = |text: &str| text.match_indices(',').any(|(at, _)| read(text[at + 1..].trim()).is_ok());
    for name in split_names(text, |text| read(text).is_ok() && !behind(text)) {
        let one = read(name)?;
        if !all.contains(&one) {
            all.push(one);
        }
    }
    match all.is_empty() {
        true => Err(Error::usage("--from is empty")),
        false => Ok(all),
    }
}

/// The table of the reference page, in Markdown.
pub fn starts_table() -> String {
    let row = |start: &&Start| {
        let id = if start.is_router {
            "a router: `arrow`, `vote:calibrated`, …".into()
        } else {
            format!("`{}`", start.id)
        };
        let trained = if start.learns_weights { "one weight per expert and module" } else { "A and B" };
        format!("| {id} | {} | {trained} |\n", start.help)
    };
    let rows: String = STARTS.iter().map(row).collect();
    format!("| `--from` | what training begins with | what is trained |\n|---|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_routers_are_read_and_the_nearest_is_named() {
        let texts = |text: &str| {
            let all = chosen(text)?;
            Ok::<_, Error>(
                all.into_iter().map(|one| format!("{}={}", one.text, one.start.id)).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            texts("scratch,nearest, uniform,arrow,vote:calibrated,norm:k=3:calibrated,arrow,weights")
                .unwrap(),
            [
                "scratch=scratch",
                "nearest=nearest",
                "uniform=uniform",
                "arrow=router",
                "vote:calibrated=router",
                "norm:k=3:calibrated=router",
                "weights=weights"
            ]
        );
        assert_eq!(
            texts("single:a,arrow,single:b,c,single:d").unwrap(),
            ["single:a=router", "arrow=router", "single:b,c=router", "single:d=router"]
        );
        for (text, said) in [
            ("nearst", "there is no start \"nearst\"; did you mean nearest?"),
            ("arow", "did you mean arrow"),
            ("xxxxxxxx", "choose from scratch, nearest, uniform, weights, or a router (arrow)"),
            ("arrow:kk=3", "arrow has no setting \"kk\"; did you mean k?"),
            ("base", "base uses no expert"),
            (" , ", "--from is empty"),
        ] {
            let error = texts(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_mixture_says_how_much_of_each_expert_it_has() {
        let mixture = Mixture { weights: vec![vec![1.0, 0.0], vec![0.5, 0.5]] };
        assert_eq!(mixture.means(), [0.75, 0.25]);
        assert_eq!(Mixture::everywhere(&[0.5, 0.5], 2).weights, [[0.5, 0.5], [0.5, 0.5]]);
    }

    #[test]
    fn the_table_has_a_row_per_start_and_the_default_is_one() {
        assert!(chosen(&crate::adapt::AdaptSpec::default().from.join(",")).is_ok());
        assert_eq!(starts_table().lines().count(), 2 + STARTS.len());
    }
}
