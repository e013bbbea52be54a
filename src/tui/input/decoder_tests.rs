use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;

use super::*;

const NONE: KeyModifiers = KeyModifiers::NONE;

fn key(code: KeyCode, modifiers: KeyModifiers) -> Vec<Input> {
    vec![Input::Key(KeyEvent::new(code, modifiers))]
}

fn plain(c: char) -> Vec<Input> {
    key(KeyCode::Char(c), NONE)
}

fn paste(text: &str) -> Vec<Input> {
    vec![Input::Paste(text.into())]
}

/// What finished sequences make.
fn sequences() -> Vec<(&'static [u8], Vec<Input>)> {
    let ground = |r, g, b| vec![Input::Ground([r, g, b])];
    vec![
        // Keys.
        (b"q", plain('q')),
        (b"Q", key(KeyCode::Char('Q'), KeyModifiers::SHIFT)),
        ("é".as_bytes(), plain('é')),
        ("日".as_bytes(), plain('日')),
        ("🦀".as_bytes(), plain('🦀')),
        (b"\r", key(KeyCode::Enter, NONE)),
        (b"\t", key(KeyCode::Tab, NONE)),
        (b"\x7f", key(KeyCode::Backspace, NONE)),
        (b"\x03", key(KeyCode::Char('c'), KeyModifiers::CONTROL)),
        (b"\0", key(KeyCode::Char(' '), KeyModifiers::CONTROL)),
        (b"\x1bx", key(KeyCode::Char('x'), KeyModifiers::ALT)),
        ("\x1bé".as_bytes(), key(KeyCode::Char('é'), KeyModifiers::ALT)),
        (b"\x1b\x7f", key(KeyCode::Backspace, KeyModifiers::ALT)),
        (b"\x1b[A", key(KeyCode::Up, NONE)),
        (b"\x1b[I", vec![Input::Focus(true)]),
        (b"\x1b[O", vec![Input::Focus(false)]),
        (b"\x1bOB", key(KeyCode::Down, NONE)),
        (b"\x1b[1;5C", key(KeyCode::Right, KeyModifiers::CONTROL)),
        (b"\x1b[Z", key(KeyCode::BackTab, KeyModifiers::SHIFT)),
        (b"\x1b[3~", key(KeyCode::Delete, NONE)),
        (b"\x1b[5;2~", key(KeyCode::PageUp, KeyModifiers::SHIFT)),
        (b"\x1b[7~", key(KeyCode::Home, NONE)),
        (b"\x1bOP", key(KeyCode::F(1), NONE)),
        (b"\x1b[[E", key(KeyCode::F(5), NONE)),
        (b"\x1b[15~", key(KeyCode::F(5), NONE)),
        (b"\x1b[24~", key(KeyCode::F(12), NONE)),
        (b"\x1b[97;5u", key(KeyCode::Char('a'), KeyModifiers::CONTROL)),
        (b"\x1b[13;2u", key(KeyCode::Enter, KeyModifiers::SHIFT)),
        (b"\x1b[27;5;105~", key(KeyCode::Char('i'), KeyModifiers::CONTROL)),
        // Pastes.
        ("\x1b[200~a\nb\x1b[31m é\x1b[201~".as_bytes(), paste("a\nb\x1b[31m é")),
        (b"\x1b[200~\x03\x1b[20\x1b[201~", paste("\x03\x1b[20")),
        (b"\x1b[200~\x1b[201~", vec![]),
        // The answer to the one question that is asked.
        (b"\x1b]11;rgb:ffff/8080/0000\x1b\\", ground(255, 128, 0)),
        (b"\x1b]11;rgb:1c/1c/1c\x07", ground(28, 28, 28)),
        (b"\x1b]11;rgba:0000/0000/0000/cccc\x1b\\", ground(0, 0, 0)),
        (b"\x9d11;rgb:f/f/f\x9c", ground(255, 255, 255)),
        // Other answers, and what nobody asked for.
        (b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\", vec![]),
        (b"\x1b]11;blue\x1b\\", vec![]),
        (b"\x1b]4;1;rgb:aa/bb/cc\x07", vec![]),
        (b"\x1b]52;c;cXE=\x1b\\", vec![]),
        (b"\x1bP1$r0 q\x1b\\", vec![]),
        (b"\x1bP>|xterm(388)\x1b\\", vec![]),
        (b"\x1b_Gi=1;OK\x1b\\", vec![]),
        (b"\x1b^quit\x1b\\", vec![]),
        (b"\x1bXquit\x1b\\", vec![]),
        ("\x1b]0;日本語\x1b\\".as_bytes(), vec![]),
        (b"\x1b[?62;22c", vec![]),
        (b"\x1b[>41;388;0c", vec![]),
        (b"\x1b[?2026;2$y", vec![]),
        (b"\x1b[?1u", vec![]),
        (b"\x1b[24;80R", vec![]),
        (b"\x1b[1;1R", vec![]),
        (b"\x1b[0n", vec![]),
        (b"\x1b[8;24;80t", vec![]),
        (b"\x1b[<0;10;5M", vec![]),
        (b"\x1b[<64;10;5m", vec![]),
        (b"\x1b[M qq", vec![]),
        (b"\x1b[97;1:3u", vec![]),
        (b"\x1b[201~", vec![]),
    ]
}

fn read(pieces: &[&[u8]]) -> Vec<Input> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in pieces {
        decoder.read(piece, &mut found);
    }
    assert_eq!(decoder.patience(), None, "{pieces:?}");
    found
}

