//! The binary in a pseudo-terminal: what a person sees, and how the terminal is left behind.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::experts::{lora, write_expert};
use crate::support::pty::Session;

/// `count` tiny experts of one module with `width` inputs; all but the first share its files.
pub fn library(count: usize, width: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let value = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5;
    let first = dir.path().join("expert-0");
    write_expert(&first, &[lora("model.layers.0.self_attn.q_proj", 4, (width, 8), value, value)], 8.0);
    for i in 1..count {
        let other = dir.path().join(format!("expert-{i}"));
        std::fs::create_dir(&other).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::hard_link(first.join(file), other.join(file)).unwrap();
        }
    }
    dir
}

#[test]
fn opens_walks_the_tabs_and_quits() {
    let library = library(3, 16);
    let mut session = Session::open(library.path());
    session.see("expert-2");
    session.see("‖ΔW‖ by layer");
    assert!(session.is_alternate());
    session.press("6");
    session.see("No jobs yet.");
    for tab in ["2", "3", "4", "5"] {
        session.press(tab);
        session.press("?");
        session.see("any other key closes");
        session.press("\x1b");
        std::thread::sleep(Duration::from_millis(100));
    }
    session.press("\t\t");
    session.see("expert-2");
    session.press("q");
    assert!(session.end().success());
    session.assert_restored();
}

#[test]
fn signals_end_it_with_the_terminal_restored() {
    let library = library(1, 16);
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut session = Session::open(library.path());
        session.see("expert-0");
        session.signal(signal);
        assert_eq!(session.end().exit_code(), status, "{signal:?}");
        session.assert_restored();
    }
}

#[test]
fn a_fatal_signal_leaves_the_terminal_as_it_was() {
    let library = library(1, 16);
    for signal in [Signal::ABORT, Signal::SEGV, Signal::BUS] {
        let mut session = Session::open(library.path());
        session.see("expert-0");
        session.signal(signal);
        assert!(session.end().signal().is_some(), "{signal:?}");
        session.assert_restored();
        session.see("lora-tui: ended by a fault");
    }
}

/// Less memory than the process has already: whatever it asks for now is refused.
#[cfg(target_os = "linux")]
#[test]
fn an_allocation_that_fails_leaves_the_terminal_as_it_was() {
    use rustix::process::{Resource, Rlimit, prlimit};
    let library = library(1, 16);
    let mut session = Session::open(library.path());
    session.see("expert-0");
    session.press("/");
    let limit = Rlimit { current: Some(1 << 20), maximum: Some(1 << 20) };
    prlimit(Some(session.process()), Resource::Data, limit).unwrap();
    // More than any free list has.
    session.press("\x1b[200~");
    let piece = "x".repeat(4096);
    for _ in 0..32 * 256 {
        if session.has_ended() {
            break;
        }
        session.press(&piece);
    }
    assert!(session.end().signal().is_some());
    session.assert_restored();
}

#[test]
fn a_terminal_that_reads_nothing_does_not_hold_back_the_end() {
    let library = library(1, 16);
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut session = Session::open(library.path());
        // More than the buffers between the two take.
        session.resize(300, 100);
        session.see("expert-0");
        let reading = session.reading();
        let stalled = reading.lock().unwrap();
        let begun = std::time::Instant::now();
        for _ in 0..12 {
            session.press("\x0c");
            std::thread::sleep(Duration::from_millis(25));
        }
        session.signal(signal);
        let ended = session.end();
        assert!(begun.elapsed() >= Duration::from_secs(1), "it could still write");
        drop(stalled);
        assert_eq!(ended.exit_code(), status, "{signal:?}");
        session.assert_restored();
    }
}

#[test]
fn a_terminal_that_is_closed_counts_as_hung_up() {
    let library = library(1, 16);
    for _ in 0..4 {
        assert_eq!(Session::hang_up_at("expert-0", library.path()).exit_code(), 129);
    }
}

