use crossterm::event::KeyCode;
use proptest::prelude::*;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::charts::{Emphasis, Point};
use super::groups::Groups;
use super::state::Chosen;
use super::{ClustersScreen, charts};
use crate::analysis::{Metric, Strength};
use crate::tui::screens::test_data;
use crate::tui::testing::{
    assert_cell, assert_screen, assert_text, buffer, code, find, key, press_on, render, shows, text,
};
use crate::tui::{AppEffect, ComputeEffect, ComputeMessage, Depth, Effect, Message, Screen, Shared, Theme};

fn answer(screen: &mut ClustersScreen, asked: &[Effect], shared: &Shared) -> Vec<Effect> {
    let [Effect::Compute(ComputeEffect::Cluster { ticket, k, .. })] = asked else {
        panic!("asked for {asked:?}")
    };
    let n = shared.library.as_ref().map_or(0, |library| library.experts.len());
    let result = Ok((test_data::similarity(n, Metric::MBC), test_data::clustering(n, *k)));
    screen.on_message(&Message::Compute(ComputeMessage::Clustering { ticket: *ticket, result }), shared)
}

/// Shows the tab and answers what it asks for, until it asks no more.
fn loaded(n: usize) -> (ClustersScreen, Shared) {
    let shared = test_data::shared(n);
    let mut screen = ClustersScreen::new();
    let asked = screen.on_show(&shared);
    let asked = answer(&mut screen, &asked, &shared);
    let [Effect::Compute(ComputeEffect::Sweep { ticket, .. })] = asked[..] else {
        panic!("asked for {asked:?}")
    };
    let asked = screen.on_message(
        &Message::Compute(ComputeMessage::Sweep { ticket, result: Ok(test_data::sweep(n)) }),
        &shared,
    );
    if !asked.is_empty() {
        assert_eq!(answer(&mut screen, &asked, &shared), []);
    }
    (screen, shared)
}

