//! The experts' factors as aligned vectors: which module stands where, what each expert lacks, and
//! blocks of weights read on demand.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use crate::library::{Adapter, Expert, ModuleShape};
use crate::{Cancel, Error, Result};

/// How a pair of experts is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    /// ⟨x₁, x₂⟩ of the flattened A and B.
    Flat,
    /// Σ over modules of s₁ s₂ ⟨B₁A₁, B₂A₂⟩.
    Delta,
}

/// What one expert has at a module.
#[derive(Clone, Copy, Debug)]
pub(super) struct ModuleFactor {
    pub rank: usize,
    pub scale: f64,
}

/// One module that at least one expert has.
pub(super) struct Slot {
    pub module: String,
    pub inputs: usize,
    pub outputs: usize,
    /// Largest rank of the experts here.
    pub rank: usize,
    /// Per expert; `None` where it lacks the module, which counts as zeros.
    pub factor: Vec<Option<ModuleFactor>>,
}

impl Slot {
    /// Entries of A and B together, at the largest rank.
    pub fn values(&self) -> usize {
        self.rank * (self.inputs + self.outputs)
    }
}

/// Facts about an expert's weights that one look at all of them gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scan {
    /// Power of two near the largest |entry| of A and of B: dividing by it is exact, and keeps
    /// f32 products from overflowing or vanishing whatever the weights' size.
    pub exponent_a: i32,
    pub exponent_b: i32,
    /// Entries with |x| ≤ this count as zero; `None` keeps all.
    pub threshold: Option<f32>,
}

/// All modules of all experts, aligned.
pub(super) struct Alignment<'a> {
    pub experts: Vec<&'a Expert>,
    pub scans: Vec<Scan>,
    pub slots: Vec<Slot>,
}

/// Weights of a range of experts at a range of slots, one segment after the other: per slot, the rows of
/// A, then B row by row (`Flat`) or column by column (`Delta`).
pub(super) struct WeightBlock {
    pub experts: Range<usize>,
    pub data: Vec<f32>,
    starts: Vec<usize>,
}

impl WeightBlock {
    /// Where the segment of an expert begins.
    pub fn start(&self, expert: usize) -> usize {
        self.starts[expert - self.experts.start]
    }

    /// One expert's weights.
    pub fn segment(&self, expert: usize) -> &[f32] {
        self.span(&(expert..expert + 1))
    }

    /// The weights of neighbouring experts.
    pub fn span(&self, experts: &Range<usize>) -> &[f32] {
        &self.data[self.start(experts.start)..self.starts[experts.end - self.experts.start]]
    }
}

/// Entries of the flattened A and B over all modules that any of the experts has.
pub(super) fn flattened_size(experts: &[&Expert]) -> usize {
    let mut modules: HashMap<&str, usize> = HashMap::new();
    for shape in experts.iter().flat_map(|e| &e.modules) {
        let size = modules.entry(&shape.module).or_default();
        *size = (*size).max(entries(shape));
    }
    modules.values().sum()
}

fn entries(shape: &ModuleShape) -> usize {
    shape.rank * (shape.in_features + shape.out_features)
}

/// Reads all weights of an expert once. Errors (unreadable, NaN or infinite weights) are about this
/// expert alone; what passes is finite.
pub(super) fn scan(expert: &Expert, sparsity: f64, flattened: usize) -> Result<Scan> {
    let adapter = expert.load()?;
    let mut magnitudes: Vec<u32> = Vec::new();
    let mut largest = [0.0f32; 2];
    for module in &adapter.modules {
        for (largest, values) in largest.iter_mut().zip([module.a()?, module.b()?]) {
            *largest = values.iter().fold(*largest, |m, x| m.max(x.abs()));
            if sparsity > 0.0 {
                // Without the sign bit, f32 order is the order of the bits.
                magnitudes.extend(values.iter().map(|x| x.to_bits() & 0x7fff_ffff));
            }
        }
    }
    let threshold = (sparsity > 0.0).then(|| {
        let absent = flattened.saturating_sub(magnitudes.len());
        quantile(&mut magnitudes, absent, sparsity)
    });
    Ok(Scan { exponent_a: exponent(largest[0]), exponent_b: exponent(largest[1]), threshold })
}

/// n with 2ⁿ ≤ x < 2ⁿ⁺¹, kept where 2⁻ⁿ is a normal f32; 0 for zero.
fn exponent(x: f32) -> i32 {
    if x == 0.0 { 0 } else { (f64::from(x).log2().floor() as i32).clamp(-126, 126) }
}

