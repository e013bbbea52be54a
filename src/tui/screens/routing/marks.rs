//! Which letter and which hue an expert has in this tab.

use std::collections::{HashMap, HashSet};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::groups::Groups;
use super::paint::put;
use crate::tui::{Shared, Theme};

/// Letters, no two alike; digits are marks of clusters.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Experts that have a letter where there are more than letters: the strongest.
const STRONGEST: usize = 40;
/// What stands for all experts without a letter.
pub const OTHERS: char = '·';
/// Hues of the theme; the last is grey.
const HUES: usize = 12;

/// How an expert shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its own letter, or [`OTHERS`].
    pub letter: char,
    /// Number of its colour in the theme.
    pub hue: usize,
}

/// Draws an expert's letter in its colour.
pub fn put_mark(buf: &mut Buffer, area: Rect, x: u16, y: u16, mark: Mark, theme: &Theme) {
    put(buf, area, x, y, &mark.letter.to_string(), theme.category_cell(mark.hue, 1.0));
}

/// Letters of the experts on the screen, each of one expert, and hues. An expert keeps its letter as long as it has
/// one, and gets it back where nobody else has it now.
#[derive(Clone, Debug, Default)]
pub struct ExpertMarks {
    letters: HashMap<String, char>,
    /// Every letter that was given out, for the next time.
    earlier: HashMap<String, char>,
    hues: HashMap<String, usize>,
    /// Experts in the order in which they were seen first.
    seen: HashMap<String, usize>,
    /// Which of the experts belong together.
    pub groups: Groups,
}

