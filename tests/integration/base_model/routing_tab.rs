//! A prompt typed into the Routing tab of the binary in a pseudo-terminal.

use std::time::Duration;

use super::base_model;
use crate::support::pty::Session;
use crate::support::{copy_folder, repository};

#[test]
fn a_typed_prompt_shows_its_routing_and_its_answer() {
    let Some(base) = base_model() else { return };
    let home = tempfile::tempdir().unwrap();
    let library = home.path().join("library");
    copy_folder(&repository().join("library"), &library);
    let mut session = Session::open_with(&library, &["--base".as_ref(), base.as_os_str()]);
    session.see("iso_date");
    session.press("4");
    session.see("prompt");
    session.press("i");
    session.press("Write this date in the ISO format YYYY-MM-DD.\nJune 14, 1943");
    // The finding, once the library's router is calibrated, the prompt as text, the layers and the experts' shares.
    session.see("iso_date decides");
    session.see("share of the weight");
    session.see("share of");
    session.press("\r");
    // What is generated stands beside the prompt, and below it as text.
    session.see("╮╭ answer");
    session.see("1943-06-14");
    // Escape stops the answer first and leaves the box second; an escape needs a moment to be distinguished from the
    // start of a key's code.
    for _ in 0..100 {
        if session.text().contains("quit") {
            break;
        }
        session.press("\x1b");
        std::thread::sleep(Duration::from_millis(300));
    }
    session.press("q");
    assert!(session.end().success());
    session.assert_restored();
}
