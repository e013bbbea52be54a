use std::sync::Arc;

use crossterm::event::KeyCode;
use proptest::prelude::*;

use super::SimilarityScreen;
use crate::analysis::{Metric, Similarity, Strength};
use crate::library::Skipped;
use crate::tui::screens::test_data;
use crate::tui::testing::{
    assert_cell, assert_screen, assert_text, buffer, code, find, key, press_on, render, text,
};
use crate::tui::{AppEffect, ComputeEffect, ComputeMessage, Depth, Effect, Message, Screen, Shared, Theme};

/// Shows the tab and answers what it asks for.
fn loaded(n: usize) -> (SimilarityScreen, Shared) {
    let mut shared = test_data::shared(n);
    let mut screen = SimilarityScreen::new();
    let asked = screen.on_show(&shared);
    let clustering = test_data::clustering(n, 4);
    let similarity = test_data::similarity(n, Metric::MBC);
    answer(&mut screen, &asked, &similarity, &shared);
    shared.clustering = Some(clustering.clone());
    screen.on_message(
        &Message::Compute(ComputeMessage::Clustering { ticket: 1, result: Ok((similarity, clustering)) }),
        &shared,
    );
    (screen, shared)
}

fn answer(screen: &mut SimilarityScreen, asked: &[Effect], similarity: &Arc<Similarity>, shared: &Shared) {
    let [Effect::Compute(ComputeEffect::Similarity { ticket, .. })] = asked else {
        panic!("asked for {asked:?}")
    };
    screen.on_message(
        &Message::Compute(ComputeMessage::Similarity { ticket: *ticket, result: Ok(similarity.clone()) }),
        shared,
    );
}

/// The pair view of the first two experts.
fn paired() -> (SimilarityScreen, Shared) {
    let (mut screen, shared) = loaded(12);
    let asked = screen.on_key(code(KeyCode::Enter), &shared).unwrap_or_default();
    let [Effect::Compute(ComputeEffect::Pair { ticket, a, b })] = &asked[..] else {
        panic!("asked for {asked:?}")
    };
    assert_ne!(a, b);
    screen.on_message(
        &Message::Compute(ComputeMessage::Pair { ticket: *ticket, result: Ok(test_data::pair()) }),
        &shared,
    );
    (screen, shared)
}

