//! What every tab is: data that keys and messages change, and a view that only reads.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use super::screens::TABS;
use super::{Binding, Effect, EngineState, ExpertMarks, Message, Theme};
use crate::analysis::{Clustering, Similarity};
use crate::catalog::Catalog;
use crate::jobs::JobSummary;

/// One of [`TABS`], by its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tab(pub(in crate::tui) &'static str);

impl Tab {
    /// As shown in the tab bar.
    pub fn title(self) -> &'static str {
        self.0
    }

    /// Its place in [`TABS`].
    pub fn index(self) -> usize {
        TABS.iter().position(|spec| spec.tab == self).unwrap_or_default()
    }
}

/// What a tab is to the rest of the interface.
pub struct TabSpec {
    pub tab: Tab,
    /// Its screen, before any data.
    pub new: fn() -> Box<dyn Screen>,
}

/// What all screens may read. Only the application changes it, from messages.
#[derive(Debug, Default)]
pub struct Shared {
    /// `None` until the library was read.
    pub library: Option<Arc<Catalog>>,
    /// Of the experts that were usable at some time of this session.
    pub marks: ExpertMarks,
    /// The newest clustering, whoever asked for it: colours and orders experts everywhere.
    pub clustering: Option<Arc<Clustering>>,
    /// The newest MBC similarity.
    pub similarity: Option<Arc<Similarity>>,
    /// Newest first.
    pub jobs: Vec<JobSummary>,
    pub engine: EngineState,
    /// Name of the expert selected in the Library tab.
    pub selected: Option<String>,
    /// Why the library could not be read; the last one read stays in `library`.
    pub library_error: Option<String>,
    /// The library's directory as given.
    pub root: std::path::PathBuf,
    /// Device given on the command line, for the jobs that screens start.
    pub device: String,
    /// Seconds since the epoch when the last message arrived; for ages and remaining times.
    pub now: f64,
    /// Counts up ten times a second while something is moving; for spinners.
    pub tick: u64,
}

impl Shared {
    /// Jobs that are queued, running or being cancelled.
    pub fn live_jobs(&self) -> usize {
        self.jobs.iter().filter(|job| !job.state.is_over()).count()
    }

    /// The base model that was chosen on the command line, for the jobs that screens start. Known when the library
    /// is; before, none can be started.
    pub fn base(&self) -> Option<&std::path::Path> {
        self.library.as_ref()?.wish()
    }
}

/// A tab. `on_key` and `on_message` are fast and pure: whatever takes time is an [`Effect`].
pub trait Screen {
    /// The keys that work in the present state, for the footer and the help.
    fn bindings(&self, shared: &Shared) -> Vec<Binding>;

    /// Whether typed characters belong to a text field now, so that global keys (`q`, `?`, `1`–`5`) are text.
    fn captures_text(&self) -> bool {
        false
    }

    /// Where the cursor is in a list, `3 of 12`, and what the list is of; `None` without a list.
    fn position(&self, _shared: &Shared) -> Option<(String, &'static str)> {
        None
    }

    /// What stands behind its title in the tab bar; `None` for nothing.
    fn badge(&self, _shared: &Shared) -> Option<String> {
        None
    }

    /// Whether it shows the jobs, so that they are to be read often while it is the visible one.
    fn watches_jobs(&self) -> bool {
        false
    }

    /// Called when the tab becomes the visible one.
    fn on_show(&mut self, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// A key that no global binding took; while [`Screen::captures_text`], every key but Ctrl-C and Ctrl-Z.
    /// Returns `None` when the screen has no use for it: global keys then still do what they do.
    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>>;

    /// Text pasted while this screen is visible, untrusted and possibly of many lines.
    fn on_paste(&mut self, _text: &str, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// Whether something on this screen moves by itself now (a spinner), so that it is drawn on every tick.
    fn is_animating(&self, _shared: &Shared) -> bool {
        false
    }

    /// Every message but keys and pastes reaches every screen, after `shared` was updated from it.
    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect>;

    /// Draws itself into `area`, which may be of any size, 0 × 0 included.
    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme);
}
