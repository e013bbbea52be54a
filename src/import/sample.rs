//! Which rows of a task are kept, and in which split: found in one pass, in memory that the caps bound.
//!
//! Rows are put into the order of their keys, which follow from content and seed alone ([`Key`]); the first so many
//! are kept. That is a uniform sample without duplicates, it does not depend on the order of the rows, and only the
//! keys of the sample have to be remembered (a bottom-k sketch).

use std::collections::HashSet;

use super::record::Key;
use super::splits::Split;

/// The smallest keys that were offered, each once.
#[derive(Clone, Debug)]
struct Smallest {
    most: usize,
    keys: Vec<Key>,
    /// Larger ones are not among them.
    limit: Option<Key>,
}

impl Smallest {
    fn new(most: usize) -> Self {
        Self { most, keys: Vec::new(), limit: None }
    }

    fn offer(&mut self, key: Key) {
        if self.most == 0 || self.limit.is_some_and(|limit| key > limit) {
            return;
        }
        self.keys.push(key);
        if self.keys.len() > self.most.saturating_add(self.most / 2).saturating_add(64) {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.keys.truncate(self.most);
        if self.keys.len() == self.most {
            self.limit = self.keys.last().copied();
        }
    }

    fn finish(mut self) -> Vec<Key> {
        self.settle();
        self.keys.shrink_to_fit();
        self.keys
    }
}

/// Most rows of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Beside validation and test rows that the source has; 0 is no limit.
    pub rows: usize,
    /// Validation rows.
    pub validation: usize,
    /// Test rows.
    pub test: usize,
}

/// What was seen of a task.
#[derive(Clone, Debug)]
pub struct Seen {
    splits: [Smallest; 3],
}

impl Seen {
    /// Nothing yet. `numbered`: rows were chosen by their numbers.
    pub fn new(caps: Caps, numbered: bool) -> Self {
        let most = |cap: usize| if numbered { usize::MAX } else { cap };
        let rows = if caps.rows == 0 { usize::MAX } else { caps.rows };
        Self { splits: [rows, caps.validation, caps.test].map(|cap| Smallest::new(most(cap))) }
    }

    /// A row of a split.
    pub fn offer(&mut self, split: Split, key: Key) {
        self.splits[split.index()].offer(key);
    }

    /// What is kept. A prompt is in one split alone: in test, else in validation, else in training. Splits that are
    /// missing are taken out of the training rows, a tenth of them at most.
    pub fn choose(self, caps: Caps, numbered: bool, keep_duplicates: bool) -> Kept {
        let [mut train, mut validation, mut test] = self.splits.map(Smallest::finish);
        let mut derived = [false; 3];
        // Nothing to train on and nothing to measure with: what there is measures.
        let mut moved = None;
        if train.is_empty() && test.is_empty() && !validation.is_empty() {
            test = std::mem::take(&mut validation);
            moved = Some(Split::Validation);
        }
        if !numbered && !train.is_empty() {
            let tenth = train.len() / 10;
            for (split, keys, cap) in
                [(Split::Test, &mut test, caps.test), (Split::Validation, &mut validation, caps.validation)]
            {
                if keys.is_empty() && cap.min(tenth) > 0 {
                    *keys = take_whole_prompts(&mut train, cap.min(tenth));
                    derived[split.index()] = true;
                }
            }
        }
        if !keep_duplicates {
            let prompts = |keys: &[Key]| keys.iter().map(|key| key.prompt).collect::<HashSet<u64>>();
            let tested = prompts(&test);
            validation.retain(|key| !tested.contains(&key.prompt));
            let held = prompts(&validation);
            train.retain(|key| !tested.contains(&key.prompt) && !held.contains(&key.prompt));
        }
        let keys = [train, validation, test];
        let written = keys.each_ref().map(|keys| vec![false; keys.len()]);
        let rows = if caps.rows == 0 { usize::MAX } else { caps.rows };
        // What rules by numbers keep they have chosen.
        let left = if numbered { [usize::MAX; 3] } else { [rows, caps.validation, caps.test] };
        Kept { keys, written, derived, moved, keep_duplicates, left }
    }
}

/// Takes the first keys, and those after them that ask the same.
fn take_whole_prompts(keys: &mut Vec<Key>, count: usize) -> Vec<Key> {
    let mut end = count.min(keys.len());
    while end > 0 && end < keys.len() && keys[end].prompt == keys[end - 1].prompt {
        end += 1;
    }
    let rest = keys.split_off(end);
    std::mem::replace(keys, rest)
}

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is written.
    Kept(Split),
    /// It was written before, or its prompt is in a split that goes first.
    Duplicate,
    /// There are more rows than are kept.
    Over,
}

/// The rows of a task that are kept.
#[derive(Debug)]
pub struct Kept {
    keys: [Vec<Key>; 3],
    written: [Vec<bool>; 3],
    /// Splits that were taken out of the training rows.
    derived: [bool; 3],
    /// The split that became the test split, because there was no other.
    pub moved: Option<Split>,
    keep_duplicates: bool,
    /// Rows of each split that may still be written, where the same one may come again.
    left: [usize; 3],
}

