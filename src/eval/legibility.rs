//! How legible routing is: on prompts of a task, how often its own expert wins.

use super::asked_task::AskedTask;
use super::evaluation::Evaluation;
use super::own_expert::own_expert;
use super::run::in_template;
use crate::library::Library;
use crate::module_path::ModulePath;
use crate::routing::{Session, Trace};
use crate::{Cancel, Result};

/// Who wins the (prompt token, module) pairs of one task's prompts.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TaskRouting {
    /// Its id.
    pub task: String,
    /// Its family, empty where it has none.
    pub family: String,
    /// Index of the task's own expert.
    pub own: Option<usize>,
    /// Indices of the experts of the same family, the own one included.
    pub relatives: Vec<usize>,
    /// Share of pairs that each expert wins; sums to 1.
    pub won: Vec<f64>,
    /// Share that the own expert wins, by layer (module paths' first number).
    pub own_by_layer: Vec<f64>,
    /// The same by kind of module (last component of its path).
    pub own_by_kind: Vec<(String, f64)>,
}

impl TaskRouting {
    /// Share of pairs that the own expert wins.
    pub fn own_share(&self) -> f64 {
        self.own.map_or(0.0, |e| self.won[e])
    }

    /// Share of pairs that experts of the own family win.
    pub fn family_share(&self) -> f64 {
        self.relatives.iter().map(|&e| self.won[e]).sum()
    }
}

#[derive(Default)]
struct Tally {
    own: usize,
    all: usize,
}

impl Tally {
    fn share(&self) -> f64 {
        self.own as f64 / self.all.max(1) as f64
    }
}

/// Routes the prompts of every task, once each, with the session's router, which must be one whose weights depend on the
/// token, and counts the heaviest expert of every (prompt token, module) pair. Template tokens and position 0
/// are left out. `progress` gets a line.
///
/// # Errors
/// Items that cannot be asked; a raised `cancel`.
pub fn routing_of_tasks(
    library: &Library,
    session: &mut Session,
    tasks: &[AskedTask],
    progress: &mut dyn FnMut(&str),
    cancel: &Cancel,
) -> Result<Vec<TaskRouting>> {
    let mut results = Vec::with_capacity(tasks.len());
    // With another metric, the prompts are the same.
    for task in tasks.iter().filter(|task| !task.again) {
        progress(&task.info.id);
        let index = |name: &str| session.experts().iter().position(|e| e == name);
        let own = own_expert(library, &task.info).and_then(index);
        let family = task.info.family.clone().unwrap_or_default();
        let relatives = library
            .usable()
            .filter(|e| e.provenance.as_ref().is_some_and(|p| p.family.as_ref() == task.info.family.as_ref()))
            .filter_map(|e| index(&e.name))
            .collect();
        let mut wins = vec![0usize; session.experts().len()];
        let (mut layers, mut kinds) = (Vec::<Tally>::new(), Vec::<(String, Tally)>::new());
        for question in task.questions() {
            let prompt = in_template(&Evaluation { library, session, cancel }, question)?;
            let trace = session.route_tokens(&prompt, cancel)?;
            count(&trace, own, &mut wins, &mut layers, &mut kinds);
        }
        let all: usize = wins.iter().sum();
        results.push(TaskRouting {
            task: task.info.id.clone(),
            family,
            own,
            relatives,
            won: wins.iter().map(|&n| n as f64 / all.max(1) as f64).collect(),
            own_by_layer: layers.iter().map(Tally::share).collect(),
            own_by_kind: kinds.into_iter().map(|(kind, tally)| (kind, tally.share())).collect(),
        });
    }
    Ok(results)
}

fn count(
    trace: &Trace,
    own: Option<usize>,
    wins: &mut [usize],
    layers: &mut Vec<Tally>,
    kinds: &mut Vec<(String, Tally)>,
) {
    for (m, module) in trace.modules.iter().enumerate() {
        let path = ModulePath::new(module);
        let at = path.layer().unwrap_or(0);
        if layers.len() <= at {
            layers.resize_with(at + 1, Tally::default);
        }
        let kind = path.kind();
        let slot = match kinds.iter().position(|(k, _)| k == kind) {
            Some(slot) => slot,
            None => {
                kinds.push((kind.to_string(), Tally::default()));
                kinds.len() - 1
            }
        };
        for t in (0..trace.tokens.len()).filter(|&t| trace.counts(t)) {
            let Some((winner, _)) = trace.top(t, m) else { continue };
            let hit = usize::from(own == Some(winner as usize));
            wins[winner as usize] += 1;
            for tally in [&mut layers[at], &mut kinds[slot].1] {
                tally.own += hit;
                tally.all += 1;
            }
        }
    }
}
