//! When the next frame may be drawn: on request only, requests coalesced, at most 60 a second.

use std::time::{Duration, Instant};

/// Shortest time between two frames.
const INTERVAL: Duration = Duration::from_micros(16_667);

/// Pure bookkeeping of requested and drawn frames.
#[derive(Debug, Default)]
pub struct FrameLimiter {
    requested: bool,
    drawn: Option<Instant>,
}

impl FrameLimiter {
    /// Asks for a frame; asking again before it is drawn changes nothing.
    pub fn request(&mut self) {
        self.requested = true;
    }

    /// When the requested frame is due; `None` when nothing was asked for.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.requested.then(|| self.drawn.map_or(now, |last| (last + INTERVAL).max(now)))
    }

    /// Notes that a frame begins to be drawn now.
    pub fn begin(&mut self, now: Instant) {
        self.requested = false;
        self.drawn = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_due_unless_requested() {
        let now = Instant::now();
        let mut frames = FrameLimiter::default();
        assert_eq!(frames.due(now), None);
        frames.request();
        assert_eq!(frames.due(now), Some(now));
        frames.begin(now);
        assert_eq!(frames.due(now), None);
    }

    #[test]
    fn a_burst_of_requests_is_one_frame_and_waits_its_turn() {
        let start = Instant::now();
        let mut frames = FrameLimiter::default();
        frames.begin(start);
        (0..1000).for_each(|_| frames.request());
        assert_eq!(frames.due(start + Duration::from_millis(1)), Some(start + INTERVAL));
        let late = start + Duration::from_secs(1);
        assert_eq!(frames.due(late), Some(late));
        frames.begin(late);
        assert_eq!(frames.due(late), None);
    }
}