#[test]
fn sequences_mean_the_same_wherever_they_are_split() {
    for (bytes, expected) in sequences() {
        for at in 0..=bytes.len() {
            assert_eq!(
                read(&[&bytes[..at], &bytes[at..]]),
                expected,
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), expected, "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn sequences_one_after_the_other_do_not_mix() {
    for (first, made) in sequences() {
        for (second, expected) in sequences() {
            assert_eq!(read(&[first, second]), [made.clone(), expected].concat(), "{first:?} {second:?}");
        }
    }
}

/// Says that nothing comes until nothing is waited for any more.
fn wait(decoder: &mut Decoder, found: &mut Vec<Input>) -> Duration {
    let mut waited = Duration::ZERO;
    while let Some(patience) = decoder.patience() {
        waited += patience;
        decoder.pause(found);
    }
    waited
}

#[test]
fn an_unfinished_sequence_is_over_after_a_silence() {
    for (bytes, _) in sequences() {
        let in_paste = bytes.starts_with(b"\x1b[200~");
        for at in 1..bytes.len() {
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            decoder.read(&bytes[..at], &mut found);
            let most = if in_paste && at >= 6 { PASTE_SILENCE } else { SILENCE };
            assert!(wait(&mut decoder, &mut found) <= most);
            let before = found.len();
            decoder.read(b"q", &mut found);
            assert_eq!(found[before..], plain('q'), "{:?} + q", bytes[..at].escape_ascii().to_string());
        }
    }
}

#[test]
fn an_unfinished_sequence_is_over_at_a_control_character() {
    for (bytes, _) in sequences().into_iter().filter(|(bytes, _)| !bytes.starts_with(b"\x1b[200~")) {
        for at in 1..bytes.len() {
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            decoder.read(&bytes[..at], &mut found);
            decoder.read(b"\x03q", &mut found);
            let expected = [key(KeyCode::Char('c'), KeyModifiers::CONTROL), plain('q')].concat();
            assert!(
                found.ends_with(&expected),
                "{:?} + ^C q: {found:?}",
                bytes[..at].escape_ascii().to_string()
            );
        }
    }
}

#[test]
fn half_a_paste_is_text_and_then_keys_are_keys() {
    let (mut decoder, mut found) = (Decoder::default(), Vec::new());
    decoder.read(b"\x1b[200~half\x1b[20", &mut found);
    assert_eq!(wait(&mut decoder, &mut found), PASTE_SILENCE);
    assert_eq!(found, paste("half"));
    // A pause in the network is none of its ends.
    let (mut decoder, mut found) = (Decoder::default(), Vec::new());
    decoder.read(b"\x1b[200~one", &mut found);
    decoder.pause(&mut found);
    decoder.read(b" two\x1b", &mut found);
    decoder.pause(&mut found);
    decoder.read(b"[201~", &mut found);
    assert_eq!((found, decoder.patience()), (paste("one two"), None));
    // Ctrl-C after a pause was typed.
    let (mut decoder, mut found) = (Decoder::default(), Vec::new());
    decoder.read(b"\x1b[200~one", &mut found);
    decoder.pause(&mut found);
    decoder.read(b"\x03", &mut found);
    assert_eq!(found, [paste("one"), key(KeyCode::Char('c'), KeyModifiers::CONTROL)].concat());
}

#[test]
fn introducers_alone_are_keys_with_alt() {
    for introducer in "[OP]X^_".chars() {
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        decoder.read(format!("\x1b{introducer}").as_bytes(), &mut found);
        assert_eq!((found.len(), decoder.patience()), (0, Some(SILENCE)));
        decoder.pause(&mut found);
        let Some(Input::Key(pressed)) = found.pop() else { panic!("no key for {introducer}") };
        assert_eq!(pressed.code, KeyCode::Char(introducer));
        assert!(pressed.modifiers.contains(KeyModifiers::ALT));
    }
}

#[test]
fn long_sequences_and_pastes_are_bounded() {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    decoder.read(b"\x1b]0;", &mut found);
    decoder.read(&vec![b'x'; 1 << 20], &mut found);
    assert!(decoder.kept.len() <= LONGEST);
    decoder.read(b"\x1b\\\x1b[200~", &mut found);
    decoder.read(&vec![b'2'; LONGEST_PASTE + 100], &mut found);
    decoder.read(END_OF_PASTE, &mut found);
    assert!(matches!(&found[..], [Input::Paste(text)] if text.len() == LONGEST_PASTE));
    assert!(decoder.kept.capacity() <= LONGEST);
}

proptest! {
    #[test]
    fn no_bytes_hold_back_the_next_key(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"\x1b[]OP_<?;0129~MmAu\x07\\\x9b".to_vec())],
            0..60,
        ),
        at in any::<prop::sample::Index>(),
    ) {
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        let at = at.index(bytes.len() + 1);
        decoder.read(&bytes[..at], &mut found);
        decoder.read(&bytes[at..], &mut found);
        wait(&mut decoder, &mut found);
        let before = found.len();
        decoder.read(b"q", &mut found);
        prop_assert_eq!(&found[before..], &plain('q')[..]);
    }
}
