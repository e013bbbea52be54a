//! What a session knows of the sequence it is at, beside what the routed pass computes.

use super::experts::ExpertSet;
use super::prompt::Prompt;
use super::resolved::{Findings, ResolvedRouter};
use super::survey::{Surveyed, survey_pass};
use crate::model::{Decoder, KvCache};
use crate::{Cancel, Result};

/// Tokens that run together. The pass of a sequence always has the same pieces, however the sequence came to be, so
/// that what is found follows from the sequence alone, to the last bit: what is kept when it changes are whole
/// pieces. A token that is added costs a pass of the last piece, whose time is about that of one token.
const PIECE: usize = 32;

/// Keys, values and kept numbers of a pass without experts, and what follows from them.
#[derive(Debug)]
pub(super) struct Surveyor {
    cache: KvCache,
    ids: Vec<u32>,
    /// [tokens, the survey's width].
    kept: Vec<f32>,
    findings: Findings,
    /// By expert: its share of the votes, where there was a vote.
    votes: Vec<f64>,
}

impl Surveyor {
    /// Knows nothing yet.
    pub fn new(decoder: &Decoder) -> Self {
        Self {
            cache: decoder.cache(),
            ids: Vec::new(),
            kept: Vec::new(),
            findings: Findings::default(),
            votes: Vec::new(),
        }
    }

    /// Forgets everything: the router is another one.
    pub fn forget(&mut self) {
        self.cache.truncate(0);
        self.ids.clear();
        self.kept.clear();
        self.findings = Findings::default();
        self.votes.clear();
    }

    /// By expert: its share of the votes of the sequence, where there was a vote.
    pub fn votes(&self) -> &[f64] {
        &self.votes
    }

    /// What the router has to know of the sequence.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Looks at a sequence for a router: whether its findings are others now. `progress` is called before each
    /// piece.
    ///
    /// # Errors
    /// As [`Decoder::forward`]; the findings then are those of the sequence before.
    pub fn look_at(
        &mut self,
        router: &ResolvedRouter,
        (experts, decoder): (&ExpertSet, &Decoder),
        prompt: &Prompt,
        progress: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<bool> {
        let Some(survey) = router.own_survey() else { return Ok(false) };
        let width = survey.width();
        // An answer changes nothing: its tokens are routed as the prompt's were.
        let (ids, parts) = (&prompt.ids[..prompt.asked()], &prompt.parts[..prompt.asked()]);
        let reach = &ids[..survey.reach().tokens(parts)];
        let same = self.ids.iter().zip(reach).take_while(|(a, b)| a == b).count();
        let keep = if same == reach.len() && same == self.ids.len() { same } else { same / PIECE * PIECE };
        self.cache.truncate(keep);
        self.ids.truncate(keep);
        self.kept.truncate(keep * width);
        for piece in reach[keep..].chunks(PIECE) {
            progress();
            let kept = survey_pass(
                survey,
                (experts, decoder),
                piece,
                &[piece.len()],
                Some(&mut self.cache),
                cancel,
            )?;
            self.kept.extend(kept);
            self.ids.extend_from_slice(piece);
        }
        let surveyed = Surveyed { ids, parts, kept: &self.kept };
        let found = survey.conclude(&surveyed)?;
        self.votes = survey.votes(&surveyed);
        if self.findings.found.first() == Some(&found) {
            return Ok(false);
        }
        self.findings = router.findings(found, experts, decoder)?;
        Ok(true)
    }
}
