//! The first number of numpy's `RandomState(seed).rand()`: MT19937 (Matsumoto and Nishimura, 1998) with the seeding of
//! its authors' `init_genrand`, and 53 bits of two outputs as a double.

/// Distance of the words that one output follows from.
const SHIFT: usize = 397;
/// Two outputs follow from the first three words and from two that are `SHIFT` further.
const NEEDED: usize = SHIFT + 2;

/// `numpy.random.RandomState(seed).rand()`.
pub(super) fn first_double(seed: u32) -> f64 {
    let mut words = [0u32; NEEDED];
    let mut word = seed;
    for (i, place) in words.iter_mut().enumerate() {
        *place = word;
        word = (word ^ (word >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32 + 1);
    }
    let output = |i: usize| {
        let y = (words[i] & 0x8000_0000) | (words[i + 1] & 0x7fff_ffff);
        let mut y = words[i + SHIFT] ^ (y >> 1) ^ if y & 1 == 1 { 0x9908_b0df } else { 0 };
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    };
    let (a, b) = (f64::from(output(0) >> 5), f64::from(output(1) >> 6));
    (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_those_of_numpy() {
        // numpy.random.RandomState(i).rand() for i as said, by tests/fixtures/import/make_import.py.
        let expected: Vec<(u32, f64)> =
            serde_json::from_str(include_str!("../../../tests/fixtures/import/random_state.json")).unwrap();
        assert!(expected.len() > 2000);
        for (seed, double) in expected {
            assert_eq!(first_double(seed), double, "{seed}");
        }
    }

    proptest! {
        #[test]
        fn every_seed_gives_a_share(seed: u32) {
            let double = first_double(seed);
            prop_assert!((0.0..1.0).contains(&double));
            prop_assert_eq!((double * 9_007_199_254_740_992.0).fract(), 0.0);
        }
    }
}
