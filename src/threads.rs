//! The threads that compute.

use std::sync::atomic::{AtomicBool, Ordering};

/// What sets the number of threads of a pool, also for candle and for the processes that this one starts.
const VARIABLE: &str = "RAYON_NUM_THREADS";
/// Whether a screen wants a core of its own.
static SCREEN: AtomicBool = AtomicBool::new(false);

/// Keeps a core for the screen where there are more than two: pools of compute threads, also those of job
/// workers, are smaller by one from now on. To be called before anything computes: a pool keeps its size.
pub fn leave_room_for_the_screen() {
    SCREEN.store(true, Ordering::Relaxed);
    if let Some(threads) = fewer() {
        // The pool of work outside `compute_here`. An error means that it runs already.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
}

/// How many threads a pool gets, if not as many as rayon takes by itself.
fn fewer() -> Option<usize> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let is_set = std::env::var_os(VARIABLE).is_some();
    (SCREEN.load(Ordering::Relaxed) && !is_set).then(|| beside_a_screen(cores)).flatten()
}

/// The threads that compute beside a screen, where that differs from the number of cores.
fn beside_a_screen(cores: usize) -> Option<usize> {
    (cores > 2).then(|| cores - 1)
}

/// The environment variable that gives processes started from here pools of the same size, if it has to be set.
pub fn environment() -> Option<(&'static str, String)> {
    fewer().map(|threads| (VARIABLE, threads.to_string()))
}

/// The environment variable that gives processes started from here pools of so many threads, or of as many as there are
/// cores, where that is fewer.
pub fn environment_of(threads: usize) -> (&'static str, String) {
    let cores = std::thread::available_parallelism().map_or(threads, std::num::NonZero::get);
    (VARIABLE, threads.min(cores).to_string())
}

/// Makes the calling thread one of a pool of compute threads, as many as there are cores (or as
/// `RAYON_NUM_THREADS` says), one fewer beside a screen. Parallel work that it starts then runs on it too; otherwise it would sleep
/// and be woken again at every product of the model, hundreds of times per token.
///
/// For threads that work until their process or engine ends: the pool is never given back. Calling it again
/// on the same thread changes nothing.
pub fn compute_here() {
    // An error means that the thread is in a pool already, or that no more threads can be had: work then
    // runs in the common pool.
    // Zero threads are as many as rayon takes by itself.
    let threads = fewer().unwrap_or(0);
    if let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build() {
        // A dropped pool ends its other threads.
        std::mem::forget(pool);
    }
}

/// From now on little memory that this process frees stays with it, for processes that live long and compute now and
/// then. By itself the allocator keeps up to eight heaps per core, each as large as the largest work that one of its
/// threads ever did: hundreds of megabytes where one is in use. To be called before there are other threads.
pub fn keep_little_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    {
        let heaps = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 8) as i32;
        // SAFETY: settings of the allocator: how many heaps, from which size on memory is asked from the system and
        // given back alone, how much stays at the end of a heap.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, heaps);
            libc::mallopt(libc::M_MMAP_THRESHOLD, 4 << 20);
            libc::mallopt(libc::M_TRIM_THRESHOLD, 4 << 20);
        }
    }
}

/// Gives freed memory within heaps back to the system, which [`keep_little_freed_memory`] does at their ends.
pub fn give_back_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    // SAFETY: the allocator locks its heaps, and what is in use stays where it is.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Tokens of one task where there are `rows`: each thread gets some, between 4 and 64, and reads experts and
/// prototypes but once.
pub(crate) fn rows_per_task(rows: usize) -> usize {
    const LEAST: usize = 4;
    const MOST: usize = 64;
    rows.div_ceil(rayon::current_num_threads()).next_multiple_of(LEAST).min(MOST)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_screen_takes_a_core_where_there_are_more_than_two() {
        assert_eq!([1, 2, 3, 16].map(super::beside_a_screen), [None, None, Some(2), Some(15)]);
    }

    #[test]
    fn a_process_gets_no_more_threads_than_there_are_cores() {
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(super::environment_of(1).1, "1");
        assert_eq!(super::environment_of(4096).1, cores.min(4096).to_string());
    }

    #[test]
    fn the_caller_computes_and_the_others_help() {
        let inside = std::thread::spawn(|| {
            super::compute_here();
            super::compute_here();
            assert_eq!(rayon::current_thread_index(), Some(0));
            if rayon::current_num_threads() == 1 {
                return true;
            }
            // One half waits for the other, which only another thread can run meanwhile.
            let (send, receive) = channel();
            let waits = move || receive.recv_timeout(Duration::from_secs(20)).is_ok();
            rayon::join(waits, move || send.send(()).is_ok()).0
        });
        assert!(inside.join().unwrap(), "the pool has no other thread");
    }
}
