//! Bytes and finished sequences as keys, in the words of xterm, rxvt, the Linux console and kitty.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// The key of a character without a sequence.
pub fn of_char(c: char) -> Option<KeyEvent> {
    let control = |c: char| Some(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
    let key = |code| Some(KeyEvent::from(code));
    match c {
        '\r' => key(KeyCode::Enter),
        '\t' => key(KeyCode::Tab),
        '\x7f' => key(KeyCode::Backspace),
        '\x1b' => key(KeyCode::Esc),
        '\0' => control(' '),
        '\x01'..='\x1a' => control(char::from(c as u8 - 1 + b'a')),
        '\x1c'..='\x1f' => control(char::from(c as u8 - 0x1c + b'4')),
        // Nobody types those; a terminal that speaks in 8-bit sequences sends them.
        '\u{80}'..='\u{9f}' => None,
        c if c.is_uppercase() => Some(KeyEvent::new(KeyCode::Char(c), KeyModifiers::SHIFT)),
        c => key(KeyCode::Char(c)),
    }
}

/// The key with Alt held.
pub fn with_alt(key: KeyEvent) -> KeyEvent {
    KeyEvent { modifiers: key.modifiers | KeyModifiers::ALT, ..key }
}

/// The key of `ESC O` and `last`: cursor and function keys in application mode.
pub fn of_ss3(last: u8) -> Option<KeyEvent> {
    let code = match last {
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(1 + last - b'P'),
        _ => cursor(last)?,
    };
    Some(code.into())
}

/// The key of `ESC [ [` and `last`: the first function keys of the Linux console.
pub fn of_linux(last: u8) -> Option<KeyEvent> {
    matches!(last, b'A'..=b'E').then(|| KeyCode::F(1 + last - b'A').into())
}

/// The key of the control sequence with these parameters and intermediate bytes, which ended with `last`. `None`
/// for reports, mouse events, releases and what is unknown.
pub fn of_csi(parameters: &[u8], last: u8) -> Option<KeyEvent> {
    let text = std::str::from_utf8(parameters).ok()?;
    // Private sequences are answers of the terminal.
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')) {
        return None;
    }
    let fields: Vec<&str> = text.split(';').collect();
    let number = |at: usize| fields.get(at).map_or("", |field| field.split(':').next().unwrap_or_default());
    let first: u32 = number(0).parse().unwrap_or(1);
    let modifiers = modifiers(number(1));
    let code = match last {
        b'Z' => return Some(KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT)),
        b'~' if first == 27 => of_code(number(2).parse().ok()?, modifiers)?,
        b'~' => numbered(first)?,
        b'u' => of_code(first, modifiers)?,
        // Of F3 with a modifier and of the cursor's place, which look alike, only the latter is common.
        b'R' if !text.is_empty() => return None,
        b'P'..=b'S' if first == 1 => KeyCode::F(1 + last - b'P'),
        _ if first == 1 => cursor(last)?,
        _ => return None,
    };
    let kind = fields.get(1).and_then(|field| field.split(':').nth(1)).unwrap_or("1");
    match kind {
        "3" => None,
        "2" => Some(KeyEvent::new_with_kind(code, modifiers, KeyEventKind::Repeat)),
        _ => Some(KeyEvent::new(code, modifiers)),
    }
}

fn cursor(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        _ => return None,
    })
}

fn numbered(number: u32) -> Option<KeyCode> {
    let function = |from: u32, first: u32| u8::try_from(number - from + first).ok().map(KeyCode::F);
    match number {
        1 | 7 => Some(KeyCode::Home),
        2 => Some(KeyCode::Insert),
        3 => Some(KeyCode::Delete),
        4 | 8 => Some(KeyCode::End),
        5 => Some(KeyCode::PageUp),
        6 => Some(KeyCode::PageDown),
        11..=15 => function(11, 1),
        17..=21 => function(17, 6),
        23..=26 => function(23, 11),
        28..=29 => function(28, 15),
        31..=34 => function(31, 17),
        _ => None,
    }
}

/// A key by its Unicode number, as kitty and `modifyOtherKeys` of xterm say it.
fn of_code(code: u32, modifiers: KeyModifiers) -> Option<KeyCode> {
    match char::from_u32(code)? {
        '\x1b' => Some(KeyCode::Esc),
        '\r' => Some(KeyCode::Enter),
        '\t' if modifiers.contains(KeyModifiers::SHIFT) => Some(KeyCode::BackTab),
        '\t' => Some(KeyCode::Tab),
        '\x7f' | '\x08' => Some(KeyCode::Backspace),
        // Keys that have no character have numbers of the private use area.
        c if c.is_control() || ('\u{e000}'..='\u{f8ff}').contains(&c) => None,
        c => Some(KeyCode::Char(c)),
    }
}

/// One more than a sum of 1 for Shift, 2 for Alt and 4 for Ctrl.
fn modifiers(number: &str) -> KeyModifiers {
    let mask = number.parse::<u16>().unwrap_or(1).saturating_sub(1);
    let names = [KeyModifiers::SHIFT, KeyModifiers::ALT, KeyModifiers::CONTROL];
    let held = names.into_iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
    held.fold(KeyModifiers::NONE, |all, (_, one)| all | one)
}
