//! The random numbers of Python and numpy: MT19937 (Matsumoto and Nishimura, 1998).

/// Words of its state.
const WORDS: usize = 624;
/// Distance of the words that one output follows from.
const SHIFT: usize = 397;

/// The words that its authors' `init_genrand` begins with, without end.
fn seeded(seed: u32) -> impl Iterator<Item = u32> {
    let mut word = seed;
    (0u32..).map(move |i| {
        let this = word;
        word = (word ^ (word >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i + 1);
        this
    })
}

/// The word that follows from three others.
fn twisted(first: u32, second: u32, far: u32) -> u32 {
    let y = (first & 0x8000_0000) | (second & 0x7fff_ffff);
    far ^ (y >> 1) ^ if y & 1 == 1 { 0x9908_b0df } else { 0 }
}

/// The output that a word is.
fn tempered(mut y: u32) -> u32 {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^ (y >> 18)
}

/// `numpy.random.RandomState(seed).rand()`, the first of its numbers: 53 bits of two outputs.
pub fn first_double(seed: u32) -> f64 {
    // Two outputs follow from the first three words and from two that are further on.
    let mut words = [0u32; SHIFT + 2];
    words.iter_mut().zip(seeded(seed)).for_each(|(place, word)| *place = word);
    let output = |i: usize| tempered(twisted(words[i], words[i + 1], words[i + SHIFT]));
    let (a, b) = (f64::from(output(0) >> 5), f64::from(output(1) >> 6));
    (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
}

/// Python's `random.Random(seed)`.
#[derive(Clone, Debug)]
pub struct PythonRandom {
    words: Vec<u32>,
    next: usize,
}

impl PythonRandom {
    /// Seeded as CPython does it with a whole number of 32 bits: `init_by_array` of that one word.
    pub fn new(seed: u32) -> Self {
        let mut words: Vec<u32> = seeded(19_650_218).take(WORDS).collect();
        let mixed = |words: &[u32], at: usize, factor: u32| {
            let before = words[at - 1];
            words[at] ^ (before ^ (before >> 30)).wrapping_mul(factor)
        };
        let mut at = 1;
        let mut forward = |words: &mut Vec<u32>| {
            at += 1;
            if at >= WORDS {
                words[0] = words[WORDS - 1];
                at = 1;
            }
            at
        };
        let mut place = 1;
        for _ in 0..WORDS {
            words[place] = mixed(&words, place, 1_664_525).wrapping_add(seed);
            place = forward(&mut words);
        }
        for _ in 1..WORDS {
            words[place] = mixed(&words, place, 1_566_083_941).wrapping_sub(place as u32);
            place = forward(&mut words);
        }
        words[0] = 0x8000_0000;
        Self { words, next: WORDS }
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            for i in 0..WORDS {
                let far = self.words[(i + SHIFT) % WORDS];
                self.words[i] = twisted(self.words[i], self.words[(i + 1) % WORDS], far);
            }
            self.next = 0;
        }
        self.next += 1;
        tempered(self.words[self.next - 1])
    }

    /// A number below `limit`, which is from 1 to 2³¹.
    fn below(&mut self, limit: usize) -> usize {
        let bits = usize::BITS - limit.leading_zeros();
        loop {
            let number = (self.word() >> (32 - bits.clamp(1, 32))) as usize;
            if number < limit {
                return number;
            }
        }
    }

    /// `sample(range(population), count)` of CPython 3.11 to 3.14. `None` where there are fewer.
    pub fn sample(&mut self, population: usize, count: usize) -> Option<Vec<usize>> {
        if count > population || population > 1 << 31 {
            return None;
        }
        // Where a list of all is smaller than a set of those that were drawn.
        let mut small = 21;
        if count > 5 {
            small += 4usize.pow((count as f64 * 3.0).log(4.0).ceil() as u32);
        }
        if population <= small {
            let mut pool: Vec<usize> = (0..population).collect();
            let draw = |i| {
                let at = self.below(population - i);
                let drawn = pool[at];
                pool[at] = pool[population - i - 1];
                drawn
            };
            return Some((0..count).map(draw).collect());
        }
        let mut drawn = Vec::with_capacity(count);
        let mut known = std::collections::HashSet::with_capacity(count);
        while drawn.len() < count {
            let at = self.below(population);
            if known.insert(at) {
                drawn.push(at);
            }
        }
        Some(drawn)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_those_of_numpy() {
        // numpy.random.RandomState(i).rand() for i as said, by tests/fixtures/import/make_import.py.
        let expected: Vec<(u32, f64)> =
            serde_json::from_str(include_str!("../tests/fixtures/import/random_state.json")).unwrap();
        assert!(expected.len() > 2000);
        for (seed, double) in expected {
            assert_eq!(first_double(seed), double, "{seed}");
        }
    }

    #[test]
    fn samples_are_those_of_python() {
        // [seed, [[population, count, sum, first, last], …]]: random.Random(seed).sample(range(population), count), one
        // after the other, by tests/fixtures/make_lm_eval.py.
        type Draws = Vec<(usize, usize, Vec<usize>)>;
        let expected: Vec<(u32, Draws)> =
            serde_json::from_str(include_str!("../tests/fixtures/python_samples.json")).unwrap();
        assert!(expected.len() > 3);
        for (seed, draws) in expected {
            let mut random = PythonRandom::new(seed);
            for (population, count, sample) in draws {
                assert_eq!(random.sample(population, count), Some(sample), "{seed}: {count} of {population}");
            }
        }
        assert_eq!(PythonRandom::new(1).sample(2, 3), None);
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
