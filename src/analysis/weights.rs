//! The experts' factors as aligned vectors: which module stands where, what each expert lacks, and
//! blocks of weights read on demand.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;
use sha2::Digest;

use super::cache::{Content, hasher};
use super::strength::{Measure, Strength};
use crate::library::{Expert, FactorPlaces, ModuleShape};
use crate::memory::{check_room, with_room};
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
    /// Which of the expert's modules it is.
    pub number: usize,
    pub rank: usize,
    pub scale: f64,
}

/// One module that at least one expert has.
pub(super) struct Slot {
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

impl Scan {
    /// The power of two by which [`Alignment::load`] divides A and B together: what an inner product has to be
    /// multiplied by, once for each of its experts.
    pub fn exponent(&self, product: Product) -> i32 {
        match product {
            Product::Flat => self.exponent_a.max(self.exponent_b),
            Product::Delta => self.exponent_a + self.exponent_b,
        }
    }
}

/// What [`scan`] found.
pub(super) struct Scanned {
    pub scan: Scan,
    /// Where the factors lie, if that can be said.
    pub places: Option<FactorPlaces>,
    /// What the weights are, where it was asked for.
    pub content: Option<Content>,
    pub strength: Strength,
}

/// An expert of a comparison.
pub(super) struct Compared<'a> {
    pub expert: &'a Expert,
    pub scan: Scan,
    /// Where its factors lie, once its headers were read.
    pub places: OnceLock<FactorPlaces>,
}

/// All modules of all experts, aligned.
pub(super) struct Alignment<'a> {
    pub experts: Vec<Compared<'a>>,
    pub slots: Vec<Slot>,
}

/// Weights of some experts at a range of slots, one segment after the other: per slot, the rows of
/// A, then B row by row (`Flat`) or column by column (`Delta`).
pub(super) struct WeightBlock {
    /// Which of the rows that are being multiplied.
    pub rows: Range<usize>,
    pub data: Vec<f32>,
    starts: Vec<usize>,
}

impl WeightBlock {
    /// Where the segment of a row begins.
    pub fn start(&self, row: usize) -> usize {
        self.starts[row - self.rows.start]
    }

    /// One row's weights.
    pub fn segment(&self, row: usize) -> &[f32] {
        self.span(&(row..row + 1))
    }

    /// The weights of neighbouring rows.
    pub fn span(&self, rows: &Range<usize>) -> &[f32] {
        &self.data[self.start(rows.start)..self.starts[rows.end - self.rows.start]]
    }
}

/// Entries of the flattened A and B over all modules that any of the experts has.
pub(super) fn flattened_size<'a>(experts: impl IntoIterator<Item = &'a Expert>) -> usize {
    let mut modules: HashMap<&str, usize> = HashMap::new();
    for shape in experts.into_iter().flat_map(|e| &e.modules) {
        let size = modules.entry(&shape.module).or_default();
        *size = (*size).max(entries(shape));
    }
    modules.values().sum()
}

/// Entries of an expert's own A and B.
pub(super) fn own_size(expert: &Expert) -> usize {
    expert.modules.iter().map(entries).sum()
}

fn entries(shape: &ModuleShape) -> usize {
    shape.rank * (shape.in_features + shape.out_features)
}

