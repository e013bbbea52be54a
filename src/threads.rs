//! The threads that compute.

/// Makes the calling thread one of a pool of compute threads, as many as there are cores (or as
/// `RAYON_NUM_THREADS` says). Parallel work that it starts then runs on it too; otherwise it would sleep
/// and be woken again at every product of the model, hundreds of times a token.
///
/// For threads that work until their process or engine ends: the pool is never given back. Calling it again
/// on the same thread changes nothing.
pub fn compute_here() {
    // An error means that the thread is in a pool already, or that no more threads can be had: work then
    // runs in the common pool.
    if let Ok(pool) = rayon::ThreadPoolBuilder::new().use_current_thread().build() {
        // A dropped pool ends its other threads.
        std::mem::forget(pool);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_caller_becomes_a_compute_thread() {
        let inside = std::thread::spawn(|| {
            super::compute_here();
            super::compute_here();
            let (a, b) = rayon::join(rayon::current_thread_index, || 2);
            (a, b)
        });
        assert_eq!(inside.join().unwrap(), (Some(0), 2));
    }
}
