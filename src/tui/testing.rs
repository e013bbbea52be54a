//! For the tests of the interface: screens and whole apps drawn into text.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::{App, Depth, Screen, Shared, Theme};

/// What a screen draws, without colours, one line per row.
pub fn render(screen: &dyn Screen, shared: &Shared, width: u16, height: u16) -> String {
    text(&buffer(screen, shared, width, height, Depth::True))
}

/// What a screen draws at a colour depth; its `Debug` shows styles.
pub fn buffer(screen: &dyn Screen, shared: &Shared, width: u16, height: u16, depth: Depth) -> Buffer {
    let theme = Theme::new(depth);
    draw(width, height, |frame| screen.view(frame, frame.area(), shared, &theme))
}

/// What the whole interface draws, without colours, one line per row.
pub fn render_app(app: &App, width: u16, height: u16) -> String {
    text(&buffer_app(app, width, height, Depth::True))
}

/// What the whole interface draws at a colour depth.
pub fn buffer_app(app: &App, width: u16, height: u16, depth: Depth) -> Buffer {
    let theme = Theme::new(depth);
    draw(width, height, |frame| app.view(frame, &theme))
}

fn draw(width: u16, height: u16, view: impl FnOnce(&mut ratatui::Frame)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("test backend");
    terminal.draw(view).expect("test backend");
    terminal.backend().buffer().clone()
}

/// The characters of a buffer, trailing blanks cut.
pub fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut out = String::new();
    for y in area.top()..area.bottom() {
        let mut row = String::new();
        let mut skip = 0;
        for x in area.left()..area.right() {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                row.push_str(symbol);
            }
            // A wide character covers the next cell.
            skip = if skip > 0 { skip - 1 } else { super::fit::width(symbol).saturating_sub(1) };
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

/// A character key as typed.
pub fn key(c: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
}

/// Another key.
pub fn code(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// A key with Ctrl held.
pub fn ctrl(c: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)
}
