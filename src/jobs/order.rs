//! Which of the jobs that wait on this machine comes first, and how that is changed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::layout::{ORDER, SPEC};
use crate::outside::own;

/// Largest `order` that is read.
const MAX_ORDER: u64 = 64;

/// What decides which of two waiting jobs is first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuePlace {
    /// The order that somebody gave it; 0 where nobody has.
    order: i64,
    /// Else the older one.
    submitted: Option<SystemTime>,
    job: PathBuf,
}

/// The place of a job.
pub fn place(job: &Path) -> QueuePlace {
    QueuePlace { order: order(job), submitted: submitted(job), job: job.to_path_buf() }
}

/// Where a waiting job is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueMove {
    /// Before all others.
    First,
    /// Before the one that is before it.
    Earlier,
    /// Behind the one that is behind it.
    Later,
}

/// The orders to be given so that one of these jobs, which wait, is put somewhere else: as few as that takes. Those
/// that are started later stay behind all of them.
pub fn reordered(mut places: Vec<QueuePlace>, job: &Path, to: QueueMove) -> Vec<(PathBuf, i64)> {
    places.sort();
    let Some(at) = places.iter().position(|place| place.job == job) else { return Vec::new() };
    let last = places.len() - 1;
    let end = match to {
        QueueMove::First => {
            let moved = places.remove(at);
            places.insert(0, moved);
            0
        }
        QueueMove::Earlier => {
            places.swap(at, at.saturating_sub(1));
            at.saturating_sub(1)
        }
        QueueMove::Later => {
            places.swap(at, (at + 1).min(last));
            at
        }
    };
    // From the one that was put somewhere to the front, each is before the next.
    let mut orders = Vec::new();
    for at in (0..=end).rev() {
        let Some([place, next]) = places.get_mut(at..at + 2) else { continue };
        if place < next {
            continue;
        }
        place.order = next.order;
        if place >= next {
            place.order = next.order.saturating_sub(1);
        }
        orders.push((place.job.clone(), place.order));
    }
    orders
}

/// The order that somebody gave a job; 0 where nobody has.
fn order(job: &Path) -> i64 {
    let text = own::read(&job.join(ORDER), MAX_ORDER).ok().flatten().unwrap_or_default();
    std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// When a job was submitted: nothing touches its spec later.
pub fn submitted(job: &Path) -> Option<SystemTime> {
    job.join(SPEC).metadata().and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_job_without_an_order_has_the_usual_one() {
        assert_eq!(order(Path::new("/none")), 0);
    }

    #[test]
    fn waiting_jobs_are_put_before_each_other_with_few_orders_and_none_behind_later_ones() {
        let started = |second: u64, order| QueuePlace {
            order,
            submitted: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second)),
            job: format!("job-{second}").into(),
        };
        let mut queue: Vec<QueuePlace> = (1..=5).map(|second| started(second, 0)).collect();
        let mut put = |job: u64, to, written: usize| {
            let orders = reordered(queue.clone(), Path::new(&format!("job-{job}")), to);
            assert_eq!(orders.len(), written, "{job} {to:?}: {orders:?}");
            for (job, order) in orders {
                queue.iter_mut().find(|place| place.job == job).unwrap().order = order;
            }
            queue.sort();
            assert!(queue.iter().all(|place| *place < started(6, 0)), "a later one passes: {queue:?}");
            queue.iter().map(|place| place.job.to_str().unwrap()[4..].parse().unwrap()).collect::<Vec<u64>>()
        };
        assert_eq!(put(4, QueueMove::First, 1), [4, 1, 2, 3, 5]);
        assert_eq!(put(5, QueueMove::Earlier, 4), [4, 1, 2, 5, 3]);
        assert_eq!(put(5, QueueMove::Earlier, 3), [4, 1, 5, 2, 3]);
        assert_eq!(put(4, QueueMove::Later, 1), [1, 4, 5, 2, 3]);
        assert_eq!(put(1, QueueMove::Earlier, 0), [1, 4, 5, 2, 3]);
        assert_eq!(put(3, QueueMove::Later, 0), [1, 4, 5, 2, 3]);
        assert_eq!(put(3, QueueMove::First, 1), [3, 1, 4, 5, 2]);
        assert!(reordered(queue, Path::new("job-9"), QueueMove::First).is_empty());
    }
}
