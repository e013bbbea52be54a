use std::ops::Range;

use half::f16;

use super::layout::Q8Chunk;
use super::rows::Operands;
use super::*;

fn random(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..n).map(|_| next()).collect()
}

/// The stored weight as f32 [out, in].
fn product(x: &[f32], w: &[f32], rows: usize, inputs: usize, outputs: usize) -> Vec<f64> {
    let mut y = vec![0f64; rows * outputs];
    for r in 0..rows {
        for o in 0..outputs {
            y[r * outputs + o] =
                (0..inputs).map(|i| f64::from(x[r * inputs + i]) * f64::from(w[o * inputs + i])).sum();
        }
    }
    y
}

/// Reads a matrix that is in memory.
fn rows_of(w: &[f32], inputs: usize) -> impl Fn(Range<usize>, &mut [f32]) -> Result<()> + Sync {
    move |rows, out| {
        out.copy_from_slice(&w[rows.start * inputs..rows.end * inputs]);
        Ok(())
    }
}

fn pack(precision: Precision, w: &[f32], outputs: usize, inputs: usize) -> PackedWeight {
    PackedWeight::new(precision, (outputs, inputs), &rows_of(w, inputs)).unwrap()
}

/// bf16 inputs carry 8 bits: each product is off by at most 2⁻⁸ of its size.
fn assert_close(precision: Precision, got: &[f32], want: &[f64], inputs: usize) {
    let share = if precision == Precision::F32 { 6e-7 } else { 0.004 };
    let tolerance = share * (inputs as f64).sqrt();
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*g) - w).abs() < tolerance, "{i}: {g} vs {w}");
    }
}

#[test]
fn products_are_those_of_the_stored_weights_at_every_size() {
    for (outputs, inputs) in [(1, 1), (32, 32), (33, 31), (96, 64), (40, 1100), (1100, 40)] {
        let w = random(outputs * inputs, 1);
        for precision in [Precision::F32, Precision::Bf16, Precision::Q8] {
            let panels = pack(precision, &w, outputs, inputs);
            let own = panels.unpack();
            assert!(own.iter().zip(&w).all(|(a, b)| (a - b).abs() <= 0.005 * b.abs() + 0.0025));
            assert!(precision != Precision::F32 || own == w);
            for rows in [1, 2, 3, 12, 13, 30, 200] {
                let x = random(rows * inputs, 2);
                let [y] = PackedWeight::forward([&panels], &x, rows);
                assert_close(precision, &y, &product(&x, &own, rows, inputs, outputs), inputs);

                let dy = random(rows * outputs, 3);
                let dx = panels.backward(&dy, rows);
                let transposed: Vec<f32> =
                    (0..inputs * outputs).map(|i| own[i % outputs * inputs + i / outputs]).collect();
                assert_close(precision, &dx, &product(&dy, &transposed, rows, outputs, inputs), outputs);
            }
        }
    }
}

#[test]
fn weights_together_give_what_each_gives_alone() {
    let inputs = 70;
    for precision in [Precision::F32, Precision::Bf16, Precision::Q8] {
        let all = [40, 1, 64].map(|outputs| pack(precision, &random(outputs * inputs, 1), outputs, inputs));
        for rows in [1, 2, 5, 120] {
            let x = random(rows * inputs, 2);
            let together = PackedWeight::forward(all.each_ref(), &x, rows);
            for (weight, y) in all.iter().zip(together) {
                assert_eq!([y], PackedWeight::forward([weight], &x, rows), "{precision} {rows}");
            }
        }
    }
}

