use std::ops::Range;

use half::f16;

use super::layout::{Q8Block, Q8Chunk};
use super::rows::Operands;
use super::*;
use crate::cpu;
use crate::cpu::each::{level_runs, skipped};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Q8];

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
///
/// Sums without a third of their inputs would be off by 0.05 · √inputs on average, ten times the tolerance.
fn assert_close(name: &str, precision: Precision, got: &[f32], want: &[f64], inputs: usize) {
    assert_eq!(got.len(), want.len(), "{name}");
    let share = if precision == Precision::F32 { 6e-7 } else { 0.004 };
    let tolerance = share * (inputs as f64).sqrt();
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*g) - w).abs() < tolerance, "{name}: value {i} is {g}, not {w}");
    }
}

/// `w` [rows, columns] with rows and columns swapped.
fn transposed(w: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns * rows).map(|i| w[i % rows * columns + i / rows]).collect()
}

/// Products of `rows` rows with a packed weight, forward and backward, against those of what it stores.
fn check_products(level: &str, precision: Precision, (outputs, inputs): (usize, usize), rows: &[usize]) {
    let w = random(outputs * inputs, 1);
    let packed = pack(precision, &w, outputs, inputs);
    let own = packed.unpack();
    assert!(own.iter().zip(&w).all(|(a, b)| (a - b).abs() <= 0.005 * b.abs() + 0.0025));
    assert!(precision != Precision::F32 || own == w);
    for &rows in rows {
        let name = format!("{level}, {precision}, {rows} × {inputs} × {outputs}");
        let x = random(rows * inputs, 2);
        let [y] = PackedWeight::forward([&packed], &x, rows);
        assert_close(&name, precision, &y, &product(&x, &own, rows, inputs, outputs), inputs);

        let dy = random(rows * outputs, 3);
        let dx = packed.backward(&dy, rows);
        let own = transposed(&own, outputs, inputs);
        let want = product(&dy, &own, rows, outputs, inputs);
        assert_close(&name, precision, &dx, &want, outputs);
    }
}

/// All of `values`; under Miri, which takes thousands of times as long, the first `few`.
fn sizes<T>(values: &[T], few: usize) -> &[T] {
    if cfg!(miri) { &values[..few] } else { values }
}

