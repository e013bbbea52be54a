//! How the values of a factor lie in their file, where that is not simply row after row.

/// An order of values in a file that differs from row after row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::library) enum View {
    /// Value (i, j) of the `rows × columns` lies `i · steps.0 + j · steps.1` values after the first.
    Steps { rows: usize, columns: usize, steps: (usize, usize) },
    /// Rows of heads as llama.cpp has them for Llama: the two halves of each head, which rotary embedding
    /// pairs, are interleaved. `head` rows make a head.
    Interleaved { columns: usize, head: usize },
    /// Rows of a fused projection of GPT-NeoX as llama.cpp has them: all q, all k, all v, instead of q, k, v
    /// head by head.
    Separated { columns: usize, head: usize },
}

impl View {
    /// `rows × columns` values that lie column after column.
    pub fn transposed(rows: usize, columns: usize) -> Self {
        Self::Steps { rows, columns, steps: (1, rows) }
    }

    /// The values row after row. `None` when there are fewer than the view needs.
    pub fn apply(self, stored: &[f32]) -> Option<Vec<f32>> {
        match self {
            Self::Steps { rows, columns, steps: (down, right) } => {
                let mut out = Vec::with_capacity(rows.checked_mul(columns)?);
                for row in 0..rows {
                    for column in 0..columns {
                        let at = row.checked_mul(down)?.checked_add(column.checked_mul(right)?)?;
                        out.push(*stored.get(at)?);
                    }
                }
                Some(out)
            }
            Self::Interleaved { columns, head } => by_rows(stored, columns, |row| {
                let (start, at) = (row - row % head, row % head);
                start + 2 * (at % (head / 2)) + at / (head / 2)
            }),
            Self::Separated { columns, head } => {
                let heads = stored.len() / columns.max(1) / (3 * head).max(1);
                by_rows(stored, columns, |row| {
                    let (at, part, which) = (row % head, row / head % 3, row / head / 3);
                    (part * heads + which) * head + at
                })
            }
        }
    }
}

/// Takes each row from where `place` says that it lies.
fn by_rows(stored: &[f32], columns: usize, place: impl Fn(usize) -> usize) -> Option<Vec<f32>> {
    let rows = stored.len().checked_div(columns)?;
    let mut out = Vec::with_capacity(stored.len());
    for row in 0..rows {
        let at = place(row) * columns;
        out.extend_from_slice(stored.get(at..at + columns)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order() {
        let stored: Vec<f32> = (0..6u8).map(f32::from).collect();
        assert_eq!(View::transposed(2, 3).apply(&stored).unwrap(), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        assert!(View::transposed(3, 3).apply(&stored).is_none());

        // Two heads of four rows: llama.cpp stores the rows 0 2 1 3 of each.
        let original: Vec<f32> = (0..8u8).map(f32::from).collect();
        let stored = [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0];
        assert_eq!(View::Interleaved { columns: 1, head: 4 }.apply(&stored).unwrap(), original);

        // Two heads of two rows: q0 k0 v0 q1 k1 v1 is stored as q0 q1 k0 k1 v0 v1.
        let original: Vec<f32> = (0..12u8).map(f32::from).collect();
        let stored = [0.0, 1.0, 6.0, 7.0, 2.0, 3.0, 8.0, 9.0, 4.0, 5.0, 10.0, 11.0];
        assert_eq!(View::Separated { columns: 1, head: 2 }.apply(&stored).unwrap(), original);
    }
}
