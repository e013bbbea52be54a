//! The run that is kept against what is shown.

use super::comparing::{compared, comparison, reroute};
use super::*;
use crate::tui::AppEffect;

#[test]
fn what_moved_against_the_run_kept_is_a_map_and_a_line() {
    let (mut screen, shared) = routed();
    let said = press(&mut screen, &shared, key('d'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("R keeps this one")));
    press(&mut screen, &shared, key('R'));
    let asked = ticket(&press(&mut screen, &shared, key('<')));
    // One choice of one layer is another: the leader of " kilometers" in the first layer's modules.
    let before = Synthetic::default().trace(&PROMPT);
    let mut now = Trace::new(before.modules.clone(), before.experts.clone(), 3);
    for (t, token) in before.tokens.iter().enumerate() {
        let mut entries: Vec<(u32, f32)> = Vec::new();
        for module in 0..before.modules.len() {
            match t == 6 && module < 4 {
                true => entries.extend([(11, 1.0), (0, 0.0), (0, 0.0)]),
                false => entries.extend_from_slice(before.weights(t, module)),
            }
        }
        now.push(token.clone(), &entries);
    }
    answer(&mut screen, &shared, asked, now, false);
    let drawn = render(&screen, &shared, 160, 46);
    assert!(drawn.contains("have another winner, 12 % in layer 0"), "{drawn}");
    assert!(drawn.contains("d maps it"), "{drawn}");
    press(&mut screen, &shared, key('d'));
    let drawn = render(&screen, &shared, 160, 46);
    let row = |word: &str| drawn.lines().find(|line| line.contains(word)).unwrap().to_string();
    let cells = |row: &str| -> String {
        let map = row.split('»').nth(1).unwrap().chars().take(30 * 2);
        map.filter(|c| !c.is_whitespace()).collect()
    };
    assert!(cells(&row("«·kilometers»")).starts_with("L··"), "{drawn}");
    assert!(cells(&row("«·into»")).starts_with("···"), "{drawn}");
    assert!(drawn.contains("· as under arrow") && drawn.contains("what moved"), "{drawn}");
    // The same key, or the whole again, ends it.
    press(&mut screen, &shared, key('d'));
    assert!(!render(&screen, &shared, 160, 46).contains("what moved"));
    // With another prompt there is nothing to compare.
    press(&mut screen, &shared, key('i'));
    screen.on_paste("?", &shared);
    press(&mut screen, &shared, code(KeyCode::Esc));
    let asked = screen.exchange.ticket;
    answer(&mut screen, &shared, asked, Synthetic::default().trace(&PROMPT[..5]), false);
    let said = press(&mut screen, &shared, key('d'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("another prompt")));
}

#[test]
fn a_run_is_kept_and_compared_with_what_is_shown() {
    let (mut screen, shared) = routed();
    let (kept, _) = comparison(&press(&mut screen, &shared, key('R')));
    let now = screen.question.asked();
    assert_eq!(screen.experiment.reference(&now), "", "an answer is no right one because it was kept");
    compared(&mut screen, &shared, kept, 0, "12000 meters", None);
    press(&mut screen, &shared, key('='));
    let (kept, _) = comparison(&press(&mut screen, &shared, code(KeyCode::Enter)));
    compared(&mut screen, &shared, kept, 0, "12000 meters", Some(-0.52));
    assert!(!render(&screen, &shared, 160, 46).contains("against the run"), "that is this run");
    let (next, _) = comparison(&reroute(&mut screen, &shared, '<'));
    compared(&mut screen, &shared, next, 0, "12 km", Some(-0.11));
    let drawn = render(&screen, &shared, 160, 46);
    for line in [
        "router   arrow → arrow:k=2",
        "entropy  0.93 → ",
        "winner   negate 26 % → ",
        "answer   12000 meters → 12 km",
        "log p    -0.52 → -0.11 (+0.41)",
        " tokens",
    ] {
        assert!(drawn.contains(line), "{line}\n{drawn}");
    }
    // The same key on the run that is kept lets it go.
    reroute(&mut screen, &shared, '>');
    press(&mut screen, &shared, key('R'));
    assert!(screen.experiment.kept.is_none());
}