#[test]
fn a_cluster_at_usual_sizes() {
    let (screen, shared) = loaded(12);
    for (width, height) in [(40, 10), (80, 24), (120, 40), (200, 60)] {
        assert_screen!(format!("cluster_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

#[test]
fn a_member_at_usual_sizes() {
    let (mut screen, shared) = loaded(12);
    press_on(&mut screen, "jj", &shared);
    for (width, height) in [(80, 24), (120, 40)] {
        assert_screen!(format!("member_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

#[test]
fn clusters_have_their_colours_and_what_is_selected_stands_out() {
    let (mut screen, shared) = loaded(12);
    press_on(&mut screen, "j", &shared);
    let drawn = buffer(&screen, &shared, 80, 20, Depth::True);
    let theme = Theme::new(Depth::True);
    for (cluster, head, member) in [
        (0, "1  3", "│ format_json"),
        (1, "2  3", "│ sentiment_books"),
        (2, "3  3", "│ spanish_plural"),
        (3, "4  3", "│ units_length"),
    ] {
        assert_cell(&drawn, find(&drawn, head), theme.category(cluster));
        let (x, y) = find(&drawn, member);
        assert_cell(&drawn, (x, y), theme.category(cluster));
        assert_cell(&drawn, (24, y), theme.category(cluster));
    }
    // A silhouette below zero is a member in the wrong place.
    assert_text(&drawn, "-0.10", theme.error());
    assert_text(&drawn, "0.35", theme.dim());
    let (_, selected) = find(&drawn, "│ format_date");
    for x in 0..36 {
        assert_cell(&drawn, (x, selected), theme.selection());
    }
    // On the map: the selected one under the cursor, the nearest underlined, all in their cluster's colour.
    let cursor: Vec<&str> =
        drawn.content.iter().filter(|cell| shows(cell, theme.cursor())).map(|cell| cell.symbol()).collect();
    assert_eq!(cursor, ["1"]);
    let mark = |named: &str| {
        let (x, y) = find(&drawn, named);
        (x + named.len() as u16 - 1, y)
    };
    let (near, far) = (mark("sentiment_films 2"), mark("spam_or_not 2"));
    assert_cell(&drawn, near, theme.category(1).add_modifier(Modifier::UNDERLINED));
    assert_cell(&drawn, far, theme.category(1));
    assert!(!drawn[far].modifier.contains(Modifier::UNDERLINED));
    assert_cell(&drawn, find(&drawn, "4 units_length"), theme.category(3));
    // The bar of the best k.
    let (x, y) = find(&drawn, "4*");
    assert_cell(&drawn, (x, y - 2), theme.accent());
    assert_cell(&drawn, (x - 4, y - 2), theme.dim());
}

#[test]
fn without_colour_numbers_name_clusters() {
    let (screen, shared) = loaded(12);
    assert_screen!(
        "without_colour_letters_name_clusters",
        text(&buffer(&screen, &shared, 80, 24, Depth::Plain))
    );
}

#[test]
fn opens_with_the_best_silhouette() {
    let shared = test_data::shared(12);
    let mut screen = ClustersScreen::new();
    let asked = screen.on_show(&shared);
    assert!(
        matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { k: 4, sparsity: 0.5, seed: 42, .. })]),
        "{asked:?}"
    );
    // Thirty experts: the guess is ten, the sweep says four.
    let (screen, shared) = loaded(30);
    assert_eq!((screen.k, screen.chosen), (4, Chosen::Silhouette));
    assert!(render(&screen, &shared, 120, 20).contains("k = 4 · best of 2…11, silhouette 0."));
}

#[test]
fn looks_for_clusters_as_soon_as_there_is_a_library() {
    let shared = test_data::shared(12);
    let library = shared.library.clone().unwrap();
    let mut screen = ClustersScreen::new();
    let asked = screen.on_library(&library, &shared);
    assert!(matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { k: 4, .. })]), "{asked:?}");
    // Shown meanwhile, it waits for that.
    assert_eq!(screen.on_show(&shared), []);
    assert!(answer(&mut screen, &asked, &shared).len() == 1, "the sweep");
}

#[test]
fn progress_stands_in_the_middle_with_the_time_left_and_a_sample_comes_first() {
    let mut shared = test_data::shared(300);
    let mut screen = ClustersScreen::new();
    let asked = screen.on_show(&shared);
    let [Effect::Compute(ComputeEffect::Cluster { ticket, .. })] = asked[..] else { panic!("{asked:?}") };
    for (now, done) in [(100.0, 100), (102.0, 300)] {
        shared.now = now;
        let message = ComputeMessage::Progress { ticket, done, total: 900 };
        screen.on_message(&Message::Compute(message), &shared);
    }
    let drawn = render(&screen, &shared, 80, 24);
    assert!(drawn.contains("comparing 300 experts") && drawn.contains("33 % · 6s left"), "{drawn}");
    // Families are known before anything is compared.
    assert!(drawn.contains("Meanwhile, by family") && drawn.contains("no family"), "{drawn}");
    assert!(drawn.lines().any(|line| line.contains("units") && line.contains(" 3  ")), "{drawn}");
    // Of another request: not for this screen.
    let sample = |ticket| ComputeMessage::Sample {
        ticket,
        similarity: test_data::similarity(12, Metric::MBC),
        clustering: test_data::clustering(12, 4),
    };
    screen.on_message(&Message::Compute(sample(ticket + 1)), &shared);
    assert!(screen.shown.is_none());
    screen.on_message(&Message::Compute(sample(ticket)), &shared);
    let drawn = render(&screen, &shared, 100, 24);
    assert!(drawn.contains("sample of 12 of 300") && drawn.contains("comparing 33 %"), "{drawn}");
    assert_eq!(screen.k, 10, "what was asked for");
    assert!(render(&screen, &shared, 160, 48).contains("Meanwhile, by family"));
    answer(&mut screen, &asked, &shared);
    let drawn = render(&screen, &shared, 160, 48);
    assert!(!drawn.contains("sample") && !drawn.contains("Meanwhile"), "{drawn}");
}

#[test]
fn the_curve_has_what_a_person_tried_and_best_means_all_of_it() {
    let (mut screen, shared) = loaded(30);
    assert_eq!(screen.curve().last().map(|point| point.k), Some(11));
    let asked = press_on(&mut screen, &"+".repeat(10), &shared);
    for asked in asked.chunks(1) {
        answer(&mut screen, asked, &shared);
    }
    let curve = screen.curve();
    assert_eq!(curve.last().map(|point| point.k), Some(14));
    let best = crate::analysis::best_k(&curve).unwrap();
    press_on(&mut screen, "b", &shared);
    assert_eq!((screen.k, screen.chosen), (best, Chosen::Silhouette));
    // While more numbers are tried, what is known shows and the partition stays.
    let asked = press_on(&mut screen, "r", &shared);
    let asked = answer(&mut screen, &asked, &shared);
    let [Effect::Compute(ComputeEffect::Sweep { ticket, .. })] = asked[..] else { panic!("{asked:?}") };
    let mut part = (*test_data::sweep(30)).clone();
    (part.more, part.chosen.at_border) = (true, true);
    let part = ComputeMessage::Sweep { ticket, result: Ok(std::sync::Arc::new(part)) };
    assert_eq!(screen.on_message(&Message::Compute(part), &shared), []);
    screen.k = 4;
    assert!(screen.sweeping.is_some() && screen.best_of().ends_with("trying more"));
}

#[test]
fn a_k_chosen_by_hand_outlives_a_sweep() {
    let (mut screen, shared) = loaded(12);
    let asked = press_on(&mut screen, "+", &shared);
    assert!(matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { k: 5, .. })]));
    assert_eq!(answer(&mut screen, &asked, &shared), []);
    let asked = press_on(&mut screen, "r", &shared);
    assert!(matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { k: 5, seed: 43, .. })]));
    let asked = answer(&mut screen, &asked, &shared);
    let [Effect::Compute(ComputeEffect::Sweep { ticket, seed: 43, .. })] = asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(
        screen.on_message(
            &Message::Compute(ComputeMessage::Sweep { ticket, result: Ok(test_data::sweep(12)) }),
            &shared
        ),
        []
    );
    let asked = press_on(&mut screen, "b", &shared);
    assert!(matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { k: 4, .. })]), "{asked:?}");
}