/// Answers to questions that an earlier program asked, or that this one did.
const LATE: [&str; 7] = [
    "\x1b]11;rgb:1c1c/1c1c/1c1c\x1b\\",
    "\x1b]10;rgb:ffff/ffff/ffff\x07",
    "\x1b]52;c;cXFx\x1b\\",
    "\x1bP>|terminal(q)\x1b\\",
    "\x1b_Gi=1;q\x1b\\",
    "\x1b[?62;22c\x1b[24;80R\x1b[?2026;2$y\x1b[8;24;80t",
    "\x1b[<0;5;5M\x1b[<0;5;5m",
];

#[test]
fn late_answers_of_the_terminal_are_neither_keys_nor_text() {
    let library = library(3, 16);
    let mut session = Session::open(library.path());
    session.see("expert-2");
    LATE.iter().for_each(|answer| session.press(answer));
    // Half an answer, and then a key.
    session.press("\x1b[<0;");
    std::thread::sleep(Duration::from_millis(200));
    session.press("/");
    session.see("3 of 3");
    for answer in LATE {
        let (first, second) = answer.split_at(answer.len() / 2);
        session.press(first);
        session.press(second);
    }
    session.press("expert-1");
    session.see("/ expert-1");
    session.press("\x1b]4;1;rgb:ff/ff");
    // A control character ends it, too.
    session.press("\x03");
    assert!(session.end().success());
    session.assert_restored();
}

#[test]
fn the_cursor_of_the_terminal_is_where_one_types() {
    let library = library(3, 16);
    let mut session = Session::open(library.path());
    session.see("expert-2");
    assert_eq!(session.cursor(), None);
    let follows = |session: &mut Session, what: &str| {
        session.until(what, || session.cursor().is_some());
        session.press("日b");
        // Behind what was typed.
        let right = || {
            let (column, row) = session.find("日b")?;
            Some((column + 3, row))
        };
        session.until(what, || right().is_some() && session.cursor() == right());
    };
    session.press("/");
    follows(&mut session, "the cursor in the filter");
    session.press("\r\x1b");
    std::thread::sleep(Duration::from_millis(100));
    session.until("no cursor", || session.cursor().is_none());
    session.press("t");
    session.see("Train a new expert");
    follows(&mut session, "the cursor in the form");
    session.press("\x1b");
    std::thread::sleep(Duration::from_millis(100));
    session.press("4");
    session.see("try again");
    session.press("i");
    follows(&mut session, "the cursor in the prompt");
    session.press("\x03");
    assert!(session.end().success());
    session.assert_restored();
}

#[test]
fn an_editor_has_the_terminal_for_as_long_as_it_takes() {
    let library = library(3, 16);
    // An editor that reads a line of the terminal, which Ctrl-C does not end.
    let script = "trap '' INT; edit() { echo editing; read -r line; printf '%s' \"$line\" > \"$1\"; }; edit";
    let mut session = Session::open_where(&[("VISUAL", Some(script))], library.path(), &[]);
    session.see("expert-2");
    session.press("4");
    // The model is missed before: what comes of it takes the keys away from the box.
    session.see("try again");
    session.press("i");
    session.see("Ctrl-R history");
    session.press("\x07");
    session.until("the editor", || !session.is_alternate() && session.text().contains("editing"));
    // Every key is the editor's, also those that quit here.
    session.press("q1\x03");
    session.press("written elsewhere\r");
    session.until("the screen", || session.is_alternate());
    session.see("written elsewhere");
    // Now they are the box's again.
    session.press(" and here");
    session.see("written elsewhere and here");
    session.press("\x1b");
    std::thread::sleep(Duration::from_millis(100));
    session.press("q");
    assert!(session.end().success());
    session.assert_restored();
    // What was tried is there the next time.
    let mut session = session.again(library.path());
    session.see("expert-2");
    session.press("4");
    // The model is missed before: what comes of it takes the keys away from the box.
    session.see("try again");
    session.press("i");
    session.see("Ctrl-R history");
    // They are read while one types.
    for _ in 0..200 {
        session.press("\x1b[A");
        std::thread::sleep(Duration::from_millis(20));
        if session.find("written elsewhere and here").is_some() {
            return;
        }
    }
    panic!("{}", session.text());
}