/// Reads all weights of an expert once, and hashes them where `hashed` asks for it. Errors (unreadable, NaN or
/// infinite weights) are about this expert alone; what passes is finite.
pub(super) fn scan(expert: &Expert, sparsity: f64, flattened: usize, hashed: bool) -> Result<Scanned> {
    let adapter = expert.load()?;
    let mut hash = hasher();
    let count = if sparsity > 0.0 { own_size(expert) } else { 0 };
    let mut magnitudes: Vec<u32> = with_room(count).map_err(|problem| Error::file(&expert.path, problem))?;
    let mut largest = [0.0f32; 2];
    let mut measure = Measure::new(adapter.modules.len());
    for module in &adapter.modules {
        let (a, b) = if hashed { module.factors(&mut hash)? } else { (module.a()?, module.b()?) };
        measure.add(&module.shape, &a, &b);
        for (largest, values) in largest.iter_mut().zip([a, b]) {
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
    let scan = Scan { exponent_a: exponent(largest[0]), exponent_b: exponent(largest[1]), threshold };
    Ok(Scanned {
        scan,
        places: adapter.places(),
        content: hashed.then(|| hash.finalize().into()),
        strength: measure.finish(),
    })
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
    let smallest = |bits: &[u32]| bits.iter().copied().min();
    let (low, high) = if below + 1 < zeros {
        (0.0, 0.0)
    } else if below < zeros {
        (0.0, f32::from_bits(smallest(bits).unwrap_or(0)))
    } else {
        let (low, above) = nth_and_next(bits, below - zeros);
        (f32::from_bits(low), f32::from_bits(above.unwrap_or(low)))
    };
    let difference = high - low;
    if fraction < 0.5 { low + difference * fraction } else { high - difference * (1.0 - fraction) }
}

/// The value at this place of the sorted values, and the one after it. Below 2³¹ and of more than a few thousand, values
/// are counted by their upper bits first, so that only those that share them have to be put in order.
fn nth_and_next(bits: &mut [u32], at: usize) -> (u32, Option<u32>) {
    const FEW: usize = 1 << 13;
    const SHIFT: u32 = 15;
    if bits.len() <= FEW {
        let (_, &mut low, above) = bits.select_nth_unstable(at);
        return (low, above.iter().copied().min());
    }
    let mut counts = vec![0u32; 1 << (31 - SHIFT)];
    bits.iter().for_each(|value| counts[(value >> SHIFT) as usize & 0xffff] += 1);
    let (mut before, mut upper) = (0, 0);
    for (bin, &count) in counts.iter().enumerate() {
        upper = bin as u32;
        if before + count as usize > at {
            break;
        }
        before += count as usize;
    }
    let mut inside: Vec<u32> = bits.iter().copied().filter(|value| value >> SHIFT == upper).collect();
    let (_, &mut low, above) = inside.select_nth_unstable(at - before);
    let next = above.iter().copied().min();
    (low, next.or_else(|| bits.iter().copied().filter(|value| value >> SHIFT > upper).min()))
}

impl<'a> Alignment<'a> {
    /// Aligns the experts' modules.
    ///
    /// # Errors
    /// If two experts disagree about the size of a module or, where `equal_ranks` says what needs the same
    /// ranks and what does not, about its rank; both are named.
    pub fn new(experts: Vec<Compared<'a>>, equal_ranks: Option<&str>) -> Result<Self> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut first: Vec<usize> = Vec::new();
        let mut index: HashMap<&str, usize> = HashMap::new();
        for (e, Compared { expert, .. }) in experts.iter().enumerate() {
            for (number, shape) in expert.modules.iter().enumerate() {
                let at = *index.entry(&shape.module).or_insert_with(|| {
                    first.push(e);
                    slots.push(Slot {
                        inputs: shape.in_features,
                        outputs: shape.out_features,
                        rank: shape.rank,
                        factor: vec![None; experts.len()],
                    });
                    slots.len() - 1
                });
                let slot = &mut slots[at];
                let other = || &experts[first[at]].expert.name;
                if (slot.inputs, slot.outputs) != (shape.in_features, shape.out_features) {
                    return Err(Error::msg(format!(
                        "experts '{}' and '{}' do not belong to the same base model: {} maps {} to {} features \
                         in one and {} to {} in the other; keep them in separate libraries",
                        other(),
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
                        other(),
                        expert.name,
                        slot.rank,
                        shape.rank,
                        shape.module,
                    )));
                }
                slot.rank = slot.rank.max(shape.rank);
                slot.factor[e] = Some(ModuleFactor { number, rank: shape.rank, scale: shape.scale });
            }
        }
        Ok(Self { experts, slots })
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

    /// Reads weights at `slots`, scaled by their power of two and, for [`Product::Flat`], sparsified: those of the
    /// experts `order[row]`, for each of the `rows`.
    pub fn load(
        &self,
        slots: Range<usize>,
        order: &[usize],
        rows: Range<usize>,
        product: Product,
        cancel: &Cancel,
    ) -> Result<WeightBlock> {
        let slots = &self.slots[slots];
        let mut starts = vec![0usize];
        for &expert in &order[rows.clone()] {
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
        let size = starts[starts.len() - 1];
        check_room(4 * size as u64).map_err(|problem| Error::msg(format!("the comparison {problem}")))?;
        let mut data = vec![0.0f32; size];
        let mut segments = Vec::with_capacity(rows.len());
        let mut rest = data.as_mut_slice();
        for (&expert, bounds) in order[rows.clone()].iter().zip(starts.windows(2)) {
            let (segment, after) = rest.split_at_mut(bounds[1] - bounds[0]);
            segments.push((expert, segment));
            rest = after;
        }
        segments.into_par_iter().try_for_each(|(expert, segment)| {
            cancel.check()?;
            self.fill(expert, slots, product, segment)
        })?;
        Ok(WeightBlock { rows, data, starts })
    }

    fn fill(&self, number: usize, slots: &[Slot], product: Product, segment: &mut [f32]) -> Result<()> {
        let Compared { expert, scan, places } = &self.experts[number];
        let places = match places.get() {
            Some(places) => places,
            None => {
                let found = expert.load()?.places().ok_or_else(|| {
                    Error::file(&expert.path, "cannot be looked at while it is read; try again")
                })?;
                places.get_or_init(|| found)
            }
        };
        let open = places.open()?;
        let (scale_a, scale_b) = match product {
            // One factor for the whole vector.
            Product::Flat => [scan.exponent(product); 2].into(),
            Product::Delta => (scan.exponent_a, scan.exponent_b),
        };
        let (scale_a, scale_b) = (2.0f32.powi(-scale_a), 2.0f32.powi(-scale_b));
        let threshold = scan.threshold.unwrap_or(-1.0);
        let keep = |x: f32, scale: f32| if x.abs() <= threshold { 0.0 } else { x * scale };
        let mut at = 0;
        for slot in slots {
            let Some(ModuleFactor { number, rank, .. }) = slot.factor[number] else {
                if product == Product::Flat {
                    at += slot.values();
                }
                continue;
            };
            let (a, b) = open.factors(number, &expert.modules[number])?;
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

    #[test]
    fn many_values_are_counted_first_and_give_the_same() {
        // Few distinct values, as f16 has, and many; runs of equal ones; all in one bin.
        let mut state = 9u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        let some: Vec<Vec<u32>> = vec![
            (0..20_000).map(|_| (next() as f32).sqrt().to_bits()).collect(),
            (0..20_000).map(|_| ((next() % 7) as f32).to_bits()).collect(),
            (0..20_000).map(|_| 1.0f32.to_bits() + next() % 50).collect(),
            vec![0; 20_000],
            (0..20_000).map(|i| if i % 2 == 0 { 0 } else { f32::MAX.to_bits() }).collect(),
        ];
        for values in some {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            for at in [0, 1, 9_998, 9_999, 10_000, 19_998, 19_999] {
                let found = nth_and_next(&mut values.clone(), at);
                assert_eq!(found, (sorted[at], sorted.get(at + 1).copied()), "{at}");
            }
        }
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
