//! Plain slices over candle tensors on the CPU, for kernels that candle lacks.

use std::mem::MaybeUninit;
use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Storage, Tensor};
use rayon::prelude::*;

use crate::Result;

/// The values of an f32 tensor: borrowed on the CPU, a copy from elsewhere.
enum Values<G> {
    Borrowed { guard: G, range: Range<usize> },
    Copied(Vec<f32>),
}

impl<G: Deref<Target = Storage>> Deref for Values<G> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Borrowed { guard, range } => match &**guard {
                Storage::Cpu(CpuStorage::F32(values)) => &values[range.clone()],
                // `values` let nothing else in, and the guard keeps the storage as it was.
                _ => &[],
            },
            Self::Copied(values) => values,
        }
    }
}

/// The values of `tensor`, which must be f32; without a copy where it is contiguous and on the CPU.
pub(crate) fn values(tensor: &Tensor) -> Result<impl Deref<Target = [f32]> + '_> {
    let (guard, layout) = tensor.storage_and_layout();
    match (&*guard, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(_)), Some((start, end))) => {
            Ok(Values::Borrowed { guard, range: start..end })
        }
        _ => {
            drop(guard);
            Ok(Values::Copied(tensor.flatten_all()?.to_vec1()?))
        }
    }
}

/// Bytes from which memory is asked for in huge pages: many of them fit.
#[cfg(all(target_os = "linux", not(miri)))]
const HUGE: usize = 4 << 20;

/// Room for `count` items. Large stretches come in huge pages where the system has them: far fewer are looked up
/// and cleared.
pub(crate) fn room<T>(count: usize) -> Vec<T> {
    let all: Vec<T> = Vec::with_capacity(count);
    #[cfg(all(target_os = "linux", not(miri)))]
    if let Some(bytes) = count.checked_mul(size_of::<T>()).filter(|bytes| *bytes >= HUGE) {
        let start = all.as_ptr() as usize;
        let (first, end) = (start.next_multiple_of(4096), (start + bytes) / 4096 * 4096);
        // SAFETY: the pages lie within the vector's own memory, whose contents the advice leaves alone. Where the
        // system does not take it, nothing changes.
        unsafe { libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_HUGEPAGE) };
    }
    all
}

/// From now on memory that this process frees stays with it, so that passes of the same shapes, step after step,
/// write to pages that are there: the system would clear them again each time. For training, whose every step
/// needs as much.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    // SAFETY: both are settings of the allocator. 32 MiB is the most it takes for stretches of the heap.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// `count` items in chunks of `size`, each chunk filled by `fill`, which finds it full of `empty`. Chunks are
/// written by the thread that fills them: going over gigabytes beforehand would take as long.
///
/// # Errors
/// The first of `fill`.
pub(crate) fn filled<T: Copy + Send + Sync>(
    count: usize,
    size: usize,
    empty: T,
    fill: impl Fn(usize, &mut [T]) -> Result<()> + Sync,
) -> Result<Vec<T>> {
    let mut all: Vec<T> = room(count);
    let room = &mut all.spare_capacity_mut()[..count];
    room.par_chunks_mut(size.max(1))
        .enumerate()
        .try_for_each(|(index, chunk)| fill(index, write(chunk, empty)))?;
    // SAFETY: the chunks cover all `count` items, and each was written.
    unsafe { all.set_len(count) };
    Ok(all)
}

/// Writes `empty` everywhere.
fn write<T: Copy>(room: &mut [MaybeUninit<T>], empty: T) -> &mut [T] {
    room.iter_mut().for_each(|item| {
        item.write(empty);
    });
    // SAFETY: every item was written just above.
    unsafe { &mut *(room as *mut [MaybeUninit<T>] as *mut [T]) }
}

/// As [`filled`] with zeros: `N` vectors at once, without errors.
pub(crate) fn computed<const N: usize>(
    count: usize,
    size: usize,
    fill: impl Fn(usize, [&mut [f32]; N]) + Sync,
) -> [Vec<f32>; N] {
    let mut all: [Vec<f32>; N] = std::array::from_fn(|_| room(count));
    let size = size.max(1);
    let starts = all.each_mut().map(|v| Room(v.as_mut_ptr()));
    (0..count.div_ceil(size)).into_par_iter().for_each(|index| {
        let len = size.min(count - index * size);
        let chunks = starts.each_ref().map(|start| {
            // SAFETY: there is room for `count` values, of which each chunk is one task's alone.
            let room = unsafe { std::slice::from_raw_parts_mut(start.at(index * size), len) };
            write(room, 0.0)
        });
        fill(index, chunks)
    });
    // SAFETY: the chunks cover all `count` values, and each was written.
    all.iter_mut().for_each(|v| unsafe { v.set_len(count) });
    all
}

/// Where a vector's room begins.
struct Room(*mut f32);
// SAFETY: tasks take disjoint parts.
unsafe impl Sync for Room {}

impl Room {
    fn at(&self, offset: usize) -> *mut MaybeUninit<f32> {
        self.0.wrapping_add(offset).cast()
    }
}

/// `values` [rows, columns] as [columns, rows].
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0f32; values.len()];
    out.par_chunks_mut((rows * TILE).max(1)).enumerate().for_each(|(block, out)| {
        let first = block * TILE;
        let width = out.len() / rows.max(1);
        for r0 in (0..rows).step_by(TILE) {
            for c in 0..width {
                for r in r0..(r0 + TILE).min(rows) {
                    out[c * rows + r] = values[r * columns + first + c];
                }
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_filled_chunk_by_chunk() {
        let some = filled(5, 2, 1u8, |at, chunk| {
            chunk[0] = at as u8 + 5;
            Ok(())
        });
        assert_eq!(some.unwrap(), [5, 1, 6, 1, 7]);
        assert!(filled(6, 2, 1u8, |_, _| Err(crate::Error::msg("no"))).is_err());
        let [a, b] = computed(5, 2, |at, [a, b]| {
            a[0] = at as f32;
            b.iter_mut().for_each(|b| *b = a.len() as f32);
        });
        assert_eq!((a, b), (vec![0.0, 0.0, 1.0, 0.0, 2.0], vec![2.0, 2.0, 2.0, 2.0, 1.0]));
    }
}