#[test]
fn colours_follow_the_terminal_and_the_person() {
    use vt100::Color;
    let library = library(3, 16);
    let colour = |session: &Session| {
        session.see("quit");
        session.colours(session.find("quit").unwrap()).0
    };
    // An empty NO_COLOR counts as not set.
    let open = |no_color: Option<&str>, theme: Option<&str>| {
        let variables = [("NO_COLOR", no_color), ("COLORTERM", Some("truecolor")), ("LORA_TUI_THEME", theme)];
        let session = Session::open_where(&variables, library.path(), &[]);
        session.see("expert-2");
        session
    };
    assert_eq!(colour(&open(Some("1"), None)), Color::Default);
    for (no_color, theme) in [(None, None), (Some(""), Some("auto"))] {
        let mut session = open(no_color, theme);
        let dark = colour(&session);
        assert!(matches!(dark, Color::Rgb(..)), "{dark:?}");
        // The terminal answers late, and that its ground is light.
        session.press("\x1b]11;rgb:ffff/ffff/f0f0\x1b\\");
        session.until("other colours", || colour(&session) != dark);
        let light = colour(&session);
        session.press("\x1b]11;rgb:0000/0000/0000\x1b\\");
        session.until("the first colours", || colour(&session) == dark);
        assert_eq!(colour(&open(None, Some("light"))), light);
    }
}

#[test]
fn stopping_and_continuing_draws_everything_anew() {
    let library = library(1, 16);
    let mut session = Session::open(library.path());
    session.see("expert-0");
    // What a shell does after Ctrl-Z, seen from inside: stopped, the screen given back, continued.
    session.signal(Signal::TSTP);
    session.assert_restored();
    session.signal(Signal::CONT);
    let alternate = || session.is_alternate();
    session.until("the alternate screen", alternate);
    session.see("expert-0");
    session.press("q");
    assert!(session.end().success());
    session.assert_restored();
}

#[test]
fn ctrl_d_while_it_is_stopped_does_not_end_it() {
    let library = library(1, 16);
    let mut session = Session::open(library.path());
    session.see("expert-0");
    session.signal(Signal::TSTP);
    session.assert_stopped();
    // In line mode, which it has left the terminal in, this is an end of input; the line mode itself answers what
    // follows.
    session.press("\x04\x12");
    session.see("^R");
    session.signal(Signal::CONT);
    session.until("the alternate screen", || session.is_alternate());
    session.see("expert-0");
    session.press("q");
    assert!(session.end().success());
    session.assert_restored();
}

#[test]
fn a_library_that_grows_is_shown_growing() {
    let library = library(1, 16);
    let mut session = Session::open(library.path());
    session.see("1 expert");
    let other = library.path().join("later");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("adapter_config.json"), "{oops").unwrap();
    session.see("✗ later");
    session.press("q");
    assert!(session.end().success());
}

#[test]
fn a_burst_of_keys_arrives_without_another_key() {
    let library = library(2, 16);
    let mut session = Session::open(library.path());
    session.see("expert-0");
    session.press("4");
    // There is no base model: after that nothing takes the focus away any more.
    session.see("try again");
    session.press("i");
    session.see("new line");
    // Typed, not pasted: more than three reads of the terminal.
    let words: String = (1..=600).map(|n| format!("w{n:04} ")).collect();
    session.press(&words[..3000]);
    session.press("the-end");
    session.see("the-end");
    session.press("\x03");
    assert!(session.end().success());
    session.assert_restored();
}

#[test]
fn terminals_that_cannot_show_a_screen_get_the_list() {
    let library = library(2, 16);
    for (term, why) in
        [(Some("dumb"), "TERM is dumb"), (None, "TERM is not set"), (Some(""), "TERM is not set")]
    {
        let mut session = Session::open_in(term, library.path(), &[]);
        assert!(session.end().success());
        session.see("expert-1");
        // The line is longer than the terminal is wide.
        session.until(why, || session.text().replace('\n', "").contains(why));
        assert!(!session.is_alternate());
    }
}