#[test]
fn only_the_newest_request_counts() {
    let (mut screen, shared) = loaded(12);
    let first = press_on(&mut screen, "+", &shared);
    let second = press_on(&mut screen, "+", &shared);
    answer(&mut screen, &first, &shared);
    assert_eq!(screen.shown.as_ref().map(|shown| shown.clustering.k), Some(4));
    answer(&mut screen, &second, &shared);
    assert_eq!(screen.shown.as_ref().map(|shown| shown.clustering.k), Some(6));
}

#[test]
fn k_stays_between_one_and_the_number_of_experts() {
    let (mut screen, shared) = loaded(5);
    press_on(&mut screen, &"+".repeat(20), &shared);
    assert_eq!(screen.k, 5);
    press_on(&mut screen, &"-".repeat(20), &shared);
    assert_eq!(screen.k, 1);
}

#[test]
fn enter_shows_the_expert_in_the_library() {
    let (mut screen, shared) = loaded(12);
    assert_eq!(screen.on_key(code(KeyCode::Enter), &shared), None);
    press_on(&mut screen, "j", &shared);
    let expert = screen.selected_name().map(str::to_owned).unwrap_or_default();
    let asked = screen.on_key(code(KeyCode::Enter), &shared);
    assert_eq!(
        asked,
        Some(vec![
            Effect::App(AppEffect::Select { expert }),
            Effect::App(AppEffect::Show(crate::tui::screens::library::TAB))
        ])
    );
}

#[test]
fn the_selected_member_stays_selected_in_another_partition() {
    let (mut screen, shared) = loaded(12);
    press_on(&mut screen, "jjjjjjj", &shared);
    let before = screen.selected_name().map(str::to_owned);
    assert!(before.is_some());
    let asked = press_on(&mut screen, "--", &shared);
    answer(&mut screen, &asked[1..], &shared);
    assert_eq!(screen.selected_name().map(str::to_owned), before);
}

#[test]
fn starts_by_itself_once_somebody_compares() {
    let shared = test_data::shared(12);
    let mut screen = ClustersScreen::new();
    let result = Ok(test_data::similarity(12, Metric::MBC));
    let asked =
        screen.on_message(&Message::Compute(ComputeMessage::Similarity { ticket: 9, result }), &shared);
    assert!(matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { .. })]));
}

#[test]
fn says_what_is_the_matter() {
    let mut screen = ClustersScreen::new();
    let shared = test_data::shared(1);
    assert_eq!(screen.on_show(&shared), []);
    assert!(render(&screen, &shared, 80, 8).contains("at least two"));
    let shared = test_data::shared(3);
    let asked = screen.on_show(&shared);
    let [Effect::Compute(ComputeEffect::Cluster { ticket, .. })] = asked[..] else { panic!("{asked:?}") };
    screen.on_message(
        &Message::Compute(ComputeMessage::Clustering { ticket, result: Err("ranks differ".into()) }),
        &shared,
    );
    assert!(render(&screen, &shared, 80, 8).contains("✗ ranks differ"));
    let shared = test_data::shared(2500);
    let mut screen = ClustersScreen::new();
    assert_eq!(screen.on_show(&shared), []);
    assert!(render(&screen, &shared, 120, 8).contains("Enter computes it"));
    let asked = screen.on_key(code(KeyCode::Enter), &shared).unwrap_or_default();
    assert!(matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { k: 10, .. })]));
}

#[test]
fn groups_say_what_holds_them_together() {
    let shared = test_data::shared(12);
    let similarity = test_data::similarity(12, Metric::MBC);
    let groups = Groups::new(&similarity, &test_data::clustering(12, 4), &shared);
    assert_eq!(groups.rows.len(), 16);
    let first = &groups.clusters[0];
    assert_eq!(first.members, [0, 1, 2]);
    assert_eq!(first.families, [("format".to_string(), 3)]);
    // 0–1, 0–2, 1–2: 0.87, 0.90, 0.93.
    assert!((first.cohesion - 0.9).abs() < 1e-6 && first.centre == Some(2));
    assert!(first.nearest.is_some_and(|(other, value)| other != 0 && value < 0.8));
}

