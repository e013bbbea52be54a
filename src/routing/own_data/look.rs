//! What the base model makes of the own prompts of one expert.

use crate::routing::experts::ExpertSet;
use crate::routing::tensor_cache::{Found, Kept, Wanted};

/// What the base model makes of the own prompts of one expert: it follows from these and from the modules that the expert
/// has, not from other experts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::routing) struct OwnLook {
    /// By module that the expert has, in the order of the network: the direction of the mean input [in], of unit length or
    /// zeros.
    pub centroids: Vec<Vec<f32>>,
    /// The mean state in the middle of the network of each prompt [prompts, hidden].
    pub states: Vec<f64>,
}

impl OwnLook {
    /// What is kept on disk of an expert, by its number, with so many prompts and states of so many numbers.
    pub fn wanted((experts, expert): (&ExpertSet, usize), (prompts, hidden): (usize, usize)) -> Vec<Wanted> {
        let modules = experts.modules_of(expert);
        let centroid = modules
            .map(|module| Wanted::f32(experts.modules[module.position].clone(), (1, module.in_features)));
        centroid.chain([Wanted::f64(STATES.into(), (1, prompts * hidden))]).collect()
    }

    /// As it is kept on disk.
    pub fn tensors(&self, (experts, expert): (&ExpertSet, usize)) -> Vec<(Kept, usize)> {
        let modules = experts.modules_of(expert).zip(&self.centroids);
        let centroid = modules
            .map(|(module, centroid)| (Kept::f32(experts.modules[module.position].clone(), centroid), 1));
        centroid.chain([(Kept::f64(STATES.into(), self.states.iter().copied()), 1)]).collect()
    }

    /// From what was found of an expert, by its number.
    pub fn read(found: &Found, (experts, expert): (&ExpertSet, usize)) -> Option<Self> {
        let modules = experts.modules_of(expert).count();
        let centroids = (0..modules).map(|at| found.f32(at)).collect::<Option<_>>()?;
        Some(Self { centroids, states: found.f64(modules)? })
    }
}

/// Their name on disk, which no module has.
const STATES: &str = " states";
