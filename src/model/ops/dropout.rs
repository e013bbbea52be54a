//! Dropout whose masks can be found again.

use rayon::prelude::*;

/// SplitMix64's finaliser: spreads the bits of a number over all bits.
#[inline(always)]
pub fn spread_bits(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Dropout at one module in one step. The mask of a row follows from the key and the row's number alone, so that
/// the backward pass, and every device, finds the same one.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// What the masks follow from: seed, step and module.
    pub key: u64,
    /// Number of the batch's first row in its step.
    pub first_row: usize,
    /// Share of the values that are dropped.
    pub p: f32,
}

impl Dropout {
    /// Zeroes a share `p` of row `index` of the batch and scales the rest by 1 / (1 − p).
    pub fn apply(&self, index: usize, row: &mut [f32]) {
        let limit = (self.p * 65536.0) as u16;
        let keep = 1.0 / (1.0 - self.p);
        let index = (self.first_row + index) as u64;
        let start = spread_bits(self.key ^ index.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        for (i, four) in row.chunks_mut(4).enumerate() {
            let bits = spread_bits(start.wrapping_add(i as u64));
            for (j, v) in four.iter_mut().enumerate() {
                let kept = (bits >> (16 * j)) as u16 >= limit;
                *v *= if kept { keep } else { 0.0 };
            }
        }
    }

    /// The factors of a whole batch [rows, width].
    pub fn mask(&self, rows: usize, width: usize) -> Vec<f32> {
        let mut mask = vec![1f32; rows * width];
        mask.par_chunks_mut(width.max(1)).enumerate().for_each(|(index, row)| self.apply(index, row));
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_drops_its_share_and_repeats() {
        let run = |first_row, index| {
            let mut row = vec![1f32; 40_000];
            Dropout { key: 7, first_row, p: 0.1 }.apply(index, &mut row);
            row
        };
        let row = run(0, 3);
        let dropped = row.iter().filter(|v| **v == 0.0).count() as f32 / 40_000.0;
        assert!((dropped - 0.1).abs() < 0.01, "{dropped}");
        assert!(row.iter().all(|v| *v == 0.0 || (*v - 1.0 / 0.9).abs() < 1e-6));
        assert_eq!(row, run(0, 3));
        assert_eq!(row, run(2, 1));
        assert_ne!(row, run(0, 4));
        let mask = Dropout { key: 7, first_row: 2, p: 0.1 }.mask(2, 40_000);
        assert_eq!(mask[40_000..], row);
    }
}