#[test]
fn products_are_those_of_the_stored_weights_at_every_size_and_level() {
    level_runs(|level| {
        for shape in sizes(&[(1, 1), (32, 32), (33, 31), (96, 64), (40, 1100), (1100, 40)], 3) {
            for precision in PRECISIONS {
                check_products(level, precision, *shape, sizes(&[1, 2, 13, 3, 12, 30, 200], 3));
            }
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn sums_over_more_slices_than_are_worked_on_at_once_are_added_up() {
    // 4096 bf16 values are 2048 slices, which come in three stretches: forward in the first shape, backward in the
    // second. In the third the last stretch ends within a step.
    level_runs(|level| {
        for shape in [(64, 4096), (4096, 64), (33, 3075)] {
            for precision in PRECISIONS {
                check_products(level, precision, shape, &[1, 9, 45, 100]);
            }
        }
    });
}

#[test]
fn weights_together_give_what_each_gives_alone() {
    let inputs = 70;
    level_runs(|level| {
        for precision in PRECISIONS {
            let all =
                [40, 1, 64].map(|outputs| pack(precision, &random(outputs * inputs, 1), outputs, inputs));
            for rows in [0, 1, 2, 5, 120] {
                let x = random(rows * inputs, 2);
                let together = PackedWeight::forward(all.each_ref(), &x, rows);
                for (weight, y) in all.iter().zip(together) {
                    assert_eq!([y], PackedWeight::forward([weight], &x, rows), "{level} {precision} {rows}");
                }
            }
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn every_kernel_gives_the_sums_of_the_loops_without_instructions() {
    // More slices than are worked on at once, so that each kernel adds to its own sums.
    let (outputs, inputs, rows) = (70, 3400, 45);
    let (w, x) = (random(outputs * inputs, 1), random(rows * inputs, 2));
    level_runs(|level| {
        for (precision, element) in [(Precision::F32, Element::F32), (Precision::Bf16, Element::Bf16)] {
            let packed = pack(precision, &w, outputs, inputs);
            let own = packed.unpack();
            let (without, words) = (Operands::None, Operands::words(&x, inputs, element));
            let all = [without, words, Rows::new(&x, inputs, element).operands];
            for (kernel, operands) in all.into_iter().enumerate() {
                // Kernels of bf16 round rows too; then sums of the same products differ by the rounding of f32 only.
                let rounds = element == Element::Bf16 && !matches!(operands, Operands::None);
                let round = |v: &f32| if rounds { half::bf16::from_f32(*v).to_f32() } else { *v };
                let taken: Vec<f32> = x.iter().map(round).collect();
                let want = product(&taken, &own, rows, inputs, outputs);
                let x = Rows { values: &x, width: inputs, element, operands };
                let slices = inputs.div_ceil(element.inputs());
                let scratch = || (Vec::new(), Scratch::default());
                let [y] = compute(rows, [outputs], x.split(0), scratch, |(widened, scratch), out| {
                    for from in (0..slices).step_by(SLICES) {
                        let to = (from + SLICES).min(slices);
                        x.times(packed.slices(out.panel(), (from, to), widened), from, out, scratch);
                    }
                });
                let off = y.iter().zip(&want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                assert!(off < 1e-4, "{level}, {precision}, kernel {kernel}: {off}");
            }
        }
    });
}

#[test]
fn squares_are_transposed_alike_at_every_level() {
    let from: Vec<KSlice> =
        (0..WIDTH).map(|i| KSlice(std::array::from_fn(|j| (i * 0x1_0003 + j * 0x101) as u32))).collect();
    level_runs(|level| {
        let mut to = vec![KSlice::ZERO; WIDTH];
        transpose_f32(&from, &mut to);
        let right = |i: usize, j: usize| to[j].0[i] == from[i].0[j];
        assert!((0..WIDTH).all(|i| (0..WIDTH).all(|j| right(i, j))), "{level}");

        // A square that is cut short by the end of the inputs.
        let mut to = vec![KSlice::ZERO; WIDTH];
        transpose_f32(&from[..5], &mut to);
        let right = |i: usize, j: usize| to[j].0[i] == if i < 5 { from[i].0[j] } else { 0 };
        assert!((0..WIDTH).all(|i| (0..WIDTH).all(|j| right(i, j))), "{level}");

        let mut to = vec![KSlice::ZERO; WIDTH / 2];
        transpose_bf16(&from[..WIDTH / 2], &mut to);
        let half = |slices: &[KSlice], i: usize, j: usize| slices[i / 2].0[j] >> (16 * (i % 2)) & 0xffff;
        assert!((0..WIDTH).all(|i| (0..WIDTH).all(|j| half(&to, j, i) == half(&from, i, j))), "{level}");
    });
}

#[test]
fn blocks_are_widened_alike_at_every_level() {
    let mut block = Q8Block::ZERO;
    for (g, words) in block.words.iter_mut().enumerate() {
        for (j, word) in words.iter_mut().enumerate() {
            // −127 to 127, as they are packed.
            *word = u32::from_le_bytes(std::array::from_fn(|i| ((g * 31 + j * 7 + i * 89) % 255) as u8 + 1));
        }
    }
    let scale = |j: usize| f16::from_f32([0.0, 1e-7, 0.0173, 3.0][j % 4] * (1.0 + j as f32));
    (0..WIDTH).for_each(|j| block.scales[j] = scale(j));
    level_runs(|level| {
        let mut slices = [KSlice::ZERO; BLOCK / 2];
        q8::widen_block(&block, &mut slices);
        for j in 0..WIDTH {
            for (i, weight) in block.weights(j).enumerate() {
                let got = (slices[i / 2].0[j] >> (16 * (i % 2))) as u16;
                let want = half::bf16::from_f32(weight).to_bits();
                // The sign of zero says nothing.
                let zero = weight == 0.0 && got & 0x7fff == 0;
                assert!(got == want || zero, "{level}: {i}, {j} is {got:x}, not {want:x} ({weight})");
            }
        }
    });
}

#[test]
fn values_of_a_q8_file_are_kept() {
    // What a Q8_0 file contains: whole numbers up to 127 times an f16 scale.
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
    if !cpu::vnni() {
        return skipped("no AVX-512 VNNI");
    }
    let (outputs, inputs) = (70, 1111);
    let panels = pack(Precision::Q8, &random(outputs * inputs, 1), outputs, inputs);
    for rows in 1..=13 {
        let mut x = random(rows * inputs, 2);
        // A column that stands out, and a row of zeros.
        x.iter_mut().skip(100).step_by(inputs).for_each(|x| *x *= 40.0);
        x[..inputs].fill(0.0);
        let q8_rows = Q8Rows::new(&x, inputs).expect("the CPU has the instructions");
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
        assert_close("8 bits", Precision::F32, &y, &want, inputs);
    }
}

#[test]
fn what_is_not_finite_stays_so_in_its_own_row() {
    let (outputs, inputs) = (33, 70);
    level_runs(|level| {
        for precision in PRECISIONS {
            let packed = pack(precision, &random(outputs * inputs, 1), outputs, inputs);
            for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for rows in [1, 3, 8] {
                    let mut x = random(rows * inputs, 2);
                    x[35] = wrong;
                    let [y] = PackedWeight::forward([&packed], &x, rows);
                    let name = format!("{level} {precision} {wrong}");
                    assert!(y[..outputs].iter().all(|y| !y.is_finite()), "{name}");
                    assert!(y[outputs..].iter().all(|y| y.is_finite()), "{name}");
                }
            }
        }
    });
}
