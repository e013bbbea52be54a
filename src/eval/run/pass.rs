//! Texts fed in after their prompts: how likely each is, and where another token would have been likelier. What
//! sequences have in common is computed once.

use rayon::prelude::*;

use super::shared::{Leaf, Node, Shared};
use crate::model::{Activations, KvCache, Model};
use crate::routing::{ExpertSet, Findings, Prompt, ResolvedRouter, RoutedHook};
use crate::{Cancel, Error, Result};

/// Rows of logits that are computed at once: a vocabulary is wide.
const ROWS: usize = 256;

/// What answers.
#[derive(Clone, Copy)]
pub(super) struct Player<'a> {
    pub model: &'a Model,
    pub experts: &'a ExpertSet,
    pub router: &'a ResolvedRouter,
    pub cancel: &'a Cancel,
}

/// A text that may follow a prompt, neither of them empty.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub prompt: Prompt,
    pub text: Vec<u32>,
}

impl Asked {
    /// The tokens that are fed: the last one foretells nothing that is asked.
    fn ids(&self) -> Vec<u32> {
        let before = self.text.split_last().map_or(&[][..], |(_, before)| before);
        [&self.prompt.ids, before].concat()
    }

    /// How many tokens are fed.
    pub fn len(&self) -> usize {
        self.prompt.ids.len() + self.text.len().saturating_sub(1)
    }
}

/// How a text fares after its prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fed {
    /// In nats.
    pub log_probability: f64,
    /// Its first token that is not the likeliest one, by its place, and the likeliest one there.
    pub differs: Option<(usize, u32)>,
}

impl Player<'_> {
    /// Whether one pass may have several prompts.
    pub fn runs_together(&self) -> bool {
        self.router.runs_together(self.experts)
    }

    /// Feeds all of `asked` in. With a router that looks at whole prompts first, what different prompts begin with is
    /// computed for each.
    ///
    /// # Errors
    /// As [`crate::model::Decoder::forward`].
    pub fn feed(&self, asked: &[Asked]) -> Result<Vec<Fed>> {
        let ids: Vec<Vec<u32>> = asked.iter().map(Asked::ids).collect();
        // Everything up to the last token of the prompt, whose row foretells the text.
        let shareable: Vec<usize> = asked.iter().map(|a| a.prompt.ids.len().saturating_sub(1)).collect();
        let (prompts, of) = distinct(asked);
        let findings = self.router.survey(self.experts, &self.model.decoder, &prompts, self.cancel)?;
        let groups = if self.router.has_survey() { of.clone() } else { vec![0; asked.len()] };
        let shared = Shared::find(&ids, &shareable, &groups);
        let caches = self.nodes(&shared, (&ids, &of), &findings)?;
        let mut fed: Vec<Option<Fed>> = vec![None; asked.len()];
        self.leaves(&shared, (&ids, &of), (asked, &findings), &caches, &mut fed)?;
        fed.into_iter().map(|fed| fed.ok_or_else(|| Error::msg("a sequence was left out"))).collect()
    }

    fn hook<'f>(&'f self, findings: &'f Findings) -> RoutedHook<'f> {
        RoutedHook::new(self.experts, self.router).informed(findings)
    }

    /// The caches of what sequences share, those of the shorter ones first.
    fn nodes(
        &self,
        shared: &Shared,
        (ids, of): (&[Vec<u32>], &[usize]),
        findings: &Findings,
    ) -> Result<Vec<KvCache>> {
        let decoder = &self.model.decoder;
        let mut caches: Vec<KvCache> = Vec::with_capacity(shared.nodes.len());
        // Nodes stand behind their parents, level by level.
        for level in shared.nodes.chunk_by(|a, b| a.level == b.level) {
            let mut own = Vec::with_capacity(level.len());
            let (mut tokens, mut lengths, mut rows) = (Vec::new(), Vec::new(), Vec::new());
            for Node { parent, start, end, sequence, .. } in level {
                let (cache, start) = self.continued(parent.map(|p| &caches[p]), *start, *end)?;
                own.push(cache);
                tokens.extend_from_slice(&ids[*sequence][start..*end]);
                lengths.push(end - start);
                rows.extend(std::iter::repeat_n(of[*sequence] as u32, end - start));
            }
            let mut hook = self.hook(findings);
            hook.set_rows(rows);
            let mut all: Vec<&mut KvCache> = own.iter_mut().collect();
            hook.forward(decoder, &tokens, &lengths, &mut all, self.cancel)?;
            caches.append(&mut own);
        }
        Ok(caches)
    }

    /// A cache for a sequence of `length` tokens that continues another's from token `start`, and where it begins: at
    /// the first token where the other one's keys have the frequencies of another length.
    fn continued(&self, parent: Option<&KvCache>, start: usize, length: usize) -> Result<(KvCache, usize)> {
        let decoder = &self.model.decoder;
        let mut cache = match parent {
            Some(parent) => parent.copy()?,
            None => decoder.cache(),
        };
        decoder.plan(&mut cache, length);
        let begins = if cache.len() == start { start } else { 0 };
        cache.truncate(begins);
        Ok((cache, begins))
    }

    /// The rest of every sequence, and what follows for its text.
    fn leaves(
        &self,
        shared: &Shared,
        (ids, of): (&[Vec<u32>], &[usize]),
        (asked, findings): (&[Asked], &Findings),
        caches: &[KvCache],
        fed: &mut [Option<Fed>],
    ) -> Result<()> {
        let decoder = &self.model.decoder;
        let mut own = Vec::with_capacity(shared.leaves.len());
        let (mut tokens, mut lengths, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        let (mut wanted, mut wanted_rows) = (Vec::new(), Vec::new());
        for Leaf { parent, start, sequence } in &shared.leaves {
            let (ids, asked) = (&ids[*sequence], &asked[*sequence]);
            let (cache, start) = self.continued(parent.map(|p| &caches[p]), *start, ids.len())?;
            own.push(cache);
            let length = ids.len() - start;
            let row = of[*sequence] as u32;
            tokens.extend_from_slice(&ids[start..]);
            rows.extend(std::iter::repeat_n(row, length));
            lengths.push(length);
            wanted.extend(tokens.len() - asked.text.len()..tokens.len());
            wanted_rows.extend(std::iter::repeat_n(row, asked.text.len()));
        }
        let mut hook = self.hook(findings);
        hook.set_rows(rows);
        // Without anything before them, they need not be kept.
        let mut all: Vec<&mut KvCache> = own.iter_mut().collect();
        if shared.nodes.is_empty() {
            all.clear();
        }
        let hidden = hook.forward(decoder, &tokens, &lengths, &mut all, self.cancel)?;
        let hidden = decoder.ops().select_rows(&hidden, &wanted)?;
        let texts: Vec<u32> =
            shared.leaves.iter().flat_map(|leaf| asked[leaf.sequence].text.clone()).collect();
        let mut seen = Vec::with_capacity(texts.len());
        for (at, text) in texts.chunks(ROWS).enumerate() {
            let part: Vec<usize> = (at * ROWS..at * ROWS + text.len()).collect();
            hook.set_rows(part.iter().map(|&row| wanted_rows[row]).collect());
            let part = decoder.ops().select_rows(&hidden, &part)?;
            seen.extend(judge(&hook.logits(decoder, &part)?, text)?);
        }
        let mut rest = seen.as_slice();
        for Leaf { sequence, .. } in &shared.leaves {
            let text = &asked[*sequence].text;
            let (own, others) = rest.split_at(text.len());
            rest = others;
            let differs = own.iter().zip(text).position(|(seen, token)| seen.likeliest != *token);
            fed[*sequence] = Some(Fed {
                log_probability: own.iter().map(|seen| seen.log_probability).sum(),
                differs: differs.map(|at| (at, own[at].likeliest)),
            });
        }
        Ok(())
    }
}