#[test]
fn at_usual_sizes() {
    let (mut screen, shared) = loaded(12);
    press_on(&mut screen, "jjjll", &shared);
    for (width, height) in [(40, 10), (80, 24), (120, 40), (200, 60)] {
        assert_screen!(format!("matrix_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

/// What is seen before anything is compared: how far that is and how long it takes, in the middle, above what is known
/// already.
#[test]
fn the_wait_at_usual_sizes() {
    let mut shared = test_data::shared(300);
    let mut screen = SimilarityScreen::new();
    let asked = screen.on_show(&shared);
    let [Effect::Compute(ComputeEffect::Similarity { ticket, .. })] = asked[..] else { panic!("{asked:?}") };
    for (now, done) in [(100.0, 100), (102.0, 300)] {
        shared.now = now;
        let message = ComputeMessage::Progress { ticket, done, total: 900 };
        screen.on_message(&Message::Compute(message), &shared);
    }
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        assert_screen!(format!("wait_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

/// Then a sample, beside the families of all, with how far the whole is.
#[test]
fn a_sample_at_usual_sizes() {
    let mut shared = test_data::shared(300);
    let mut screen = SimilarityScreen::new();
    let asked = screen.on_show(&shared);
    let [Effect::Compute(ComputeEffect::Similarity { ticket, .. })] = asked[..] else { panic!("{asked:?}") };
    shared.now = 100.0;
    let message = ComputeMessage::Progress { ticket, done: 300, total: 900 };
    screen.on_message(&Message::Compute(message), &shared);
    let sample = ComputeMessage::Sample {
        ticket,
        similarity: test_data::similarity(12, Metric::MBC),
        clustering: test_data::clustering(12, 4),
    };
    screen.on_message(&Message::Compute(sample), &shared);
    for (width, height) in [(80, 24), (160, 48)] {
        assert_screen!(format!("sample_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

/// Groups have names, and gaps between them; without colour the cells have numbers.
#[test]
fn by_family_at_usual_sizes() {
    let (mut screen, shared) = loaded(12);
    press_on(&mut screen, "o", &shared);
    assert_screen!("by_family_120x40", render(&screen, &shared, 120, 40));
    let plain = text(&buffer(&screen, &shared, 120, 40, Depth::Plain));
    assert_screen!("by_family_without_colour_120x40", plain);
}

#[test]
fn many_experts_at_usual_sizes() {
    let (screen, shared) = loaded(90);
    for (width, height) in [(80, 24), (160, 48)] {
        assert_screen!(format!("many_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

#[test]
fn a_pair_at_usual_sizes() {
    let (screen, shared) = paired();
    for (width, height) in [(40, 10), (80, 24), (120, 40), (200, 60)] {
        assert_screen!(format!("pair_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

#[test]
fn colours_say_values_clusters_and_where_the_cursor_is() {
    let (mut screen, shared) = loaded(6);
    press_on(&mut screen, "jl", &shared);
    let drawn = buffer(&screen, &shared, 60, 14, Depth::True);
    let theme = Theme::new(Depth::True);
    let cell = |row: u16, column: u16| (20 + 6 * column, 3 + row);
    // The cursor frames a number, whose colour stays that of the same pair the other way round.
    assert_eq!(find(&drawn, "[0.87]"), (31, 4));
    assert_eq!(drawn[(32, 4)].bg, drawn[cell(2, 1)].bg);
    // Least and greatest of the pairs, in the cursor's row and column as elsewhere.
    assert_cell(&drawn, cell(0, 1), theme.on_sequential(1.0));
    assert_cell(&drawn, cell(0, 4), theme.on_sequential(0.0));
    assert_cell(&drawn, cell(1, 0), theme.on_sequential(1.0));
    assert_cell(&drawn, cell(5, 2), theme.on_sequential(0.0));
    assert_text(&drawn, "2 format_json", theme.accent());
    assert_text(&drawn, "1 format_list", theme.dim());
    assert_cell(&drawn, find(&drawn, "3     4"), theme.accent());
    for (cluster, mark) in [(0, "1─"), (1, "2─")] {
        assert_text(&drawn, mark, theme.category(cluster));
    }
    assert_text(&drawn, "0.8700", theme.accent());
    assert_cell(&drawn, find(&drawn, "1 format_json"), theme.category(0));
}

#[test]
fn an_expert_that_was_hardly_trained_is_marked_wherever_it_is_named() {
    let (mut screen, mut shared) = loaded(6);
    let mut similarity = (*test_data::similarity(6, Metric::MBC)).clone();
    let strength = |at| Strength { norm: if at == 5 { 0.1 } else { 6.0 }, gap: Some(0.4) };
    similarity.strength = (0..6).map(strength).collect();
    let similarity = Arc::new(similarity);
    shared.set_similarity(&similarity);
    let asked = press_on(&mut screen, "m", &shared);
    answer(&mut screen, &asked, &similarity, &shared);
    let drawn = render(&screen, &shared, 120, 40);
    assert!(drawn.contains("! spam_or_not") && !drawn.contains("! format_date"), "{drawn}");
}

#[test]
fn without_colour_nothing_is_a_half_block() {
    let (screen, shared) = loaded(12);
    let drawn = text(&buffer(&screen, &shared, 80, 24, Depth::Plain));
    assert!(!drawn.contains(['▀', '▄']), "{drawn}");
    assert_screen!("without_colour_nothing_is_a_half_block", drawn);
}

#[test]
fn asks_once_when_first_shown_and_drops_stale_answers() {
    let shared = test_data::shared(3);
    let mut screen = SimilarityScreen::new();
    let first = screen.on_show(&shared);
    assert!(
        matches!(first[..], [Effect::Compute(ComputeEffect::Similarity { metric, sparsity: 0.5, .. })] if metric == Metric::default())
    );
    assert_eq!(screen.on_show(&shared), []);
    let second = press_on(&mut screen, "m", &shared);
    assert!(
        matches!(second[..], [Effect::Compute(ComputeEffect::Similarity { metric, .. })] if metric == Metric::default().next())
    );
    answer(&mut screen, &first, &test_data::similarity(3, Metric::MBC), &shared);
    assert!(screen.shown.is_none() && screen.is_animating(&shared));
    answer(&mut screen, &second, &test_data::similarity(3, Metric::FLAT), &shared);
    assert!(screen.shown.is_some() && !screen.is_animating(&shared));
}

#[test]
fn sparsity_moves_in_exact_steps_within_its_bounds() {
    let (mut screen, shared) = loaded(3);
    let asked = press_on(&mut screen, "]]", &shared);
    assert!(
        matches!(asked[..], [_, Effect::Compute(ComputeEffect::Similarity { sparsity: 0.6, .. })]),
        "{asked:?}"
    );
    press_on(&mut screen, &"]".repeat(40), &shared);
    assert_eq!(screen.comparing.sparsity(), 0.95);
    press_on(&mut screen, &"[".repeat(40), &shared);
    assert_eq!(screen.comparing.sparsity(), 0.0);
}

#[test]
fn the_cursor_stays_on_its_pair_when_the_order_changes() {
    let (mut screen, shared) = loaded(12);
    press_on(&mut screen, "jjjjjjjlllllllllll", &shared);
    let before = screen.cursor_names();
    assert!(before.is_some());
    for _ in 0..3 {
        press_on(&mut screen, "o", &shared);
        assert_eq!(screen.cursor_names(), before);
    }
}

#[test]
fn a_pair_opens_and_closes_and_an_expert_with_itself_is_no_pair() {
    let (mut screen, shared) = loaded(12);
    press_on(&mut screen, "h", &shared);
    let asked = screen.on_key(code(KeyCode::Enter), &shared).unwrap_or_default();
    assert!(matches!(asked[..], [Effect::App(AppEffect::Notice(_))]));
    let (mut screen, shared) = paired();
    assert!(render(&screen, &shared, 100, 24).contains("cosine of ΔW"));
    press_on(&mut screen, "m", &shared);
    assert!(render(&screen, &shared, 100, 24).contains("overlap of input subspaces"));
    screen.on_key(code(KeyCode::Esc), &shared);
    assert!(screen.pair.is_none());
}

#[test]
fn a_changed_library_is_compared_again_and_an_equal_one_is_not() {
    let (mut screen, mut shared) = loaded(6);
    assert_eq!(screen.on_message(&Message::Library(Ok(test_data::library(6))), &shared), []);
    shared.library = Some(test_data::library(7));
    let asked = screen.on_message(&Message::Library(Ok(test_data::library(7))), &shared);
    assert!(matches!(asked[..], [Effect::Compute(ComputeEffect::Similarity { .. })]));
}

#[test]
fn says_what_is_the_matter() {
    let line = |screen: &SimilarityScreen, shared: &Shared| render(screen, shared, 90, 8);
    let mut screen = SimilarityScreen::new();
    assert!(line(&screen, &Shared::default()).contains("reading the library"));
    for n in [0, 1] {
        let shared = test_data::shared(n);
        assert_eq!(screen.on_show(&shared), []);
        assert!(line(&screen, &shared).contains(if n == 0 {
            "No experts yet"
        } else {
            "One expert: comparing needs"
        }));
    }
    let shared = test_data::shared(3);
    let asked = screen.on_show(&shared);
    let [Effect::Compute(ComputeEffect::Similarity { ticket, .. })] = asked[..] else { panic!("{asked:?}") };
    screen.on_message(&Message::Compute(ComputeMessage::Progress { ticket, done: 2, total: 9 }), &shared);
    let drawn = line(&screen, &shared);
    assert!(drawn.contains("comparing 3 experts") && drawn.contains("22 %"), "{drawn}");
    let error = "ranks differ\u{1b}[2J\nsecond line".to_string();
    screen.on_message(&Message::Compute(ComputeMessage::Similarity { ticket, result: Err(error) }), &shared);
    assert!(line(&screen, &shared).contains("✗ ranks differ\\u{1b}[2J"));
}

#[test]
fn warnings_and_experts_left_out_are_one_line() {
    let (mut screen, shared) = loaded(3);
    let mut similarity = Similarity::clone(&test_data::similarity(3, Metric::FLAT));
    similarity.warnings = vec!["experts started from different seeds".into()];
    similarity.skipped = vec![Skipped::new("broken", "NaN in lora_A")];
    let asked = press_on(&mut screen, "m", &shared);
    answer(&mut screen, &asked, &Arc::new(similarity), &shared);
    let line = "! left out: broken: NaN in lora_A · experts started from different seeds";
    assert!(render(&screen, &shared, 90, 16).contains(line));
}

#[test]
fn long_errors_and_notes_wrap() {
    let (mut screen, shared) = loaded(3);
    let asked = press_on(&mut screen, "m", &shared);
    let mut similarity = Similarity::clone(&test_data::similarity(3, Metric::FLAT));
    let reason =
        "rank 8 in model.layers.0.self_attn.q_proj, where most experts have rank 4: delta compares it";
    similarity.skipped = ["aspect", "mm"].map(|name| Skipped::new(name, reason)).to_vec();
    answer(&mut screen, &asked, &Arc::new(similarity), &shared);
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = words(render(&screen, &shared, 80, 24));
    assert!(text.contains(&format!("! 2 experts left out, the first is aspect: {reason}")), "{text}");
    let asked = press_on(&mut screen, "m", &shared);
    let [Effect::Compute(ComputeEffect::Similarity { ticket, .. })] = asked[..] else { panic!("{asked:?}") };
    let error = format!("{reason}; {reason}");
    screen.on_message(
        &Message::Compute(ComputeMessage::Similarity { ticket, result: Err(error.clone()) }),
        &shared,
    );
    let text = words(render(&screen, &shared, 80, 24));
    assert!(text.contains(&format!("✗ {error} (shown: the last result)")), "{text}");
}

#[test]
fn experts_that_cannot_be_used_are_counted() {
    let (mut screen, mut shared) = loaded(4);
    let mut library = test_data::library(4).library.clone();
    library.experts[1].standing = crate::library::Standing::Bad { reason: "is damaged".into() };
    library.experts[2].set_misfit(Some("made for another base model".into()));
    let library: Arc<crate::catalog::Catalog> = Arc::new(library.into());
    shared.library = Some(library.clone());
    let asked = screen.on_message(&Message::Library(Ok(library)), &shared);
    let mut similarity = Similarity::clone(&test_data::similarity(2, Metric::MBC));
    similarity.skipped = vec![Skipped::new("format_list", "made for another base model")];
    answer(&mut screen, &asked, &Arc::new(similarity), &shared);
    let text = render(&screen, &shared, 90, 16);
    assert!(text.contains("! 2 experts cannot be used, see Library\n"), "{text}");
}

#[test]
fn keys_that_would_do_nothing_are_not_offered() {
    for n in [0, 1] {
        let shared = test_data::shared(n);
        let mut screen = SimilarityScreen::new();
        screen.on_show(&shared);
        assert_eq!(screen.hints(&shared), []);
        assert_eq!(screen.on_key(key('m'), &shared), None);
    }
}

#[test]
fn a_large_library_is_asked_about_first() {
    let shared = test_data::shared(2001);
    let mut screen = SimilarityScreen::new();
    assert_eq!(screen.on_show(&shared), []);
    assert!(render(&screen, &shared, 100, 8).contains("16 MB"));
    assert_eq!(press_on(&mut screen, "m", &shared), []);
    let asked = screen.on_key(code(KeyCode::Enter), &shared).unwrap_or_default();
    assert!(matches!(asked[..], [Effect::Compute(ComputeEffect::Similarity { .. })]));
}

#[test]
fn identical_experts_are_drawn() {
    let (mut screen, shared) = loaded(3);
    let mut similarity = Similarity::clone(&test_data::similarity(3, Metric::FLAT));
    similarity.matrix.fill(1.0);
    let asked = press_on(&mut screen, "m", &shared);
    answer(&mut screen, &asked, &Arc::new(similarity), &shared);
    assert!(render(&screen, &shared, 120, 40).contains("1.00"));
}

#[test]
fn every_key_of_the_table_is_taken() {
    let (mut screen, shared) = loaded(12);
    for c in "hjklHJKLgGm[]o+-0a".chars() {
        screen.metric = Metric::MBC;
        assert!(screen.on_key(key(c), &shared).is_some(), "{c}");
    }
    assert!(screen.on_key(key('x'), &shared).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn never_panics(
        n in 0usize..20, data: bool, pair: bool, plain: bool, width in 0u16..130, height in 0u16..50,
        keys in proptest::collection::vec(proptest::sample::select("hjklHJKLgGm[]o+-0a\n".chars().collect::<Vec<_>>()), 0..12),
    ) {
        let (mut screen, shared) = match (data && n > 1, pair) {
            (true, true) => paired(),
            (true, false) => loaded(n),
            (false, _) => (SimilarityScreen::new(), test_data::shared(n)),
        };
        let depth = if plain { Depth::Plain } else { Depth::True };
        for c in keys {
            buffer(&screen, &shared, width, height, depth);
            screen.on_key(if c == '\n' { code(KeyCode::Enter) } else { key(c) }, &shared);
            screen.hints(&shared);
        }
        buffer(&screen, &shared, width, height, depth);
    }
}
