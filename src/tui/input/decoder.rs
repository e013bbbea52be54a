//! Bytes of the terminal into [`Input`]. Pure: who reads says when nothing came for a while.
//!
//! Sequences are those of ECMA-48: `ESC [ … final` (CSI), `ESC O x` (SS3), and strings that `ESC \` ends (OSC, DCS,
//! APC, PM, SOS). A sequence that is not a key is an answer and makes none. One that does not come to its end is
//! given up at a control character, which is then a key, or after [`SILENCE`].

use std::time::Duration;

use super::{Input, keys};

/// Silence that ends an unfinished sequence.
pub const SILENCE: Duration = Duration::from_millis(50);
/// Silence that ends a paste without an end: long texts come in pieces.
pub const PASTE_SILENCE: Duration = Duration::from_secs(1);

/// Longest sequence that is kept. The rest of a longer one is read, too, but nothing comes of it.
const LONGEST: usize = 256;
/// Longest paste in bytes; what is beyond is left out.
const LONGEST_PASTE: usize = 16 << 20;
/// What ends a paste.
const END_OF_PASTE: &[u8] = b"\x1b[201~";

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// Where in a sequence the last byte was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After the first bytes of a character, with Alt or without.
    Char { alt: bool },
    /// After `ESC`.
    Escape,
    /// After `ESC [`.
    Csi,
    /// After `ESC [ [`.
    Linux,
    /// After `ESC [ M`, before as many bytes of a mouse event.
    Mouse(u8),
    /// After `ESC O`.
    Ss3,
    /// In a string, of which OSC alone means something.
    Text { osc: bool },
    /// After an `ESC` in a string.
    TextEscape { osc: bool },
    /// Between the brackets of a paste.
    Paste,
}

/// What has come of a sequence that is not finished.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// The bytes after its introducer.
    kept: Vec<u8>,
    /// Nothing came for [`SILENCE`] in the middle of a paste.
    stalled: bool,
}

impl Decoder {
    /// After how long without bytes [`Decoder::pause`] is to be called; `None` between sequences.
    pub fn patience(&self) -> Option<Duration> {
        let waits = self.state != State::Ground;
        let stalled = self.stalled && self.state == State::Paste;
        waits.then_some(if stalled { PASTE_SILENCE - SILENCE } else { SILENCE })
    }

    /// Takes bytes, and adds what they make to `found`.
    pub fn read(&mut self, bytes: &[u8], found: &mut Vec<Input>) {
        for &byte in bytes {
            self.take(byte, found);
        }
    }

    /// Nothing came for as long as [`Decoder::patience`] said.
    pub fn pause(&mut self, found: &mut Vec<Input>) {
        match self.state {
            State::Paste if !self.stalled => {
                self.stalled = true;
                return;
            }
            State::Paste => {
                let escape = self.kept.ends_with(&[ESC]);
                self.paste(found);
                if escape {
                    found.extend(keys::of_char('\x1b').map(Input::Key));
                }
            }
            State::Escape => found.extend(keys::of_char('\x1b').map(Input::Key)),
            // Introducers are what terminals send for Alt with these characters, too.
            State::Csi | State::Ss3 | State::Text { .. } if self.kept.len() == 1 => {
                let c = char::from(self.kept[0]);
                found.extend(keys::of_char(c).map(|key| Input::Key(keys::with_alt(key))));
            }
            State::Ground
            | State::Char { .. }
            | State::Csi
            | State::Linux
            | State::Mouse(_)
            | State::Ss3
            | State::Text { .. }
            | State::TextEscape { .. } => {}
        }
        self.reset();
    }

    fn reset(&mut self) {
        // A long paste leaves no memory behind.
        if self.kept.capacity() > LONGEST {
            self.kept = Vec::new();
        }
        self.kept.clear();
        self.state = State::Ground;
        self.stalled = false;
    }

    fn enter(&mut self, state: State, introducer: u8) {
        self.kept.clear();
        self.kept.push(introducer);
        self.state = state;
    }

    fn keep(&mut self, byte: u8) {
        if self.kept.len() < LONGEST {
            self.kept.push(byte);
        }
    }

    fn take(&mut self, byte: u8, found: &mut Vec<Input>) {
        match self.state {
            State::Ground => self.begin(byte, found),
            State::Char { alt } => self.character(byte, alt, found),
            State::Escape => self.escape(byte, found),
            State::Paste => self.in_paste(byte, found),
            State::TextEscape { osc } => match byte {
                b'\\' => self.end_text(osc, found),
                // The string was not finished; this is the next sequence.
                _ => {
                    self.enter(State::Escape, ESC);
                    self.escape(byte, found);
                }
            },
            State::Text { osc } => match byte {
                ESC => self.state = State::TextEscape { osc },
                BEL => self.end_text(osc, found),
                0x9c if self.kept.last().is_none_or(u8::is_ascii) => self.end_text(osc, found),
                0..0x20 | 0x7f => self.give_up(byte, found),
                _ => self.keep(byte),
            },
            // What follows are sequences of printable characters.
            _ if byte < 0x20 || byte >= 0x7f && !matches!(self.state, State::Mouse(_)) => {
                self.give_up(byte, found);
            }
            State::Csi => self.control(byte, found),
            State::Mouse(more) => match more {
                0 | 1 => self.reset(),
                _ => self.state = State::Mouse(more - 1),
            },
            State::Linux => {
                found.extend(keys::of_linux(byte).map(Input::Key));
                self.reset();
            }
            State::Ss3 => {
                found.extend(keys::of_ss3(byte).map(Input::Key));
                self.reset();
            }
        }
    }