/// The different prompts, and which of them each text follows.
fn distinct(asked: &[Asked]) -> (Vec<Prompt>, Vec<usize>) {
    let mut prompts: Vec<Prompt> = Vec::new();
    let mut known = std::collections::HashMap::new();
    let mut of = Vec::with_capacity(asked.len());
    for Asked { prompt, .. } in asked {
        let parts: Vec<u8> = prompt.parts.iter().map(|part| *part as u8).collect();
        let at = *known.entry((&prompt.ids, parts)).or_insert_with(|| {
            prompts.push(prompt.clone());
            prompts.len() - 1
        });
        of.push(at);
    }
    (prompts, of)
}

/// What one row of logits says of the token that follows.
struct Seen {
    log_probability: f64,
    likeliest: u32,
}

/// From the logits [tokens, vocabulary] before each of `tokens`.
fn judge(logits: &Activations, tokens: &[u32]) -> Result<Vec<Seen>> {
    let (width, values) = (logits.width(), logits.values()?);
    let one = |(row, &token): (&[f32], &u32)| {
        let (mut likeliest, mut most) = (0, f32::NEG_INFINITY);
        for (at, &logit) in row.iter().enumerate() {
            if logit > most {
                (likeliest, most) = (at, logit);
            }
        }
        // In parts, so that small terms are not lost among large sums.
        let parts = row.chunks(64).map(|part| part.iter().map(|logit| (logit - most).exp()).sum::<f32>());
        let sum: f64 = parts.map(f64::from).sum();
        let own = row.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
        Seen { log_probability: f64::from(own - most) - sum.ln(), likeliest: likeliest as u32 }
    };
    Ok(values.par_chunks(width.max(1)).zip(tokens).map(one).collect())
}