impl ExpertMarks {
    /// Gives letters to the experts with the greatest weights, to all where letters suffice; a hue of its own to each
    /// while there are as many, else one to each cluster or family.
    pub fn update(&mut self, experts: &[String], weights: &[f64], shared: &Shared) {
        let mut strongest: Vec<usize> = (0..experts.len()).collect();
        if experts.len() > LETTERS.len() {
            let weight = |at: usize| weights.get(at).copied().unwrap_or(0.0);
            strongest.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)).then(a.cmp(&b)));
            strongest.truncate(STRONGEST);
            strongest.sort_unstable();
        }
        let names: Vec<&String> = strongest.into_iter().filter_map(|at| experts.get(at)).collect();
        self.give_letters(&names);
        for name in experts {
            let next = self.seen.len();
            self.seen.entry(name.clone()).or_insert(next);
        }
        let own = self.seen.len() <= HUES;
        self.groups = Groups::of(experts, shared);
        let group = |at: usize| self.groups.of.get(at).copied().flatten();
        let hue = |at: usize, name: &String| if own { self.seen.get(name).copied() } else { group(at) };
        self.hues = experts
            .iter()
            .enumerate()
            .map(|(at, name)| (name.clone(), hue(at, name).unwrap_or(HUES - 1).min(HUES - 1)))
            .collect();
    }

    fn give_letters(&mut self, names: &[&String]) {
        let chosen: HashSet<&String> = names.iter().copied().collect();
        self.letters.retain(|name, _| chosen.contains(name));
        let mut taken: HashSet<char> = self.letters.values().copied().collect();
        let without = |letters: &HashMap<String, char>| -> Vec<String> {
            names.iter().filter(|name| !letters.contains_key(**name)).map(|name| name.to_string()).collect()
        };
        for name in without(&self.letters) {
            if let Some(&letter) = self.earlier.get(&name).filter(|letter| !taken.contains(letter)) {
                taken.insert(letter);
                self.letters.insert(name, letter);
            }
        }
        let mut free =
            LETTERS.iter().map(|&letter| char::from(letter)).filter(|letter| !taken.contains(letter));
        for name in without(&self.letters) {
            let Some(letter) = free.next() else { break };
            self.letters.insert(name, letter);
        }
        self.earlier.extend(self.letters.iter().map(|(name, letter)| (name.clone(), *letter)));
    }

    /// Gives a letter to one more expert, where one is free.
    pub fn lend(&mut self, name: &str) {
        if self.letters.contains_key(name) {
            return;
        }
        let taken: HashSet<char> = self.letters.values().copied().collect();
        let earlier = self.earlier.get(name).copied();
        let all = earlier.into_iter().chain(LETTERS.iter().map(|&letter| char::from(letter)));
        if let Some(letter) = all.into_iter().find(|letter| !taken.contains(letter)) {
            self.letters.insert(name.to_string(), letter);
            self.earlier.insert(name.to_string(), letter);
        }
    }

    /// The hue of a group of experts, or of those that are in none.
    pub fn hue_of_group(&self, group: usize) -> usize {
        group.min(HUES - 1)
    }

    /// How an expert shows.
    pub fn of(&self, name: &str) -> Mark {
        let letter = self.letters.get(name).copied().unwrap_or(OTHERS);
        Mark { letter, hue: self.hues.get(name).copied().unwrap_or(HUES - 1) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::analysis::Clustering;
    use crate::tui::fixtures;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("expert-{i:04}")).collect()
    }

    fn letters(marks: &ExpertMarks, names: &[String]) -> Vec<char> {
        names.iter().map(|name| marks.of(name).letter).collect()
    }

    #[test]
    fn letters_are_unique_however_many_experts_there_are() {
        for n in [1, 12, 13, 52, 53, 1000] {
            let (names, mut marks) = (names(n), ExpertMarks::default());
            let weights: Vec<f64> = (0..n).map(|i| ((i * 7919) % 1009) as f64).collect();
            marks.update(&names, &weights, &Shared::default());
            let own: Vec<char> = letters(&marks, &names).into_iter().filter(|&c| c != OTHERS).collect();
            let different: HashSet<&char> = own.iter().collect();
            assert_eq!((own.len(), different.len()), if n <= 52 { (n, n) } else { (40, 40) });
            // The strongest have them.
            let strongest = (0..n).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap();
            assert_ne!(marks.of(&names[strongest]).letter, OTHERS);
        }
    }

    #[test]
    fn a_letter_is_kept_when_others_come_and_go() {
        let (names, mut marks) = (names(1000), ExpertMarks::default());
        let weights = |strong: std::ops::Range<usize>| -> Vec<f64> {
            (0..1000).map(|i| f64::from(u8::from(strong.contains(&i)))).collect()
        };
        marks.update(&names, &weights(0..40), &Shared::default());
        let (first, kept) = (marks.of(&names[0]).letter, marks.of(&names[39]).letter);
        marks.update(&names, &weights(30..70), &Shared::default());
        assert_eq!((marks.of(&names[0]).letter, marks.of(&names[39]).letter), (OTHERS, kept));
        assert_ne!(marks.of(&names[69]).letter, OTHERS);
        // Back in a smaller library: its own again, where it is free.
        marks.update(&names[..20], &[], &Shared::default());
        let all = letters(&marks, &names[..20]);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 20);
        assert!(all.contains(&first));
    }

    #[test]
    fn colours_are_their_own_up_to_twelve_and_of_the_family_or_the_cluster_beyond() {
        let mut marks = ExpertMarks::default();
        let hues = |marks: &ExpertMarks, names: &[String]| -> Vec<usize> {
            names.iter().map(|name| marks.of(name).hue).collect()
        };
        marks.update(&names(12), &[], &Shared::default());
        assert_eq!(hues(&marks, &names(12)), (0..12).collect::<Vec<_>>());
        let family = |i: usize| if i < 20 { "first" } else { "second" };
        let experts = (0..24).map(|i| fixtures::expert(i, &names(24)[i], "task", family(i))).collect();
        let mut shared = Shared { library: Some(fixtures::with_experts(experts)), ..Shared::default() };
        marks.update(&names(24), &[], &shared);
        assert_eq!(hues(&marks, &names(24)), (0..24).map(|i| usize::from(i >= 20)).collect::<Vec<_>>());
        // Clusters, once there are some; grey where an expert has none, and for the thirteenth.
        let clustering = Clustering {
            experts: names(23),
            labels: (0..23).map(|i| i % 14).collect(),
            k: 14,
            ..(*fixtures::clustering()).clone()
        };
        shared.clustering = Some(Arc::new(clustering));
        marks.update(&names(24), &[], &shared);
        let hues = hues(&marks, &names(24));
        assert_eq!((hues[0], hues[3], hues[12], hues[13], hues[14], hues[23]), (0, 3, 11, 11, 0, 11));
    }
}
