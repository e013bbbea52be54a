//! What jobs came out with: columns, curves over each other, marks.

use super::*;

/// Curves of a job that fall to its loss.
fn curves(ids: &[String]) -> Message {
    let progress = |number: usize| {
        let point = |step: usize| {
            let value = 0.2 * (number + 1) as f64 + 2.0 / step as f64;
            Point { step, seconds: 2.0 * step as f64, value }
        };
        let validation = vec![point(50), point(100)];
        Arc::new(Progress { losses: (1..=100).map(point).collect(), validation, ..Progress::default() })
    };
    let all = ids.iter().enumerate().map(|(number, id)| (id.clone(), progress(number)));
    Message::Jobs(JobsMessage::Curves(all.collect()))
}

/// The jobs whose curves are asked for.
fn asked(effects: &[Effect]) -> Option<Vec<String>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Jobs(JobsEffect::Curves { ids }) => Some(ids.clone()),
        _ => None,
    })
}

#[test]
fn columns_are_kept_by_what_they_are_worth() {
    let app = measured_app(8);
    for (width, wanted, left_out) in [
        (30, &["State"][..], &["Result", "Left", "Kind"][..]),
        (40, &["State"], &["Kind", "Step"]),
        (80, &["State", "Progress", "Val", "Left", "Result"], &["Tokens/s"]),
        (120, &["Kind", "State", "Progress", "Step", "Loss", "Val", "Left", "Started", "Result"], &[]),
        (200, &["Kind", "State", "Progress", "Step", "Loss", "Val", "Left", "Started", "Result"], &[]),
    ] {
        let text = render_app(&app, width, 24);
        let header = text.lines().find(|line| line.contains("Job ")).unwrap();
        assert!(wanted.iter().all(|title| header.contains(title)), "{width}:\n{text}");
        assert!(!left_out.iter().any(|title| header.contains(title)), "{width}:\n{text}");
    }
    let mut app = measured_app(8);
    press(&mut app, "j");
    press_code(&mut app, KeyCode::Enter);
    assert_screen!("jobs_results", render_app(&app, 160, 40));
}

#[test]
fn a_group_names_its_best_and_its_worst_and_its_curves_are_laid_over_each_other() {
    let mut app = measured_app(8);
    let ids = asked(&press(&mut app, "j")).unwrap();
    assert_eq!(ids.len(), 8);
    app.update(curves(&ids));
    let text = render_app(&app, 160, 48);
    assert!(text.contains("best: task_00007, loss 2.500 → 0.930"), "{text}");
    assert!(text.contains("worst: task_00003, loss 2.500 → 0.970"), "{text}");
    assert!(text.contains("Curves  8 of the group"), "{text}");
    assert_screen!("jobs_curves", text);
    // Away from the group, its curves are not asked for any more.
    assert_eq!(asked(&press(&mut app, "j")), Some(Vec::new()));
}

#[test]
fn of_many_jobs_the_curves_reach_from_the_best_to_the_worst() {
    let mut app = measured_app(100);
    let ids = asked(&press(&mut app, "j")).unwrap();
    assert_eq!(ids.len(), 12);
    let (first, last) = (ids.first().unwrap(), ids.last().unwrap());
    // Those with results are measured by them, the others by their validation losses.
    assert_eq!((first.as_str(), last.as_str()), ("array-00099", "array-00000"));
    app.update(curves(&ids));
    assert!(render_app(&app, 160, 48).contains("12 of 100 of the group"));
}

#[test]
fn marked_jobs_are_read_at_one_step() {
    let mut app = measured_app(8);
    press(&mut app, "j");
    press_code(&mut app, KeyCode::Enter);
    press(&mut app, "j ");
    let ids = asked(&press(&mut app, " ")).unwrap();
    assert_eq!(ids, ["array-00004", "array-00000"]);
    app.update(curves(&ids));
    let at = |app: &App| unwrapped(&render_app(app, 160, 48));
    assert!(at(&app).contains("Curves 2 marked"), "{}", at(&app));
    assert!(at(&app).contains("A task_00004 0.220 • 0.220"), "{}", at(&app));
    // From the beginning: the last point at or before the cursor.
    (0..3).for_each(|_| drop(press_code(&mut app, KeyCode::Right)));
    let text = at(&app);
    assert!(text.contains("at step 2"), "{text}");
    assert!(text.contains("A task_00004 1.200 ") && !text.contains("A task_00004 1.200 •"), "{text}");
    press(&mut app, "b");
    assert!(at(&app).contains("by time") && !at(&app).contains("at step"));
    press_code(&mut app, KeyCode::Left);
    assert!(at(&app).contains("at 3m"), "{}", at(&app));
    press_code(&mut app, KeyCode::Esc);
    assert!(!at(&app).contains("at 3m"));
    press(&mut app, "lev");
    assert!(at(&app).contains("log scale · smoothed, EMA 0.6 · training only · by time"), "{}", at(&app));
    press(&mut app, "p");
    assert!(!at(&app).contains("Started"), "the curves have the tab");
    press_code(&mut app, KeyCode::Esc);
    press(&mut app, "u");
    assert!(!at(&app).contains("marked"));
}
