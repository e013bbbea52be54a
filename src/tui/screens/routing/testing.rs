//! Deterministic traces for the tests of the tab.

use std::sync::Arc;

use crate::routing::{Part, Trace, TraceToken};

/// A prompt in the default template: text and part of every token.
pub const PROMPT: [(&str, Part); 15] = [
    ("<|im_start|>", Part::Template),
    ("user", Part::Template),
    ("\n", Part::Template),
    ("Convert", Part::Prompt),
    (" ", Part::Prompt),
    ("12", Part::Prompt),
    (" kilometers", Part::Prompt),
    (" into", Part::Prompt),
    (" 日本", Part::Prompt),
    ("\x1b[2J", Part::Prompt),
    (".", Part::Prompt),
    ("<|im_end|>", Part::Template),
    ("\n", Part::Template),
    (" 12000", Part::Generated),
    (" meters", Part::Generated),
];

/// Shape of a trace; weights come from a small fixed generator.
pub struct Synthetic {
    pub experts: usize,
    pub layers: usize,
    pub width: usize,
    /// All experts get the same weight.
    pub uniform: bool,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self { experts: 12, layers: 30, width: 3, uniform: false }
    }
}

/// Names as a library of small tasks has them.
const NAMES: [&str; 12] = [
    "antonym",
    "capital",
    "celsius",
    "kilometers",
    "negate",
    "past-tense",
    "plural",
    "question",
    "sentiment",
    "spam",
    "sum",
    "uppercase",
];

impl Synthetic {
    pub fn experts(&self) -> Vec<String> {
        (0..self.experts)
            .map(|e| match e / NAMES.len() {
                0 => NAMES[e].to_string(),
                again => format!("{}-{again}", NAMES[e % NAMES.len()]),
            })
            .collect()
    }

    pub fn trace(&self, tokens: &[(&str, Part)]) -> Trace {
        let modules: Vec<String> = (0..self.layers)
            .flat_map(|l| ["q", "k", "v", "o"].map(|k| format!("model.layers.{l}.self_attn.{k}_proj")))
            .collect();
        let count = modules.len();
        let width = self.width.min(self.experts).max(1);
        let mut trace = Trace::new(Arc::new(modules), Arc::new(self.experts()), width);
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            // xorshift64*
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
        };
        for (at, &(text, part)) in tokens.iter().enumerate() {
            let mut entries = Vec::with_capacity(count * width);
            for module in 0..count {
                if self.experts == 0 {
                    entries.push((0, 0.0));
                    continue;
                }
                if self.uniform {
                    entries.extend((0..width as u32).map(|e| (e, 1.0 / width as f32)));
                    continue;
                }
                // Later layers agree on one expert, as they do in real models.
                let depth = module as f32 / count as f32;
                let favourite = 3 + at / 6;
                let scores: Vec<f32> = (0..self.experts)
                    .map(|e| random() * 2.0 + if e == favourite { 3.0 * depth } else { 0.0 })
                    .collect();
                let mut order: Vec<usize> = (0..self.experts).collect();
                order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
                let kept = &order[..width];
                let sum: f32 = kept.iter().map(|&e| scores[e].exp()).sum();
                entries.extend(kept.iter().map(|&e| (e as u32, scores[e].exp() / sum)));
            }
            trace.push(TraceToken { id: at as u32, text: text.to_string(), part }, &entries);
        }
        trace
    }
}