    /// Drops the unfinished sequence; `byte` is the first of what comes after it.
    fn give_up(&mut self, byte: u8, found: &mut Vec<Input>) {
        self.reset();
        self.begin(byte, found);
    }

    fn begin(&mut self, byte: u8, found: &mut Vec<Input>) {
        match byte {
            ESC => self.enter(State::Escape, ESC),
            0..0x80 => found.extend(keys::of_char(byte.into()).map(Input::Key)),
            // Introducers in one byte; none of them begins a character.
            0x8f => self.enter(State::Ss3, byte),
            0x90 | 0x98 | 0x9e | 0x9f => self.enter(State::Text { osc: false }, byte),
            0x9b => self.enter(State::Csi, byte),
            0x9d => self.enter(State::Text { osc: true }, byte),
            0xc2..=0xf4 => self.enter(State::Char { alt: false }, byte),
            // No beginning of a character.
            _ => {}
        }
    }

    /// The next byte of a character in UTF-8.
    fn character(&mut self, byte: u8, alt: bool, found: &mut Vec<Input>) {
        if !(0x80..0xc0).contains(&byte) {
            return self.give_up(byte, found);
        }
        self.keep(byte);
        let length = match self.kept[0] {
            0xf0.. => 4,
            0xe0.. => 3,
            _ => 2,
        };
        if self.kept.len() < length {
            return;
        }
        if let Some(c) = std::str::from_utf8(&self.kept).ok().and_then(|text| text.chars().next()) {
            let key = keys::of_char(c);
            found.extend(key.map(|key| Input::Key(if alt { keys::with_alt(key) } else { key })));
        }
        self.reset();
    }

    fn escape(&mut self, byte: u8, found: &mut Vec<Input>) {
        match byte {
            b'[' => self.enter(State::Csi, byte),
            b'O' => self.enter(State::Ss3, byte),
            b']' => self.enter(State::Text { osc: true }, byte),
            b'P' | b'X' | b'^' | b'_' => self.enter(State::Text { osc: false }, byte),
            // Alt with one of these is common.
            b'\r' | b'\t' | 0x20..=0x7f => {
                self.reset();
                let key = keys::of_char(byte.into());
                found.extend(key.map(|key| Input::Key(keys::with_alt(key))));
            }
            0xc2..=0xf4 => self.enter(State::Char { alt: true }, byte),
            _ => {
                found.extend(keys::of_char('\x1b').map(Input::Key));
                self.give_up(byte, found);
            }
        }
    }

    /// The next byte of a control sequence.
    fn control(&mut self, byte: u8, found: &mut Vec<Input>) {
        if byte < 0x40 {
            return self.keep(byte);
        }
        let whole = self.kept.len() < LONGEST;
        match (byte, &self.kept[1..]) {
            (b'[', []) => self.state = State::Linux,
            (b'M', []) => self.state = State::Mouse(3),
            (b'I' | b'O', []) => {
                self.reset();
                found.push(Input::Focus(byte == b'I'));
            }
            (b'~', b"200") => {
                self.reset();
                self.state = State::Paste;
            }
            (_, parameters) => {
                let key = if whole { keys::of_csi(parameters, byte) } else { None };
                found.extend(key.map(Input::Key));
                self.reset();
            }
        }
    }

    fn end_text(&mut self, osc: bool, found: &mut Vec<Input>) {
        if osc && let Some(colour) = self.kept[1..].strip_prefix(b"11;").and_then(colour) {
            found.push(Input::Ground(colour));
        }
        self.reset();
    }

    fn in_paste(&mut self, byte: u8, found: &mut Vec<Input>) {
        // After a silence, a control character was typed: the end was lost.
        if std::mem::take(&mut self.stalled) && byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | ESC) {
            self.paste(found);
            return self.give_up(byte, found);
        }
        self.kept.push(byte);
        if self.kept.len() > LONGEST_PASTE + END_OF_PASTE.len() {
            // Of what is beyond, the last bytes alone are looked at.
            self.kept.remove(LONGEST_PASTE);
        }
        if self.kept.ends_with(END_OF_PASTE) {
            self.paste(found);
            self.reset();
        }
    }

    /// What was pasted so far, without an end or the beginning of one.
    fn paste(&mut self, found: &mut Vec<Input>) {
        let ends = (0..=END_OF_PASTE.len()).rev().map(|length| &END_OF_PASTE[..length]);
        let end = ends.into_iter().find(|end| self.kept.ends_with(end)).unwrap_or_default();
        let text = &self.kept[..self.kept.len() - end.len()];
        if !text.is_empty() {
            found.push(Input::Paste(String::from_utf8_lossy(text).into_owned()));
        }
    }
}

/// `rgb:ffff/ffff/ffff`, with one to four digits each; `rgba:` has a fourth, which says nothing here.
fn colour(text: &[u8]) -> Option<[u8; 3]> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.strip_prefix("rgb:").or_else(|| text.strip_prefix("rgba:"))?.split('/');
    let mut next = || {
        let digits = parts.next().filter(|digits| (1..=4).contains(&digits.len()))?;
        let most = (1u32 << (4 * digits.len())) - 1;
        let value = u32::from_str_radix(digits, 16).ok()?;
        u8::try_from(value * 255 / most).ok()
    };
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