#[test]
fn a_job_is_started_cancelled_and_found_again() {
    let library = library(20, 20_000);
    // Another job takes the only turn, so that this one cannot be over before it is cancelled.
    let jobs = library.path().join(".lora-tui/jobs");
    std::fs::create_dir_all(&jobs).unwrap();
    let turn = std::fs::File::create(jobs.join("slot.0")).unwrap();
    turn.lock().unwrap();
    let mut session = Session::open(library.path());
    session.see("expert-0");
    session.press("c");
    session.see("Cluster the library");
    session.press("\r");
    let waits = |line: &str| line.contains("k = ") && line.contains("queued");
    session.until("a job that waits", || session.text().lines().any(waits));
    session.press("x");
    session.see("n keep");
    session.press("y");
    session.see("cancelled");
    session.press("q");
    assert!(session.end().success());
    let mut again = session.again(library.path());
    again.see("expert-0");
    again.press("6");
    let shows = |session: &Session, state: &str| {
        session.text().lines().any(|line| line.contains("k = ") && line.contains(state))
    };
    // Its log says so before its worker has ended, and until then it cannot be resumed.
    again.until("the cancelled job", || shows(&again, "cancelled"));
    // It begins again, and may finish before it is seen.
    drop(turn);
    again.press("r");
    again.until("the job again", || shows(&again, "running") || shows(&again, "finished"));
    again.press("x");
    again.until("the question", || again.text().contains("n keep") || shows(&again, "finished"));
    again.press("y");
    let over = || ["running", "cancelling"].iter().all(|state| !again.text().contains(state));
    again.until("the end of the job", over);
    again.press("q");
    assert!(again.end().success());
}

/// What threads that have ended computed with is given back: without that, every heap of the allocator would keep as
/// much as the largest comparison took.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn memory_stays_bounded_while_the_library_changes() {
    let library = library(6, 400_000);
    let mut session = Session::open(library.path());
    session.see("expert-5");
    let private = |session: &Session| -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", session.process().as_raw_nonzero()));
        let line = status.unwrap().lines().find_map(|line| line.strip_prefix("RssAnon:").map(String::from));
        line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    };
    let first = library.path().join("expert-0");
    let mut most = 0;
    for round in 0..8 {
        let name = format!("later-{round}");
        let other = library.path().join(&name);
        std::fs::create_dir(&other).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::hard_link(first.join(file), other.join(file)).unwrap();
        }
        session.press("1r");
        session.see(&format!(" {} experts", 7 + round));
        session.press("2");
        session.see(&format!("MBC · {} experts", 7 + round));
        session.see("range of pairs");
        most = most.max(private(&session));
    }
    session.press("1");
    eprintln!("at most {most} kB, at the end {} kB", private(&session));
    session.until("memory given back", || private(&session) < 48 * 1024);
    session.press("q");
    assert!(session.end().success());
}

#[test]
fn the_library_that_a_job_made_opens_in_its_place() {
    let (library, made) = (library(2, 16), tempfile::tempdir().unwrap());
    let inner = made.path().join("made");
    std::fs::create_dir(&inner).unwrap();
    std::fs::rename(self::library(1, 16).path().join("expert-0"), inner.join("from-a-cluster")).unwrap();
    let job = library.path().join(".lora-tui/jobs/20260101-000000-train-clusters-made");
    std::fs::create_dir_all(&job).unwrap();
    let spec = serde_json::json!({ "kind": "train-clusters", "library": library.path(), "out": inner });
    let report = serde_json::json!({
        "library": inner, "k": 2, "seed": 42, "sparsity": 0.5, "silhouette": 0.25, "clusters": [], "warnings": [],
        "skipped": [],
    });
    let result = serde_json::json!({ "state": "finished", "result": report });
    for (name, text) in
        [("spec.json", spec.to_string()), ("lock", String::new()), ("result.json", result.to_string())]
    {
        std::fs::write(job.join(name), text).unwrap();
    }
    let mut session = Session::open(library.path());
    session.see("expert-1");
    session.press("6");
    session.see("finished");
    session.press("o");
    // The tabs begin anew there, and what the other library's services still answer goes nowhere.
    session.see("from-a-cluster");
    session.until("the other library is left", || !session.text().contains("expert-1"));
    session.press("6");
    session.see("No jobs yet.");
    // What changes there shows.
    session.press("1");
    std::fs::rename(library.path().join("expert-1"), inner.join("expert-1")).unwrap();
    session.see("expert-1");
    session.press("q");
    assert!(session.end().success());
    session.assert_restored();
}
