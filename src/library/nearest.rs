//! Names that people type: found as printed, and "did you mean" for those that are not found.

use crate::text::printable;

/// Index of the name that was typed: as it is, else as it is printed, with control characters escaped.
pub fn find_name<'a>(names: impl Iterator<Item = &'a str> + Clone, typed: &str) -> Option<usize> {
    let exact = names.clone().position(|name| name == typed);
    exact.or_else(|| names.into_iter().position(|name| printable(name) == typed))
}

/// Edit distance in which swapping two neighbours counts once (optimal string alignment), in characters.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = b.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, &y) in b.iter().enumerate() {
            let change = last[j] + usize::from(x != y);
            row[j + 1] = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Up to `count` of `names` that someone who typed `typed` may have meant, nearest first.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    // Distances are quadratic in the length: nobody mistypes a name this long.
    const LONGEST: usize = 200;
    let lower: String = typed.chars().take(LONGEST).collect::<String>().to_lowercase();
    let close = (lower.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = names
        .filter(|name| name.len() <= LONGEST)
        .filter_map(|name| {
            let other = name.to_lowercase();
            let distance = edit_distance(&lower, &other);
            if distance <= close {
                Some((distance, name))
            } else if lower.len() >= 3 && other.contains(&lower) {
                Some((close + 1, name))
            } else {
                None
            }
        })
        .collect();
    found.sort();
    found.into_iter().take(count).map(|(_, name)| name).collect()
}
