//! Work of which only the newest request matters.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Cancel;
use crate::tui::{Message, Sender};

/// One running request and at most one that waits; every new request cancels both.
#[derive(Debug)]
pub struct LatestTask {
    name: &'static str,
    newest: Cancel,
    turn: Arc<Mutex<()>>,
}

impl LatestTask {
    /// Nothing under way; `name` names the threads.
    pub fn new(name: &'static str) -> Self {
        Self { name, newest: Cancel::new(), turn: Arc::default() }
    }

    /// Cancels what is under way, waits (elsewhere) until it has stopped and then runs `work`, unless a newer
    /// request came in between. `work` must answer only while its flag is not raised.
    pub fn run(&mut self, send: Sender, work: impl FnOnce(&Cancel) + Send + 'static) {
        self.newest.cancel();
        self.newest = Cancel::new();
        let (cancel, turn) = (self.newest.clone(), self.turn.clone());
        spawn(self.name, send, move || {
            // A panic of earlier work leaves nothing behind that this lock would protect.
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            if !cancel.is_cancelled() {
                work(&cancel);
            }
        });
    }
}

/// Runs `work` on a thread of its own; a panic there becomes an error line, not the end of the interface.
pub fn spawn(name: &'static str, send: Sender, work: impl FnOnce() + Send + 'static) {
    let report = send.clone();
    let started = std::thread::Builder::new().name(name.into()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            let text =
                format!("an internal error stopped the {name} work; stderr.log in the state folder has more");
            report.send(Message::Error(text));
        }
        // The threads come and go, and what they computed with may never be needed again.
        crate::threads::give_back_freed_memory();
    });
    if let Err(error) = started {
        send.send(Message::Error(format!("no thread for the {name} work: {error}; close other programs")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn a_newer_request_cancels_the_running_one_and_skips_the_waiting_one() {
        let (send, _messages) = Sender::channel();
        let mut latest = LatestTask::new("test");
        let (report, reports) = mpsc::channel();
        let first = report.clone();
        latest.run(send.clone(), move |cancel| {
            first.send("first runs").unwrap();
            while !cancel.is_cancelled() {
                std::thread::yield_now();
            }
            first.send("first stopped").unwrap();
        });
        assert_eq!(reports.recv_timeout(SOON), Ok("first runs"));
        let second = report.clone();
        let blocked = latest.turn.clone();
        latest.newest.cancel();
        assert_eq!(reports.recv_timeout(SOON), Ok("first stopped"));
        let guard = blocked.lock().unwrap();
        latest.run(send.clone(), move |_| second.send("second").unwrap());
        latest.run(send, move |_| report.send("third").unwrap());
        drop(guard);
        assert_eq!(reports.recv_timeout(SOON), Ok("third"));
        assert!(reports.recv_timeout(Duration::from_millis(50)).is_err());
    }

    #[test]
    fn a_panic_becomes_a_message() {
        let (send, mut messages) = Sender::channel();
        spawn("test", send, || panic!("on purpose"));
        let message = messages.blocking_recv();
        assert!(matches!(message, Some(Message::Error(text)) if text.contains("internal error")));
    }
}
