//! The binary in a pseudo-terminal: what a person sees, and how the terminal is left behind.

use std::time::Duration;

use lora_tui::library::{NewAdapterConfig, NewLora, Provenance, write_adapter};
use rustix::process::Signal;

use crate::support::pty::Session;

/// `count` tiny experts of one module with `width` inputs; all but the first share its files.
fn library(count: usize, width: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let values = |n: usize| (0..n).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect();
    let module = "model.layers.0.self_attn.q_proj".to_string();
    let tensor =
        NewLora { module, rank: 4, in_features: width, out_features: 8, a: values(4 * width), b: values(32) };
    let config = NewAdapterConfig {
        revision: None,
        base: "some/base".into(),
        r: 4,
        alpha: 8.0,
        dropout: 0.0,
        targets: vec!["q_proj".into()],
    };
    let first = dir.path().join("expert-0");
    write_adapter(&first, &[tensor], &config, candle_core::DType::F32, &Provenance::default()).unwrap();
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
    session.press("5");
    session.see("No jobs yet.");
    for tab in ["2", "3", "4"] {
        session.press(tab);
        session.press("?");
        session.see("Everywhere");
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
    // Comparing so many big experts takes longer than cancelling.
    let library = library(200, 2_000_000);
    let mut session = Session::open(library.path());
    session.see("expert-0");
    session.press("c");
    session.see("Cluster the library");
    session.press("\r");
    see_running_job(&session);
    session.press("x");
    session.see("let it run");
    session.press("y");
    session.see("cancelled");
    session.press("q");
    assert!(session.end().success());
    let mut again = session.again(library.path());
    again.see("expert-0");
    again.press("5");
    again.see("cancelled");
    // It begins again.
    again.press("r");
    see_running_job(&again);
    again.press("x");
    again.see("let it run");
    again.press("y");
    let over = || ["running", "cancelling"].iter().all(|state| !again.text().contains(state));
    again.until("the end of the job", over);
    again.press("q");
    assert!(again.end().success());
}

/// Waits for the job's row: forms and hints speak of running, too.
fn see_running_job(session: &Session) {
    let row = |line: &str| line.contains("k = 10") && line.contains("running");
    session.until("a running job", || session.text().lines().any(row));
}
