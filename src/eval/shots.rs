//! Few-shot prompts: which examples stand before an item, drawn as lm-evaluation-harness draws them
//! (`api/samplers.py`).

use super::digest::digest_of;
use crate::mersenne::PythonRandom;
use crate::train::Example;

/// Its seed.
const SEED: u32 = 1234;

/// How examples are chosen for an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Draw {
    /// The first of the pool.
    First,
    /// Drawn from a pool that the items are not of.
    #[default]
    Others,
    /// Drawn from the items themselves: one more is drawn, and the item left out.
    Same,
}

/// The examples before each item of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shots {
    pool: Vec<Example>,
    /// By item, their places in the pool.
    of: Vec<Vec<usize>>,
    how: Draw,
}

impl Shots {
    /// Of those that were chosen from `pool` for each item.
    pub fn new(pool: &[Example], of: Vec<Vec<usize>>, how: Draw) -> Self {
        let is_empty = of.iter().all(Vec::is_empty);
        if is_empty { Self::default() } else { Self { pool: pool.to_vec(), of, how } }
    }

    /// How many stand before each item.
    pub fn count(&self) -> usize {
        self.of.first().map_or(0, Vec::len)
    }

    /// Those before an item, in their order.
    pub fn of(&self, item: usize) -> impl Iterator<Item = &Example> {
        let places = self.of.get(item).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|&at| self.pool.get(at))
    }

    /// What says which examples stand before an item, whatever the number of items that are asked.
    pub fn identity(&self) -> String {
        let how = match self.how {
            Draw::First => "first".into(),
            Draw::Others => SEED.to_string(),
            Draw::Same => format!("{SEED} same"),
        };
        format!("{} {how} {}", self.count(), digest_of(&self.pool, &[]))
    }
}

/// For each of `items`, in their order, the places of `count` examples in `pool`, none of which is the item itself.
///
/// # Errors
/// A pool of too few examples, in words.
pub fn draw<T: PartialEq>(
    pool: &[T],
    items: &[T],
    count: usize,
    how: Draw,
) -> Result<Vec<Vec<usize>>, String> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if how == Draw::First {
        return first(pool, items, count);
    }
    let mut random = PythonRandom::new(SEED);
    let wanted = count + usize::from(how == Draw::Same);
    let mut drawn = Vec::with_capacity(items.len());
    for item in items {
        let too_few = |has: usize, needed: usize| {
            format!(
                "has {has} examples to draw {count} from, and {needed} are needed: ask for fewer with --num-fewshot"
            )
        };
        let sample = random.sample(pool.len(), wanted).ok_or_else(|| too_few(pool.len(), wanted))?;
        let mut kept: Vec<usize> = sample.into_iter().filter(|&at| pool[at] != *item).take(count).collect();
        if kept.len() < count {
            // Several of them are the item: once more, from the others.
            let others: Vec<usize> = (0..pool.len()).filter(|&at| pool[at] != *item).collect();
            let sample = random.sample(others.len(), count).ok_or_else(|| too_few(others.len(), count))?;
            kept = sample.into_iter().map(|at| others[at]).collect();
        }
        drawn.push(kept);
    }
    Ok(drawn)
}

/// For each of `items` the first `count` of `pool` that are not the item itself.
///
/// # Errors
/// As [`draw`].
fn first<T: PartialEq>(pool: &[T], items: &[T], count: usize) -> Result<Vec<Vec<usize>>, String> {
    let one = |item: &T| {
        let first: Vec<usize> = (0..pool.len()).filter(|&at| pool[at] != *item).take(count).collect();
        (first.len() == count).then_some(first)
    };
    items.iter().map(one).collect::<Option<_>>().ok_or_else(|| {
        format!("has {} examples, which are too few for {count} before each item: ask for fewer", pool.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_item_is_among_its_own_examples() {
        let pool: Vec<u32> = (0..12).map(|i| i % 6).collect();
        let drawn = draw(&pool, &pool, 4, Draw::Same).unwrap();
        assert_eq!(drawn.len(), 12);
        for (item, places) in pool.iter().zip(&drawn) {
            assert!(places.len() == 4 && places.iter().all(|&at| pool[at] != *item), "{item}: {places:?}");
        }
        assert!(draw(&pool, &[3], 4, Draw::Others).unwrap()[0].iter().all(|&at| pool[at] != 3));
        assert_eq!(draw(&pool[..4], &[9], 3, Draw::Others).unwrap()[0].len(), 3);
        let refused = draw(&pool[..3], &[9], 3, Draw::Same).unwrap_err();
        assert!(refused.starts_with("has 3 examples to draw 3 from, and 4 are needed"), "{refused}");
        assert_eq!(draw(&pool, &[1], 0, Draw::Same).unwrap(), Vec::<Vec<usize>>::new());
        assert_eq!(draw(&pool, &[0, 7], 2, Draw::First).unwrap(), [[1, 2], [0, 1]]);
        assert!(draw(&pool[..2], &[0], 2, Draw::First).is_err());
    }

    #[test]
    fn more_items_change_nothing_for_those_before_them() {
        let pool: Vec<u32> = (100..180).collect();
        let items: Vec<u32> = (0..20).collect();
        let all = draw(&pool, &items, 3, Draw::Others).unwrap();
        assert_eq!(draw(&pool, &items[..7], 3, Draw::Others).unwrap(), all[..7]);
    }

    #[test]
    fn whatever_changes_the_examples_changes_what_they_are_known_by() {
        let choices = vec!["a".to_string(), "b".to_string()];
        let one = Example { instruction: "i".into(), choices, answer: Some(0), ..Example::default() };
        let of =
            |example: &Example, how| Shots::new(std::slice::from_ref(example), vec![vec![0]], how).identity();
        let other = Example { answer: Some(1), ..one.clone() };
        let all =
            [of(&one, Draw::Others), of(&one, Draw::First), of(&one, Draw::Same), of(&other, Draw::Others)];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{all:?}");
    }
}