impl Kept {
    /// Whether no row is kept.
    pub fn is_empty(&self) -> bool {
        self.keys.iter().all(Vec::is_empty)
    }

    /// Whether a split was taken out of the training rows.
    pub fn is_derived(&self, split: Split) -> bool {
        self.derived[split.index()]
    }

    /// What happens to the next row with this key, which the source has in `split`.
    pub fn fate(&mut self, split: Split, key: Key) -> Fate {
        let split = if self.moved == Some(split) { Split::Test } else { split };
        let drawn = split == Split::Train;
        let among = |other: Split| other == split || (drawn && self.derived[other.index()]);
        for place in Split::ALL.into_iter().filter(|other| among(*other)) {
            let i = place.index();
            if let Ok(at) = self.keys[i].binary_search(&key) {
                let again = std::mem::replace(&mut self.written[i][at], true);
                if again && !self.keep_duplicates {
                    return Fate::Duplicate;
                }
                return match self.left[i].checked_sub(1) {
                    Some(left) => {
                        self.left[i] = left;
                        Fate::Kept(place)
                    }
                    None if self.keep_duplicates => Fate::Over,
                    // Each comes once, and they were counted before.
                    None => Fate::Kept(place),
                };
            }
        }
        let asked = |keys: &[Key]| {
            let at = keys.partition_point(|other| other.prompt < key.prompt);
            keys.get(at).is_some_and(|other| other.prompt == key.prompt)
        };
        let elsewhere =
            Split::ALL.into_iter().any(|other| other != split && asked(&self.keys[other.index()]));
        if elsewhere { Fate::Duplicate } else { Fate::Over }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPS: Caps = Caps { rows: 100, validation: 10, test: 10 };

    impl Kept {
        fn count(&self, split: Split) -> usize {
            self.keys[split.index()].len()
        }

        fn total(&self) -> usize {
            self.keys.iter().map(Vec::len).sum()
        }
    }

    fn key(i: u64) -> Key {
        Key { prompt: i.wrapping_mul(0x9e37_79b9_7f4a_7c15), answer: i }
    }

    fn kept(rows: &[(Split, Key)], caps: Caps) -> (Kept, Vec<Fate>) {
        let mut seen = Seen::new(caps, false);
        rows.iter().for_each(|(split, key)| seen.offer(*split, *key));
        let mut kept = seen.choose(caps, false, false);
        let fates = rows.iter().map(|(split, key)| kept.fate(*split, *key)).collect();
        (kept, fates)
    }

    #[test]
    fn missing_splits_are_taken_out_of_the_training_rows() {
        let rows: Vec<_> = (0..1000).map(|i| (Split::Train, key(i))).collect();
        let (kept, fates) = kept(&rows, CAPS);
        assert_eq!(Split::ALL.map(|split| kept.count(split)), [80, 10, 10]);
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Over).count(), 900);
        // No limit, and a tenth where that is less.
        let (kept, _) = super::tests::kept(&rows[..50], Caps { rows: 0, validation: 1000, test: 1000 });
        assert_eq!(Split::ALL.map(|split| kept.count(split)), [40, 5, 5]);
    }

    #[test]
    fn a_prompt_is_in_one_split_alone() {
        let rows: Vec<_> = (0..20)
            .map(|i| (Split::Train, key(i)))
            .chain((15..22).map(|i| (Split::Test, key(i))))
            .chain([(Split::Validation, key(15)), (Split::Validation, key(3)), (Split::Train, key(1))])
            .collect();
        let (kept, fates) = kept(&rows, CAPS);
        assert_eq!(Split::ALL.map(|split| kept.count(split)), [14, 1, 7]);
        assert_eq!(fates[15], Fate::Duplicate);
        assert_eq!(fates[20], Fate::Kept(Split::Test));
        assert_eq!(&fates[27..], [Fate::Duplicate, Fate::Kept(Split::Validation), Fate::Duplicate]);
    }

    #[test]
    fn what_only_validates_tests() {
        let rows: Vec<_> = (0..5).map(|i| (Split::Validation, key(i))).collect();
        let (kept, fates) = kept(&rows, CAPS);
        assert_eq!((kept.moved, kept.count(Split::Test)), (Some(Split::Validation), 5));
        assert!(fates.iter().all(|fate| *fate == Fate::Kept(Split::Test)));
    }

    proptest! {
        #[test]
        fn the_sample_depends_on_the_rows_alone(mut rows in prop::collection::vec((0u64..400, 0usize..3), 1..600)) {
            let of = |rows: &[(u64, usize)]| {
                let rows: Vec<_> = rows.iter().map(|(i, split)| (Split::ALL[*split], key(*i))).collect();
                let (kept, fates) = kept(&rows, CAPS);
                let written = fates.iter().filter(|fate| matches!(fate, Fate::Kept(_))).count();
                assert_eq!(written, kept.total());
                kept.keys
            };
            let there = of(&rows);
            rows.reverse();
            prop_assert_eq!(&there, &of(&rows));
            let mut prompts: Vec<u64> = there.iter().flatten().map(|key| key.prompt).collect();
            let count = prompts.len();
            prompts.sort_unstable();
            prompts.dedup();
            prop_assert_eq!(prompts.len(), count);
        }
    }
}
