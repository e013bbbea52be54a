//! What a session knows of the sequence it is at, beside what the routed pass computes.

use std::sync::Arc;

use super::experts::ExpertSet;
use super::prompt::Prompt;
use super::resolved::{Findings, ResolvedRouter};
use super::survey::{Asks, Inputs, Reasons, Surveyed, survey_again, survey_pass};
use crate::model::{Decoder, KvCache};
use crate::{Cancel, Result};

/// Tokens that run together, at most. The pass of a sequence always has the same pieces, however the sequence came to
/// be, so that what is found follows from the sequence alone, to the last bit: what is kept when it changes are whole
/// pieces.
const PIECE: usize = 32;
/// Pieces of what is left are halves down to this many tokens, so that a token that is added costs a short pass, whose
/// time is about that of one token.
const SHORT: usize = 8;

/// Where the pieces of a sequence of so many tokens end.
fn pieces(tokens: usize) -> Vec<usize> {
    let (mut ends, mut at, mut size) = (Vec::new(), 0, PIECE);
    while at < tokens {
        while size > SHORT && tokens - at < size {
            size /= 2;
        }
        at = (at + size).min(tokens);
        ends.push(at);
    }
    ends
}

/// What layers read is kept of sequences with at most so many numbers (64 MiB): of longer ones, another router has to
/// ask for a pass of its own.
const KEPT: usize = 1 << 24;

/// Some tokens that went through the base model together.
#[derive(Debug)]
struct Piece {
    /// Where it ends in the sequence.
    end: usize,
    /// What layers read.
    inputs: Option<Inputs>,
}

/// Keys, values and what layers read in a pass without experts, which is the same for every router; the numbers that the
/// present one keeps of it, and what follows from them.
#[derive(Debug)]
pub(super) struct Surveyor {
    cache: KvCache,
    ids: Vec<u32>,
    pieces: Vec<Piece>,
    /// Of whose modules the inputs are.
    modules: Arc<Vec<String>>,
    /// [tokens, the survey's width] of the first `done` pieces.
    kept: Vec<f32>,
    done: usize,
    findings: Findings,
    /// By expert: its share of the votes, where there was a vote.
    votes: Vec<f64>,
    /// Tokens that went through the base model.
    tokens: usize,
}

impl Surveyor {
    /// Knows nothing yet.
    pub fn new(decoder: &Decoder) -> Self {
        Self {
            cache: decoder.cache(),
            ids: Vec::new(),
            pieces: Vec::new(),
            modules: Arc::default(),
            kept: Vec::new(),
            done: 0,
            findings: Findings::default(),
            votes: Vec::new(),
            tokens: 0,
        }
    }

    /// Forgets what follows from the router, which is another one. The pass is the same.
    pub fn forget(&mut self) {
        self.kept.clear();
        self.done = 0;
        self.findings = Findings::default();
        self.votes.clear();
    }

    /// What a layer read in a pass of a sequence that begins with `ids`, in whole pieces, where it is kept.
    pub fn read_at(&self, linear: usize, ids: &[u32]) -> Option<Vec<f32>> {
        if ids.is_empty() || !self.ids.starts_with(ids) {
            return None;
        }
        let of_piece = |piece: &Piece| Some(piece.inputs.as_ref()?.at(linear)?.into_owned());
        Some(self.pieces.iter().map(of_piece).collect::<Option<Vec<_>>>()?.concat())
    }

    /// Tokens that went through the base model for any router so far.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Keeps the first pieces.
    fn truncate(&mut self, pieces: usize, width: usize) {
        self.pieces.truncate(pieces);
        let tokens = self.pieces.last().map_or(0, |last| last.end);
        self.cache.truncate(tokens);
        self.ids.truncate(tokens);
        self.kept.truncate(tokens * width);
        self.done = self.done.min(pieces);
    }

    /// By expert: its share of the votes of the sequence, where there was a vote.
    pub fn votes(&self) -> &[f64] {
        &self.votes
    }

    /// What was concluded from what, of the sequence that was looked at last.
    ///
    /// # Errors
    /// As [`Survey::reasons`].
    ///
    /// [`Survey::reasons`]: super::survey::Survey::reasons
    pub fn reasons(&self, router: &ResolvedRouter, prompt: &Prompt) -> Result<Option<Reasons>> {
        let asked = prompt.asked();
        let surveyed =
            Surveyed { ids: &prompt.ids[..asked], parts: &prompt.parts[..asked], kept: &self.kept };
        router.own_survey().map(|survey| survey.reasons(&surveyed)).transpose()
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
        let ends = pieces(reach.len());
        let alike =
            self.pieces.iter().zip(&ends).take_while(|(piece, end)| piece.end == **end && **end <= same);
        let keep = if self.modules == experts.modules { alike.count() } else { 0 };
        // Who asks for nothing leaves what others know.
        if !reach.is_empty() {
            self.truncate(keep, width);
            self.modules = Arc::clone(&experts.modules);
        }
        let asks: Asks = (experts, survey);
        for (at, &end) in ends.iter().enumerate().skip(self.done) {
            let start = at.checked_sub(1).map_or(0, |before| ends[before]);
            let piece = &reach[start..end];
            let known = self.pieces.get(at).and_then(|piece| piece.inputs.as_ref());
            let kept = match known {
                Some(inputs) => survey_again(asks, decoder, piece, inputs)?,
                None => {
                    self.truncate(at, width);
                    progress();
                    let size: usize =
                        self.pieces.iter().flat_map(|piece| &piece.inputs).map(|i| i.size).sum();
                    let mut inputs = (size < KEPT).then(Inputs::default);
                    let place = (Some(&mut self.cache), inputs.as_mut());
                    let found = survey_pass(&[asks], decoder, (piece, &[piece.len()]), place, cancel)?;
                    // What is on a device is not kept.
                    let inputs = inputs.filter(|inputs| inputs.size > 0);
                    self.ids.extend_from_slice(piece);
                    self.pieces.push(Piece { end, inputs });
                    self.tokens += piece.len();
                    found.concat()
                }
            };
            self.kept.extend(kept);
            self.done = at + 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_halved_towards_the_end() {
        assert!(pieces(0).is_empty());
        assert_eq!(pieces(7), [7]);
        assert_eq!(pieces(8), [8]);
        assert_eq!(pieces(63), [32, 48, 56, 63]);
        assert_eq!(pieces(64), [32, 64]);
        assert_eq!(pieces(65), [32, 64, 65]);
        for tokens in 1..200 {
            let ends = pieces(tokens);
            assert!(ends.windows(2).all(|two| two[0] < two[1]) && ends.last() == Some(&tokens));
            // A token more changes what comes after the last multiple of its piece alone.
            let same = ends.iter().zip(pieces(tokens + 1)).take_while(|(a, b)| **a == *b).count();
            let kept = same.checked_sub(1).map_or(0, |last| ends[last]);
            assert!(tokens + 1 - kept <= PIECE);
        }
    }
}
