//! For the tests of the interface: screens and whole apps drawn into text.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Style};

use super::fixtures::{self, NOW};
use super::{App, ComputeMessage, Depth, Effect, JobsMessage, Message, Screen, Shared, Theme};

/// Compares with `snapshots/NAME.snap` beside the test's file.
macro_rules! assert_screen {
    ($name:expr, $drawn:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($name, $drawn);
        })
    };
}

pub(crate) use assert_screen;

/// What a screen draws, without colours, one line per row.
pub fn render(screen: &dyn Screen, shared: &Shared, width: u16, height: u16) -> String {
    text(&buffer(screen, shared, width, height, Depth::True))
}

/// What a screen draws at a colour depth.
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
            skip = if skip > 0 { skip - 1 } else { super::text_width::width(symbol).saturating_sub(1) };
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

/// The first cell of a text, looked for row by row.
#[track_caller]
pub fn find(buffer: &Buffer, needle: &str) -> (u16, u16) {
    for y in buffer.area.top()..buffer.area.bottom() {
        for x in buffer.area.left()..buffer.area.right() {
            let rest: String = (x..buffer.area.right()).map(|x| buffer[(x, y)].symbol()).collect();
            if rest.starts_with(needle) {
                return (x, y);
            }
        }
    }
    panic!("no {needle:?} in\n{}", text(buffer));
}

/// Whether a cell has every colour and modifier that a style sets.
pub fn shows(cell: &Cell, style: Style) -> bool {
    let mut styled = cell.clone();
    styled.set_style(style);
    styled == *cell
}

/// Asserts that a cell has every colour and modifier that a style sets.
#[track_caller]
pub fn assert_cell(buffer: &Buffer, at: (u16, u16), style: Style) {
    assert!(shows(&buffer[at], style), "{at:?} is {:?}, not {style:?}:\n{}", buffer[at], text(buffer));
}

/// Asserts the style of every cell of a text where it stands first.
#[track_caller]
pub fn assert_text(buffer: &Buffer, needle: &str, style: Style) {
    let (x, y) = find(buffer, needle);
    for x in x..x + super::text_width::width(needle) as u16 {
        assert_cell(buffer, (x, y), style);
    }
}

/// Asserts that nothing has a colour.
#[track_caller]
pub fn assert_colourless(buffer: &Buffer) {
    let colourless = |cell: &Cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset);
    assert!(buffer.content.iter().all(colourless), "{buffer:?}");
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

/// An interface that has heard nothing yet.
pub fn new_app() -> App {
    let mut app = App::new("library".into(), "auto".into());
    app.set_time(NOW);
    app.start();
    app
}

/// An interface with everything read.
pub fn full_app() -> App {
    let mut app = new_app();
    for message in everything() {
        app.update(message);
    }
    app
}

/// Messages that fill every tab.
pub fn everything() -> Vec<Message> {
    vec![
        Message::Library(Ok(fixtures::library())),
        Message::Compute(ComputeMessage::Profile {
            expert: "formal-tone".into(),
            result: Ok(fixtures::profile("formal-tone")),
        }),
        Message::Compute(ComputeMessage::Clustering {
            ticket: 0,
            result: Ok((fixtures::similarity(), fixtures::clustering())),
        }),
        Message::Jobs(JobsMessage::List(fixtures::jobs())),
    ]
}

/// Types characters; the effects of all of them.
pub fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| app.update(Message::Key(key(c)))).collect()
}

/// Types characters into a tab; the effects of all of them.
pub fn press_on(screen: &mut dyn Screen, keys: &str, shared: &Shared) -> Vec<Effect> {
    keys.chars().flat_map(|c| screen.on_key(key(c), shared).unwrap_or_default()).collect()
}

/// Presses one other key.
pub fn press_code(app: &mut App, key: KeyCode) -> Vec<Effect> {
    app.update(Message::Key(code(key)))
}

/// The Library tab with a selected good expert whose profile is known.
pub fn library_app() -> App {
    let mut app = full_app();
    // Bad names sort first here: the third row is good.
    let position = fixtures::library().experts.iter().position(|e| e.name == "formal-tone").unwrap();
    press(&mut app, &"j".repeat(position));
    app
}

/// The Jobs tab with the details of a running training.
pub fn jobs_app() -> App {
    let mut app = full_app();
    press(&mut app, "6j");
    app.update(Message::Jobs(JobsMessage::Detail(fixtures::job_detail())));
    app
}

/// The sizes of the snapshots.
pub const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (200, 60)];
