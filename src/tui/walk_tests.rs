//! Random walks over the interface without a terminal: bytes, sizes, answers of the services. Nothing panics, nothing
//! is drawn outside, and what is drawn obeys no terminal.

use ratatui::Terminal;
use ratatui::backend::{Backend, TestBackend};

use super::fixtures;
use super::input::{Decoder, Input};
use super::testing::new_app;
use super::{App, Depth, Effect, EngineMessage, EngineState, Ground, JobsMessage, Message, Theme};

#[path = "../../tests/integration/support/walk.rs"]
mod support;
use support::{Step, seeds, steps, walk};

/// In one test program.
const WALKS: u64 = 500;

/// A person's terminal with the interface in it.
struct Walk {
    app: App,
    decoder: Decoder,
    theme: Theme,
    terminal: Terminal<TestBackend>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let depths = [Depth::True, Depth::Indexed, Depth::Basic, Depth::Plain];
        Self {
            app: new_app(),
            decoder: Decoder::default(),
            theme: Theme::new(depths[seed as usize % depths.len()]),
            terminal: Terminal::new(TestBackend::new(80, 24)).unwrap(),
        }
    }

    fn take(&mut self, step: Step) {
        let mut found = Vec::new();
        match step {
            Step::Bytes(bytes) => self.decoder.read(&bytes, &mut found),
            Step::Silence => {
                while self.decoder.patience().is_some() {
                    self.decoder.pause(&mut found);
                }
                self.tell(Message::Tick);
            }
            Step::Size(columns, rows) => self.terminal.backend_mut().resize(columns, rows),
            Step::Library(which) => self.tell(message(which)),
            Step::Stop => {}
        }
        for input in found {
            match input {
                Input::Key(key) => self.tell(Message::Key(key)),
                Input::Focus(_) => {}
                Input::Paste(text) => self.tell(Message::Paste(text)),
                Input::Ground(rgb) => self.theme = Theme::on(self.theme.depth(), Ground::of_background(rgb)),
            }
        }
    }

    fn tell(&mut self, message: Message) {
        for effect in self.app.update(message) {
            assert!(!matches!(effect, Effect::App(_)), "the interface does these itself");
        }
    }

    fn look(&mut self) {
        let (app, theme) = (&self.app, &self.theme);
        self.terminal.backend_mut().set_cursor_position((0, 0)).unwrap();
        self.terminal.draw(|frame| app.view(frame, theme)).unwrap();
        let backend = self.terminal.backend();
        let area = backend.buffer().area;
        for cell in &backend.buffer().content {
            assert!(!cell.symbol().contains(char::is_control), "{:?}", cell.symbol());
            assert!(!cell.modifier.contains(super::theme::CARET), "a mark of the caret is left");
        }
        let cursor = backend.cursor_position();
        assert!(area.is_empty() || area.contains(cursor), "the cursor is at {cursor} of {area}");
    }
}

/// What services say.
fn message(which: u8) -> Message {
    match which % 12 {
        0 | 1 => Message::Library(Ok(fixtures::library())),
        2 => Message::Library(Ok(fixtures::with_experts(Vec::new()))),
        3 => Message::Library(Err("gone\x1b[2J".into())),
        4 => {
            Message::Library(Ok(fixtures::with_experts(vec![fixtures::expert(0, "alone", "task", "family")])))
        }
        5 => Message::Jobs(JobsMessage::List(Vec::new())),
        6 => Message::Jobs(JobsMessage::List(fixtures::jobs())),
        7 => Message::Jobs(JobsMessage::Detail(fixtures::job_detail())),
        8 => Message::Jobs(JobsMessage::Started(Ok("e".into()))),
        9 => Message::Engine(EngineMessage::State(EngineState::Loading { stage: "reading".into() })),
        10 => Message::Error("a long error ".repeat(20)),
        _ => {
            super::testing::everything().swap_remove(usize::from(which) % super::testing::everything().len())
        }
    }
}

#[test]
fn no_walk_panics_or_draws_outside() {
    for seed in seeds(WALKS) {
        walk(seed, "over the interface fails", || {
            let mut person = Walk::new(seed);
            person.look();
            for (at, step) in steps(seed).into_iter().enumerate() {
                let resized = matches!(step, Step::Size(..));
                person.take(step);
                if person.app.should_quit() {
                    break;
                }
                // As often as a quick terminal is drawn.
                if resized || at % 3 == 0 {
                    person.look();
                }
            }
            person.take(Step::Silence);
            person.look();
            person.take(Step::Bytes(vec![3]));
            assert!(person.app.should_quit(), "Ctrl-C does not quit");
        });
    }
}
