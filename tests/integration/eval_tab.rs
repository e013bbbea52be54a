//! The Eval tab in a terminal: an evaluation is started there, its table fills, and what it found out is looked at.

use crate::eval::{Place, input, lines};
use crate::support::pty::Session;

/// The tiny library with two tasks in a family.
fn place() -> Place {
    let place = Place::new();
    place.set_end("w7");
    for (task, step) in [("first", 13), ("second", 17)] {
        let one = |i: usize| (input(i), format!("w{}", (i * step) % 50));
        place.write_task(task, "family = \"words\"\n", "", &lines((0..6).map(one)));
    }
    place
}

#[test]
fn an_evaluation_is_started_watched_and_looked_at_in_the_tab() {
    let place = place();
    let base = [std::ffi::OsStr::new("--base"), place.base.as_os_str()];
    let mut session = Session::open_with(&place.library(), &base);
    session.resize(120, 40);
    session.see("expert_1");
    session.press("5");
    session.see("No evaluation of this library yet.");
    session.press("n");
    session.see("Evaluate methods on tasks");
    session.press(place.tasks().to_str().unwrap());
    session.press("\x1b[B");
    session.press("base,single:expert_0,single:expert_1,arrow");
    session.see("single:expert_1,arrow");
    session.press("\r");
    // The tab stays, and its table fills.
    session.see("all 2 tasks");
    session.see("over 2 held-out tasks");
    session.see("6 items");
    session.press("d");
    session.see("differences to base");
    session.press("j\r");
    session.see("differences to single:expert_0");
    session.see("is it");
    session.press("d");
    session.press("x");
    session.see("2 experts × 2 tasks");
    session.press("\r");
    session.see("item 1 of 6");
    session.press("f");
    session.see("wrong");
    session.press("\x1b");
    session.see("2 experts × 2 tasks");
    session.press("x");
    session.see("over 2 held-out tasks");
    session.press("w");
    session.see("Save the table as");
    let table = place.dir.path().join("table.csv");
    session.press(table.to_str().unwrap());
    session.press("\r");
    session.see("saved as");
    let text = std::fs::read_to_string(&table).unwrap();
    assert!(text.contains("first,task,words,held out,exact_match,6,single:expert_1,"), "{text}");
    session.press("e");
    session.see("1 evaluation");
    // Not Esc, which together with what follows at once would be another key.
    session.press("\r");
    session.press("q");
    assert!(session.end().success());
    session.assert_restored();
}
