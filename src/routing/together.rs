//! Several routers over the same prompts: what they ask of these is found out for all of them in one pass without experts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::experts::ExpertSet;
use super::prompt::Prompt;
use super::routers::Rule;
use super::survey::{Asks, counts, survey_all};
use crate::model::Decoder;
use crate::{Cancel, Result};

/// Numbers that are remembered (64 MiB).
const MOST: usize = 1 << 24;

/// The tokens that are asked about, and which of them count.
type Key = Vec<(u32, bool)>;

/// What routers found of prompts.
#[derive(Debug)]
pub(super) struct Together {
    all: Vec<(Arc<ExpertSet>, Arc<dyn Rule>)>,
    /// By prompt and router.
    known: Mutex<HashMap<Key, Vec<Vec<f32>>>>,
    tokens: AtomicUsize,
}

impl Together {
    /// Knows nothing yet of what these rules, which all have a survey, ask.
    pub fn new(all: Vec<(Arc<ExpertSet>, Arc<dyn Rule>)>) -> Self {
        Self { all, known: Mutex::default(), tokens: AtomicUsize::new(0) }
    }

    /// Tokens that went through the base model.
    pub fn tokens(&self) -> usize {
        self.tokens.load(Ordering::Relaxed)
    }

    /// What the router number `own` finds of prompts. Prompts that nobody asked about are looked at for all of them.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn find(
        &self,
        own: usize,
        decoder: &Decoder,
        prompts: &[Prompt],
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f32>>> {
        let key = |p: &Prompt| -> Key {
            p.ids.iter().take(p.asked()).enumerate().map(|(t, id)| (*id, counts(&p.parts, t))).collect()
        };
        let keys: Vec<Key> = prompts.iter().map(key).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new: Vec<usize> = (0..keys.len()).filter(|&at| !known.contains_key(&keys[at])).collect();
        if !new.is_empty() {
            let asks: Vec<Asks> =
                self.all.iter().filter_map(|(experts, rule)| Some((&**experts, rule.survey()?))).collect();
            let size: usize = self.all.iter().map(|(experts, _)| experts.len()).sum();
            if (known.len() + new.len()) * size > MOST {
                // Those of these prompts, too, that were known.
                known.clear();
                new = (0..keys.len()).collect();
            }
            let these: Vec<&Prompt> = new.iter().map(|&at| &prompts[at]).collect();
            let found = survey_all(&asks, decoder, &these, cancel)?;
            self.tokens.fetch_add(these.iter().map(|p| p.asked()).sum(), Ordering::Relaxed);
            for (number, &at) in new.iter().enumerate() {
                let of_all = found.iter().filter_map(|found| found.get(number).cloned()).collect();
                known.insert(keys[at].clone(), of_all);
            }
        }
        let of = |key: &Key| known.get(key).and_then(|found| found.get(own).cloned()).unwrap_or_default();
        Ok(keys.iter().map(of).collect())
    }
}
