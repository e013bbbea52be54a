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
    use std::sync::mpsc::channel;
    use std::time::Duration;

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
            let (tell, hear) = channel();
            let waits = move || hear.recv_timeout(Duration::from_secs(20)).is_ok();
            rayon::join(waits, move || tell.send(()).is_ok()).0
        });
        assert!(inside.join().unwrap(), "the pool has no other thread");
    }
}
