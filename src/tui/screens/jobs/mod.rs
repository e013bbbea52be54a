//! The Jobs tab.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::Paragraph;

use crate::tui::{Binding, Effect, Message, Screen, Shared, Theme};

/// State of the Jobs tab.
#[derive(Debug, Default)]
pub struct JobsScreen {}

impl JobsScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Screen for JobsScreen {
    fn bindings(&self, _shared: &Shared) -> Vec<Binding> {
        Vec::new()
    }

    fn on_key(&mut self, _key: KeyEvent, _shared: &Shared) -> Option<Vec<Effect>> {
        None
    }

    fn on_message(&mut self, _message: &Message, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    fn view(&self, frame: &mut Frame, area: Rect, _shared: &Shared, theme: &Theme) {
        frame.render_widget(Paragraph::new("No jobs yet.").style(theme.dim()), area);
    }
}