#[test]
fn every_key_of_the_table_is_taken() {
    let (mut screen, shared) = loaded(12);
    for c in "jkgG+-br[]hl".chars() {
        assert!(screen.on_key(key(c), &shared).is_some(), "{c}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn never_panics(
        n in 0usize..20, data: bool, plain: bool, width in 0u16..130, height in 0u16..50,
        keys in proptest::collection::vec(proptest::sample::select("hjklgG+-br[]\n".chars().collect::<Vec<_>>()), 0..12),
    ) {
        let (mut screen, shared) =
            if data && n > 1 { loaded(n) } else { (ClustersScreen::new(), test_data::shared(n)) };
        let depth = if plain { Depth::Plain } else { Depth::True };
        for c in keys {
            buffer(&screen, &shared, width, height, depth);
            screen.on_key(if c == '\n' { code(KeyCode::Enter) } else { key(c) }, &shared);
            screen.hints(&shared);
        }
        buffer(&screen, &shared, width, height, depth);
    }

    #[test]
    fn a_map_draws_every_point_inside(
        points in proptest::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 0..30), odd: bool,
        width in 0u16..60, height in 0u16..30,
    ) {
        let mut points = points;
        if odd {
            points.extend([(f32::NAN, 0.0), (f32::INFINITY, 1.0), (0.5, f32::NEG_INFINITY)]);
        }
        let points: Vec<Point> =
            points.iter().map(|&at| Point { at, cluster: 0, emphasis: Emphasis::Selected, name: "a name" }).collect();
        let backend = ratatui::backend::TestBackend::new(70, 40);
        let mut terminal = ratatui::Terminal::new(backend).expect("test backend");
        let area = Rect { x: 3, y: 2, width, height };
        let theme = Theme::new(Depth::Plain);
        terminal.draw(|frame| _ = charts::map(frame, area, &points, &theme)).expect("test backend");
        let drawn = terminal.backend().buffer();
        for y in 0..40 {
            for x in 0..70u16 {
                let inside = area.contains((x, y).into());
                prop_assert!(inside || drawn[(x, y)].symbol() == " ", "drew outside at {x}, {y}");
            }
        }
    }
}

#[test]
fn an_expert_that_was_hardly_trained_is_marked_among_its_cluster() {
    let mut shared = test_data::shared(12);
    let mut screen = ClustersScreen::new();
    let mut similarity = (*test_data::similarity(12, Metric::MBC)).clone();
    let weak = similarity.experts.iter().position(|name| name == "units_mass");
    let strength = |at| Strength { norm: if Some(at) == weak { 0.1 } else { 6.0 }, gap: Some(0.4) };
    similarity.strength = (0..12).map(strength).collect();
    let similarity = std::sync::Arc::new(similarity);
    shared.set_similarity(&similarity);
    let asked = screen.on_show(&shared);
    let [Effect::Compute(ComputeEffect::Cluster { ticket, k, .. })] = asked[..] else { panic!("{asked:?}") };
    let result = Ok((similarity, test_data::clustering(12, k)));
    screen.on_message(&Message::Compute(ComputeMessage::Clustering { ticket, result }), &shared);
    let drawn = render(&screen, &shared, 120, 40);
    assert!(drawn.contains("│ ! units_mass") && !drawn.contains("! units_time"), "{drawn}");
}

#[test]
fn a_silhouette_below_zero_has_a_red_bar_to_the_left() {
    let (mut screen, shared) = loaded(12);
    let asked = press_on(&mut screen, "+", &shared);
    let [Effect::Compute(ComputeEffect::Cluster { ticket, .. })] = asked[..] else { panic!("{asked:?}") };
    let mut clustering = (*test_data::clustering(12, 5)).clone();
    clustering.silhouettes[1] = -0.5;
    let result = Ok((test_data::similarity(12, Metric::MBC), std::sync::Arc::new(clustering)));
    screen.on_message(&Message::Compute(ComputeMessage::Clustering { ticket, result }), &shared);
    let drawn = buffer(&screen, &shared, 120, 40, Depth::True);
    let theme = Theme::new(Depth::True);
    let (_, y) = find(&drawn, "format_json");
    let row: String = (0..54).map(|x| drawn[(x, y)].symbol().to_string()).collect();
    let (bar, _) = row.split_once(" -0.50").unwrap_or_else(|| panic!("{row}"));
    assert!(bar.ends_with(" ██████"), "{row}");
    let (end, _) = find(&drawn, " -0.50");
    let at = (0..120).find(|&x| drawn[(x, y)].symbol() == "-").unwrap();
    assert!(end > 0);
    for x in at - 7..at + 5 {
        assert_cell(&drawn, (x, y), theme.error());
    }
}