/// Quantile with linear interpolation, as numpy computes it for f32 data, of non-negative floats given
/// by their bits and `zeros` more zeros. Reorders `bits`.
fn quantile(bits: &mut [u32], zeros: usize, q: f64) -> f32 {
    let count = bits.len() + zeros;
    if bits.is_empty() {
        return 0.0;
    }
    let position = (count - 1) as f64 * q;
    let below = (position.floor() as usize).min(count - 1);
    let fraction = (position - below as f64) as f32;
    let (low, high) = if below + 1 < zeros {
        (0.0, 0.0)
    } else if below < zeros {
        (0.0, f32::from_bits(bits.iter().copied().min().unwrap_or(0)))
    } else {
        let (_, &mut low, above) = bits.select_nth_unstable(below - zeros);
        (f32::from_bits(low), f32::from_bits(above.iter().copied().min().unwrap_or(low)))
    };
    let difference = high - low;
    if fraction < 0.5 { low + difference * fraction } else { high - difference * (1.0 - fraction) }
}

impl<'a> Alignment<'a> {
    /// Aligns the experts' modules.
    ///
    /// # Errors
    /// If two experts disagree about the size of a module or, where `equal_ranks` says what needs the same
    /// ranks and what does not, about its rank; both are named.
    pub fn new(experts: Vec<&'a Expert>, scans: Vec<Scan>, equal_ranks: Option<&str>) -> Result<Self> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut first: Vec<usize> = Vec::new();
        let mut index: HashMap<&str, usize> = HashMap::new();
        for (e, expert) in experts.iter().enumerate() {
            for shape in &expert.modules {
                let at = *index.entry(&shape.module).or_insert_with(|| {
                    first.push(e);
                    slots.push(Slot {
                        module: shape.module.clone(),
                        inputs: shape.in_features,
                        outputs: shape.out_features,
                        rank: shape.rank,
                        factor: vec![None; experts.len()],
                    });
                    slots.len() - 1
                });
                let slot = &mut slots[at];
                if (slot.inputs, slot.outputs) != (shape.in_features, shape.out_features) {
                    return Err(Error::msg(format!(
                        "experts '{}' and '{}' do not belong to the same base model: {} maps {} to {} features \
                         in one and {} to {} in the other; keep them in separate libraries",
                        experts[first[at]].name,
                        expert.name,
                        shape.module,
                        slot.inputs,
                        slot.outputs,
                        shape.in_features,
                        shape.out_features,
                    )));
                }
                if let Some(why) = equal_ranks.filter(|_| slot.rank != shape.rank) {
                    return Err(Error::msg(format!(
                        "experts '{}' and '{}' have ranks {} and {} at {}, where {why}",
                        experts[first[at]].name, expert.name, slot.rank, shape.rank, shape.module,
                    )));
                }
                slot.rank = slot.rank.max(shape.rank);
                slot.factor[e] = Some(ModuleFactor { rank: shape.rank, scale: shape.scale });
            }
        }
        Ok(Self { experts, scans, slots })
    }

    /// Number of experts.
    pub fn len(&self) -> usize {
        self.experts.len()
    }

    /// Cuts the slots into runs of at most `values` entries per expert, at least one slot each.
    pub fn groups(&self, values: usize) -> Vec<Range<usize>> {
        let mut groups: Vec<Range<usize>> = Vec::new();
        let mut size = 0;
        for (i, slot) in self.slots.iter().enumerate() {
            size += slot.values();
            match groups.last_mut() {
                Some(group) if size <= values => group.end = i + 1,
                _ => {
                    groups.push(i..i + 1);
                    size = slot.values();
                }
            }
        }
        groups
    }

    /// Reads the weights of `experts` at `slots`, scaled by their power of two and, for [`Product::Flat`],
    /// sparsified.
    pub fn load(
        &self,
        slots: Range<usize>,
        experts: Range<usize>,
        product: Product,
        cancel: &Cancel,
    ) -> Result<WeightBlock> {
        let slots = &self.slots[slots];
        let mut starts = vec![0usize];
        for expert in experts.clone() {
            let size: usize = slots
                .iter()
                .map(|slot| match product {
                    Product::Flat => slot.values(),
                    Product::Delta => {
                        slot.factor[expert].map_or(0, |f| f.rank * (slot.inputs + slot.outputs))
                    }
                })
                .sum();
            starts.push(starts[starts.len() - 1] + size);
        }
        let mut data = vec![0.0f32; starts[starts.len() - 1]];
        let mut segments = Vec::with_capacity(experts.len());
        let mut rest = data.as_mut_slice();
        for (expert, bounds) in experts.clone().zip(starts.windows(2)) {
            let (segment, after) = rest.split_at_mut(bounds[1] - bounds[0]);
            segments.push((expert, segment));
            rest = after;
        }
        segments.into_par_iter().try_for_each(|(expert, segment)| {
            cancel.check()?;
            self.fill(expert, slots, product, segment)
        })?;
        Ok(WeightBlock { experts, data, starts })
    }