#[test]
fn every_way_to_multiply_gives_the_same() {
    let (outputs, inputs, rows) = (70, 1100, 45);
    let (w, x) = (random(outputs * inputs, 1), random(rows * inputs, 2));
    for (precision, element) in [(Precision::F32, Element::F32), (Precision::Bf16, Element::Bf16)] {
        let panels = pack(precision, &w, outputs, inputs);
        let want = product(&x, &panels.unpack(), rows, inputs, outputs);
        let (without, words) = (Operands::None, Operands::words(&x, inputs, element));
        for (way, operands) in
            [without, words, Rows::new(&x, inputs, element).operands].into_iter().enumerate()
        {
            let rounds = element == Element::Bf16 && !matches!(operands, Operands::None);
            let rows = Rows { values: &x, width: inputs, count: rows, element, operands };
            let all = inputs / element.inputs();
            let fill = |[out]: [Columns; 1]| {
                for p in 0..panels.panels() {
                    for from in (0..all).step_by(SLICES) {
                        let slices = (from, (from + SLICES).min(all));
                        let (mut widened, mut scratch) = (Vec::new(), Scratch::default());
                        let slices = panels.slices(p, slices, &mut widened);
                        rows.times(0..rows.count, slices, from, out, p * WIDTH, &mut scratch);
                    }
                }
            };
            // SAFETY: the panels cover all columns.
            let [y] = unsafe { Columns::filled(rows.count, [outputs], fill) };
            // Without the instructions the rows of f32 are not rounded.
            let most = if rounds { 0.1 } else { 1e-4 };
            let off = y.iter().zip(&want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(off < most, "{precision} {way}: {off}");
        }
    }
}

#[test]
fn tasks_cover_every_row_of_every_panel_once() {
    for (panels, count) in [(1, 1), (3, 12), (6, 512), (1, 1000), (40, 200), (2, 97), (0, 5)] {
        let values = vec![0f32; count];
        let mut seen = vec![0; panels * count];
        for (panel, rows) in Rows::new(&values, 1, Element::F32).tasks(panels).collect::<Vec<_>>() {
            rows.for_each(|row| seen[panel * count + row] += 1);
        }
        assert!(seen.iter().all(|&times| times == 1), "{panels} {count}");
    }
}

#[test]
fn values_of_a_q8_file_are_kept() {
    // What a Q8_0 file holds: whole numbers up to 127 times an f16 scale.
    let scale = f16::from_f32(0.0173).to_f32();
    let w: Vec<f32> =
        (0..64).map(|i| if i % 32 == 5 { 127.0 } else { (i as f32 * 7.0) % 100.0 - 50.0 } * scale).collect();
    assert_eq!(pack(Precision::Q8, &w, 1, 64).unpack(), w);
}

/// A chunk's values as the kernel takes them.
fn values(chunk: &Q8Chunk) -> impl Iterator<Item = f32> {
    let byte = |words: &[u32], i: usize| f32::from(words[i / 4].to_le_bytes()[i % 4] as i8);
    (0..BLOCK).map(move |i| chunk.scale * (byte(&chunk.high, i) + byte(&chunk.low, i) / 256.0))
}

#[test]
fn rows_in_8_bits_are_near_and_give_exact_products() {
    let (outputs, inputs) = (70, 1111);
    let panels = pack(Precision::Q8, &random(outputs * inputs, 1), outputs, inputs);
    for rows in 1..=13 {
        let mut x = random(rows * inputs, 2);
        // A column that stands out, and a row of zeros.
        x.iter_mut().skip(100).step_by(inputs).for_each(|x| *x *= 40.0);
        x[..inputs].fill(0.0);
        let Some(q8_rows) = Q8Rows::new(&x, inputs) else { return };
        let mut held = Vec::new();
        for (chunks, x) in q8_rows.chunks.chunks(inputs.div_ceil(BLOCK)).zip(x.chunks(inputs)) {
            for (chunk, x) in chunks.iter().zip(x.chunks(BLOCK)) {
                // Half a step; a whole one where a low byte would be 128.
                let step = chunk.scale * if chunk.fine { 1.0 / 256.0 } else { 0.5 };
                assert!(values(chunk).zip(x).all(|(v, x)| (v - x).abs() <= 1.01 * step), "{step}");
                held.extend(values(chunk).take(x.len()));
            }
            let fine: Vec<usize> = (0..chunks.len()).filter(|&b| chunks[b].fine).collect();
            assert_eq!(fine, if x[0] == 0.0 { vec![] } else { vec![100 / BLOCK] });
        }
        let want = product(&held, &panels.unpack(), rows, inputs, outputs);
        let [y] = PackedWeight::forward([&panels], &x, rows);
        assert_close(Precision::F32, &y, &want, inputs);
    }
}

#[test]
fn what_is_not_finite_stays_so_in_its_own_row() {
    let (outputs, inputs) = (33, 70);
    for precision in [Precision::F32, Precision::Bf16, Precision::Q8] {
        let panels = pack(precision, &random(outputs * inputs, 1), outputs, inputs);
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for rows in [1, 3, 8] {
                let mut x = random(rows * inputs, 2);
                x[35] = wrong;
                let [y] = PackedWeight::forward([&panels], &x, rows);
                assert!(y[..outputs].iter().all(|y| !y.is_finite()), "{precision} {wrong}");
                assert!(y[outputs..].iter().all(|y| y.is_finite()), "{precision} {wrong}");
            }
        }
    }
}
