//! What a session knows of the sequence it is at, beside what the routed pass computes.

use super::experts::ExpertSet;
use super::prompt::Prompt;
use super::resolved::{Findings, ResolvedRouter};
use super::survey::{Surveyed, survey_pass};
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
        let (before, ends) = (pieces(self.ids.len()), pieces(reach.len()));
        let kept =
            before.iter().zip(&ends).take_while(|(before, end)| before == end && **end <= same).count();
        let keep = kept.checked_sub(1).map_or(0, |last| ends[last]);
        self.cache.truncate(keep);
        self.ids.truncate(keep);
        self.kept.truncate(keep * width);
        for &end in &ends[kept..] {
            let piece = &reach[self.ids.len()..end];
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