    fn fill(&self, expert: usize, slots: &[Slot], product: Product, segment: &mut [f32]) -> Result<()> {
        let adapter = self.experts[expert].load()?;
        let scan = self.scans[expert];
        let (scale_a, scale_b) = match product {
            // One factor for the whole vector.
            Product::Flat => [scan.exponent_a.max(scan.exponent_b); 2].into(),
            Product::Delta => (scan.exponent_a, scan.exponent_b),
        };
        let (scale_a, scale_b) = (2.0f32.powi(-scale_a), 2.0f32.powi(-scale_b));
        let threshold = scan.threshold.unwrap_or(-1.0);
        let keep = |x: f32, scale: f32| if x.abs() <= threshold { 0.0 } else { x * scale };
        let mut at = 0;
        for slot in slots {
            let Some(ModuleFactor { rank, .. }) = slot.factor[expert] else {
                if product == Product::Flat {
                    at += slot.values();
                }
                continue;
            };
            let (a, b) = self.factors(&adapter, slot, rank)?;
            for (to, x) in segment[at..at + a.len()].iter_mut().zip(&a) {
                *to = keep(*x, scale_a);
            }
            at += a.len();
            let to = &mut segment[at..at + b.len()];
            match product {
                Product::Flat => {
                    for (to, x) in to.iter_mut().zip(&b) {
                        *to = keep(*x, scale_b);
                    }
                }
                Product::Delta => {
                    for (row, values) in b.chunks_exact(rank.max(1)).enumerate() {
                        for (k, x) in values.iter().enumerate() {
                            to[k * slot.outputs + row] = keep(*x, scale_b);
                        }
                    }
                }
            }
            at += b.len();
        }
        Ok(())
    }

    /// A and B of one module; an error when the file no longer holds what its header said.
    fn factors(&self, adapter: &Adapter, slot: &Slot, rank: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let found = match adapter.module(&slot.module) {
            Some(module) => Some((module.a()?, module.b()?)),
            None => None,
        };
        found.filter(|(a, b)| a.len() == rank * slot.inputs && b.len() == rank * slot.outputs).ok_or_else(
            || {
                Error::msg(format!(
                    "expert '{}' changed on disk while it was read ({}); try again",
                    adapter.name, slot.module
                ))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f32], zeros: usize, q: f64) -> f32 {
        let mut bits: Vec<u32> = values.iter().map(|x| x.abs().to_bits()).collect();
        quantile(&mut bits, zeros, q)
    }

    #[test]
    fn quantile_interpolates_like_numpy() {
        assert_eq!(of(&[4.0, -1.0, 3.0, 2.0], 0, 0.5), 2.5);
        assert_eq!(of(&[4.0, -1.0, 3.0, 2.0], 0, 0.8), 3.4);
        assert_eq!(of(&[7.0], 0, 0.3), 7.0);
        assert_eq!(of(&[], 5, 0.3), 0.0);
        assert_eq!(of(&[2.0, 4.0], 2, 0.5), 1.0);
        assert_eq!(of(&[2.0, 4.0], 3, 0.5), 0.0);
        assert_eq!(of(&[2.0, 4.0], 0, 1.0), 4.0);
    }

    #[test]
    fn exponents_bound_the_value_from_below() {
        for x in [1.0f32, 1.5, 2.0, 3.9e-20, 1e30, f32::MAX, f32::MIN_POSITIVE] {
            let scaled = x * 2.0f32.powi(-exponent(x));
            assert!((1.0..4.0).contains(&scaled), "{x} {scaled}");
        }
        assert_eq!(exponent(0.0), 0);
    }

    proptest! {
        #[test]
        fn quantile_agrees_with_sorting(
            values in prop::collection::vec(-10.0f32..10.0, 1..60), zeros in 0usize..30, q in 0.0f64..1.0,
        ) {
            let mut sorted: Vec<f64> = values.iter().map(|x| f64::from(x.abs())).collect();
            sorted.resize(values.len() + zeros, 0.0);
            sorted.sort_by(f64::total_cmp);
            let position = (sorted.len() - 1) as f64 * q;
            let low = position.floor() as usize;
            let high = (low + 1).min(sorted.len() - 1);
            let naive = sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64);
            let got = of(&values, zeros, q);
            prop_assert!((f64::from(got) - naive).abs() < 1e-5);
            prop_assert!(f64::from(got) >= sorted[low] && f64::from(got) <= sorted[high]);
        }
    }
}
