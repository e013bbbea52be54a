//! What of a base model its experts have to fit: names and sizes of layers and parameters, without their values.

use std::collections::{BTreeSet, HashMap};

use super::{Expert, ModuleShape};
use crate::text::{counted, short};

/// (in, out) features of a base model's linear layers, by module path.
pub type LayerSizes = HashMap<String, (usize, usize)>;

/// The names and sizes of a base model, as far as experts depend on them.
#[derive(Clone, Debug, Default)]
pub struct BaseShape {
    /// (in, out) features of what can carry LoRA, by path: the linear layers, the head, and the embedding
    /// (vocabulary → hidden).
    pub layers: LayerSizes,
    /// Shapes of the parameters that an expert can replace, by name. A bias may be replaced where there is none.
    pub parameters: HashMap<String, Vec<usize>>,
    /// The biases that there are, by name.
    pub biases: BTreeSet<String>,
    /// Path of the embedding.
    pub embedding: &'static str,
    /// Path of the head.
    pub head: &'static str,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Number of tokens.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// What llama.cpp calls its architecture, where that is known.
    pub architecture: Option<&'static str>,
}

/// What to do where an expert has another number of tokens than its base model.
fn of_more_tokens(expert: usize, base: usize) -> &'static str {
    match expert > base {
        true => "; tokens were added when it was trained: give the base model that was enlarged for it",
        false => "",
    }
}

impl BaseShape {
    /// Compares an expert with the base model. The answer says what of the expert it has no place for.
    ///
    /// # Errors
    /// Why the expert does not fit, for people: an architecture, a layer or a size that it does not have.
    pub(super) fn fit(&self, expert: &Expert) -> Result<Option<String>, String> {
        if let (Some(made), Some(here)) = (expert.architecture, self.architecture)
            && made != here
        {
            return Err(format!(
                "it was converted for the architecture {made}, and the base model's is {here}: llama.cpp refuses that, \
                 too; convert it for this base model"
            ));
        }
        expert.modules.iter().try_for_each(|shape| self.fits_layer(shape))?;
        let mut missing = Vec::new();
        for replaced in &expert.replaced {
            let Some(shape) = self.parameters.get(&replaced.name) else {
                missing.push(short(&replaced.name));
                continue;
            };
            if *shape != replaced.shape {
                let first = |shape: &[usize]| shape.first().copied().unwrap_or_default();
                // The same but for the number of rows.
                let rows = shape.get(1..) == replaced.shape.get(1..);
                let tokens = match rows && first(shape) == self.vocab {
                    true => of_more_tokens(first(&replaced.shape), self.vocab),
                    false => "",
                };
                let (name, own) = (short(&replaced.name), &replaced.shape);
                return Err(format!("{name} is {own:?} in the expert, {shape:?} in the base model{tokens}"));
            }
        }
        for rows in &expert.tokens {
            if rows.module != self.embedding && rows.module != self.head {
                missing.push(format!("trained tokens of {}", short(&rows.module)));
                continue;
            }
            if rows.width != self.hidden {
                return Err(format!(
                    "trained tokens of {} have {} numbers, the base model's {}",
                    rows.module, rows.width, self.hidden
                ));
            }
            if let Some(id) = rows.ids.iter().find(|id| **id as usize >= self.vocab) {
                return Err(format!("trains token {id}, but the base model has {} tokens", self.vocab));
            }
        }
        Ok(match missing.as_slice() {
            [] => None,
            [one] => Some(format!("not applied: {one}, which the base model does not have")),
            [first, ..] => Some(format!(
                "not applied: {} that the base model does not have (such as {first})",
                counted(missing.len(), "parameter")
            )),
        })
    }

    fn fits_layer(&self, shape: &ModuleShape) -> Result<(), String> {
        let ModuleShape { module, embedding, in_features, out_features, .. } = shape;
        let size = self.layers.get(module).filter(|_| (module == self.embedding) == *embedding);
        let Some(size) = size else {
            if module == self.embedding {
                return Err(format!(
                    "{} is the base model's embedding, and the expert has LoRA of a linear layer there \
                     (target_parameters): train it with target_modules",
                    short(module)
                ));
            }
            return Err(format!("the base model has no module {}{}", short(module), self.nearby(module)));
        };
        if *size == (*in_features, *out_features) {
            return Ok(());
        }
        let tokens = match (*embedding, module == self.head) {
            (true, _) if size.1 == *out_features => of_more_tokens(*in_features, self.vocab),
            (false, true) if size.0 == *in_features => of_more_tokens(*out_features, self.vocab),
            _ => "",
        };
        Err(format!(
            "{} is {in_features} → {out_features} in the expert, {} → {} in the base model{tokens}",
            short(module),
            size.0,
            size.1
        ))
    }

    /// What a module that is not there seems to be, and what to do; empty where that is not known.
    fn nearby(&self, module: &str) -> String {
        let body = self.embedding.split('.').next().unwrap_or_default();
        match self.layers.contains_key(&format!("{body}.{module}")) {
            true => format!(
                "; it has {body}.{module}: the expert was made for the model without its head (AutoModel); save it from \
                 AutoModelForCausalLM, or put {body}. before its names"
            ),
            false => String::new(),
        }
    }
}
