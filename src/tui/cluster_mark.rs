//! How a cluster, or another group of experts, is marked: by its number. Letters are marks of experts.

use crate::analysis::cluster_number;

/// The mark of a group.
pub fn mark(group: usize) -> String {
    cluster_number(group).to_string()
}

/// The mark of a group where there is a single cell: the last digit. The colour says the rest.
pub fn one_cell(group: usize) -> char {
    char::from(b'0' + (cluster_number(group) % 10) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_from_one() {
        assert_eq!([0, 8, 9, 41].map(mark), ["1", "9", "10", "42"]);
        assert_eq!([0, 8, 9, 41].map(one_cell), ['1', '9', '0', '2']);
    }
}
