//! The Eval tab: what it shows at every size, and what it asks for.

use std::sync::Arc;

use crossterm::event::KeyCode;

use super::TAB;
use crate::eval::{Difference, EvalReport, EvalSpec, Mean, Record, ReportedTask, TaskItems};
use crate::jobs::kinds::Made;
use crate::jobs::{JobState, JobSummary};
use crate::train::Example;
use crate::tui::testing::{
    SIZES, assert_colourless, assert_screen, buffer_app, full_app, new_app, press, press_code, render_app,
    text,
};
use crate::tui::{
    App, AppEffect, Depth, Effect, EngineEffect, EvalEffect, EvalMessage, Evaluated, JobsEffect, JobsMessage,
    Message, Unsaved, fixtures, screens,
};

/// The tab with these jobs among others, and the tickets of what it asked for.
fn with_jobs(jobs: Vec<JobSummary>) -> (App, Vec<(u64, String)>) {
    let mut app = full_app();
    let all = jobs.into_iter().chain(fixtures::jobs()).collect();
    app.update(Message::Jobs(JobsMessage::List(all)));
    let effects = press(&mut app, "5");
    assert_eq!(app.tab(), TAB);
    let asked = reads(effects);
    (app, asked)
}

fn reads(effects: Vec<Effect>) -> Vec<(u64, String)> {
    let read = |effect| match effect {
        Effect::Eval(EvalEffect::Read { ticket, id }) => Some((ticket, id)),
        _ => None,
    };
    effects.into_iter().filter_map(read).collect()
}

fn tell(app: &mut App, ticket: u64, evaluated: Evaluated) -> Vec<Effect> {
    app.update(Message::Eval(EvalMessage::Read { ticket, result: Ok(Arc::new(evaluated)) }))
}

/// The tab with the finished evaluation.
fn eval_app() -> App {
    let (mut app, asked) = with_jobs(vec![fixtures::eval_job("g", JobState::Finished)]);
    let [(ticket, id)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(id, "g");
    tell(&mut app, *ticket, fixtures::evaluated());
    app
}

/// Many methods on many tasks.
fn large(methods: usize, tasks: usize) -> Evaluated {
    let task = |at: usize| ReportedTask {
        task: format!("task_{at:03}"),
        yaml: None,
        family: format!("family_{}", at / 8),
        held_out: at.is_multiple_of(4),
        items: 10,
        shots: 0,
        again: false,
        metric: Default::default(),
    };
    let score = |at: usize| Some(Mean { score: (at % 101) as f64 / 100.0, stderr: Some(0.05) });
    let report = EvalReport {
        methods: (0..methods).map(|at| format!("single:expert_{at:03}")).collect(),
        tasks: (0..tasks).map(task).collect(),
        scores: (0..tasks)
            .map(|task| (0..methods).map(|method| score(task * 7 + method)).collect())
            .collect(),
        ..EvalReport::default()
    };
    Evaluated { report, ..fixtures::evaluated() }
}

#[test]
fn the_table_looks_right_at_every_size() {
    let app = eval_app();
    for (width, height) in SIZES.into_iter().chain([(30, 8), (160, 48), (120, 36)]) {
        assert_screen!(format!("table_{width}x{height}"), render_app(&app, width, height));
    }
}

#[test]
fn without_colour_a_glyph_says_how_high_a_score_is_and_a_star_which_is_best() {
    let app = eval_app();
    let drawn = buffer_app(&app, 80, 24, Depth::Plain);
    assert_colourless(&drawn);
    assert_screen!("table_without_colour", text(&drawn));
    let basic = text(&buffer_app(&app, 80, 24, Depth::Basic));
    assert_eq!(basic, text(&drawn));
}

#[test]
fn nothing_is_asked_for_before_the_tab_is_seen_and_each_state_once() {
    let mut app = new_app();
    app.update(Message::Library(Ok(fixtures::library())));
    let list = |state| Message::Jobs(JobsMessage::List(vec![fixtures::eval_job("g", state)]));
    assert_eq!(reads(app.update(list(JobState::Running))), []);
    let asked = reads(press(&mut app, "5"));
    let [(ticket, _)] = asked[..] else { panic!("{asked:?}") };
    // What is being read is not asked for again.
    assert_eq!(reads(app.update(list(JobState::Running))), []);
    let running = Evaluated { job: fixtures::eval_job("g", JobState::Running), ..fixtures::evaluated() };
    // An answer to nobody is dropped.
    tell(&mut app, ticket + 1, fixtures::evaluated());
    assert!(render_app(&app, 80, 24).contains("reading the evaluation"));
    assert_eq!(tell(&mut app, ticket, running.clone()), []);
    let again = reads(app.update(list(JobState::Running)));
    assert_eq!(again.len(), 1, "it works");
    tell(&mut app, again[0].0, running.clone());
    let ended = reads(app.update(list(JobState::Finished)));
    assert_eq!(ended.len(), 1, "it has ended");
    // One that ended while it was read is read once more.
    let once_more = reads(tell(&mut app, ended[0].0, running));
    assert_eq!(once_more.len(), 1);
    tell(&mut app, once_more[0].0, fixtures::evaluated());
    assert_eq!(reads(app.update(list(JobState::Finished))), []);
}

#[test]
fn earlier_evaluations_are_chosen_from_a_list() {
    let jobs = vec![fixtures::eval_job("h", JobState::Failed), fixtures::eval_job("g", JobState::Finished)];
    let (mut app, asked) = with_jobs(jobs);
    assert_eq!(asked[0].1, "h", "the newest first");
    press(&mut app, "e");
    let listed = render_app(&app, 100, 24);
    assert!(listed.contains(" 2 evaluations ") && listed.contains("120 answers"), "{listed}");
    press(&mut app, "j");
    let effects = press_code(&mut app, KeyCode::Enter);
    let chosen = reads(effects);
    assert_eq!(chosen[0].1, "g");
    // The answer to what is no longer wanted is dropped.
    tell(&mut app, asked[0].0, large(3, 3));
    tell(&mut app, chosen[0].0, fixtures::evaluated());
    let shown = render_app(&app, 160, 48);
    assert!(shown.contains("2 of 2 evaluations") && shown.contains("past-tense"), "{shown}");
    press(&mut app, "eq");
    assert!(!app.should_quit());
    press_code(&mut app, KeyCode::Esc);
    assert!(!render_app(&app, 100, 24).contains(" 2 evaluations "));
}

#[test]
fn an_evaluation_that_was_started_is_shown_and_no_other_job() {
    let jobs = vec![fixtures::eval_job("h", JobState::Finished), fixtures::eval_job("g", JobState::Finished)];
    let (mut app, asked) = with_jobs(jobs.clone());
    let newest = Evaluated { job: fixtures::eval_job("h", JobState::Finished), ..large(3, 3) };
    tell(&mut app, asked[0].0, newest);
    press(&mut app, "ej");
    let chosen = reads(press_code(&mut app, KeyCode::Enter));
    tell(&mut app, chosen[0].0, fixtures::evaluated());
    // A form that was closed, and then a job of another kind.
    press(&mut app, "n");
    press_code(&mut app, KeyCode::Esc);
    app.update(Message::Jobs(JobsMessage::Started(Ok("clustering".into()))));
    assert_eq!(reads(app.update(Message::Jobs(JobsMessage::List(jobs.clone())))), []);
    assert!(render_app(&app, 160, 48).contains("2 of 2 evaluations"));
    app.update(Message::Jobs(JobsMessage::Started(Ok("i".into()))));
    let all = [vec![fixtures::eval_job("i", JobState::Running)], jobs].concat();
    let asked = reads(app.update(Message::Jobs(JobsMessage::List(all))));
    assert_eq!(asked.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["i"]);
}

#[test]
fn what_is_looked_at_is_not_taken_away() {
    let mut app = eval_app();
    press(&mut app, "w");
    let both = vec![fixtures::eval_job("h", JobState::Running), fixtures::eval_job("g", JobState::Finished)];
    assert_eq!(reads(app.update(Message::Jobs(JobsMessage::List(both.clone())))), []);
    press_code(&mut app, KeyCode::Esc);
    assert_eq!(reads(app.update(Message::Jobs(JobsMessage::List(both)))).len(), 1, "nothing is open");
}

#[test]
fn tasks_of_one_name_have_no_difference_of_another() {
    let mut twice = fixtures::evaluated();
    let (first, second) = (twice.report.tasks[0].task.clone(), &mut twice.report.tasks[1]);
    second.task = first;
    let lines = super::lines::Lines::of(&twice, None);
    let methods = twice.report.methods.clone();
    let shown = (0..lines.len()).filter_map(|at| lines.get(at)).filter(|line| line.task().is_some());
    for line in shown {
        let alone = line.task().is_some_and(|task| task > 1);
        let found = methods.iter().any(|method| super::panel::difference(&twice, line, method).is_some());
        assert!(alone || !found, "{}", line.name);
    }
}

#[test]
fn the_jobs_tab_leads_to_the_scores_that_a_job_found() {
    let jobs = vec![fixtures::eval_job("h", JobState::Finished), fixtures::eval_job("g", JobState::Finished)];
    let (mut app, _) = with_jobs(jobs);
    press(&mut app, "6");
    let made = AppEffect::Open { made: Made::Scores, job: "g".into() };
    let asked = reads(app.apply(vec![Effect::App(made)]));
    assert_eq!(app.tab(), TAB);
    assert_eq!(asked.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["g"]);
}

#[test]
fn one_that_cannot_be_read_says_why() {
    let (mut app, asked) = with_jobs(vec![fixtures::eval_job("g", JobState::Finished)]);
    let result = Err("spec.json:\x1b[2J cannot be read".to_string());
    app.update(Message::Eval(EvalMessage::Read { ticket: asked[0].0, result }));
    let shown = render_app(&app, 80, 24);
    assert!(shown.contains("✗ spec.json:\\u{1b}[2J cannot be read"), "{shown}");
}

#[test]
fn cancelling_asks_first() {
    let (mut app, _) = with_jobs(vec![fixtures::eval_job("g", JobState::Running)]);
    assert_eq!(press(&mut app, "c"), []);
    assert!(render_app(&app, 80, 24).contains("Cancel library on tasks?"));
    assert_eq!(press(&mut app, "n"), []);
    assert_eq!(press(&mut app, "cy"), [Effect::Jobs(JobsEffect::Cancel { id: "g".into() })]);
    let mut over = eval_app();
    press(&mut over, "c");
    assert!(render_app(&over, 80, 24).contains("no evaluation is under way here"));
}

#[test]
fn what_is_never_asked_is_not_waited_for_and_evaluations_of_the_same_are_told_apart() {
    let mut job = fixtures::eval_job("g", JobState::Running);
    job.figures.facts = ["tasks /data/money", "methods base,expert", "items 20"].map(String::from).to_vec();
    let mut other = job.clone();
    (other.id, other.figures.facts[2]) = ("h".into(), "items 5".into());
    let (mut app, asked) = with_jobs(vec![job, other]);
    let [(ticket, _)] = &asked[..] else { panic!("{asked:?}") };
    let mut running = fixtures::evaluated();
    running.job.state = JobState::Running;
    let (tasks, methods) = (running.report.tasks.len(), running.report.methods.len());
    // The last method is that of own experts, which held-out tasks have not.
    running.report.kept = (0..tasks)
        .map(|task| (0..methods).map(|at| (at < 4 || task < 3).then(|| format!("{task}-{at}"))).collect())
        .collect();
    running.report.scores.iter_mut().for_each(|row| row.fill(None));
    running.report.means.iter_mut().for_each(|group| group.scores.fill(None));
    running.known = Some(vec![vec![1; methods]; tasks]);
    running.known.iter_mut().flatten().skip(3).for_each(|row| row[4] = 0);
    assert_eq!((running.far(0, 4), running.far(4, 4), running.far(4, 3)), ((1, 4), (0, 0), (1, 4)));
    tell(&mut app, *ticket, running);
    let text = render_app(&app, 160, 40);
    let line = text.lines().find(|line| line.contains("metric-weight")).unwrap();
    assert!(line.contains("1/4") && !line.contains("0/4") && line.contains('–'), "{text}");
    press(&mut app, "e");
    let text = render_app(&app, 80, 24);
    for part in ["library on tasks  base,expert · items 20", "library on tasks  base,expert · items 5"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_new_one_is_started_by_the_form() {
    let (mut app, _) = with_jobs(Vec::new());
    assert!(render_app(&app, 80, 24).contains("No evaluation of this library yet."));
    press(&mut app, "n");
    assert!(render_app(&app, 80, 24).contains("Evaluate methods on tasks"));
}

#[test]
fn a_new_one_after_a_failure_begins_with_what_failed_and_is_checked_while_it_is_typed() {
    let (mut app, asked) = with_jobs(vec![fixtures::eval_job("g", JobState::Failed)]);
    let [(ticket, _)] = &asked[..] else { panic!("{asked:?}") };
    let mut failed = fixtures::evaluated();
    failed.job.state = JobState::Failed;
    failed.spec.tasks = vec!["/data/one".into(), "/data/two".into()];
    (failed.spec.methods, failed.spec.against) = (vec!["base".into(), "arrow".into()], "lag".into());
    tell(&mut app, *ticket, failed);
    press(&mut app, "n");
    let text = render_app(&app, 120, 40);
    assert!(text.contains("/data/one, /data/two") && text.contains("base,arrow"), "{text}");
    // What does not go with the methods is not started, and says why beside it.
    assert_eq!(press_code(&mut app, KeyCode::Enter), []);
    let text = render_app(&app, 120, 40);
    assert!(text.contains("there is no method to compare with \"lag\""), "{text}");
    while render_app(&app, 120, 40).contains("\"lag\"") {
        press_code(&mut app, KeyCode::Backspace);
    }
    press(&mut app, "arrow");
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Jobs(JobsEffect::Start(new))] = effects.as_slice() else { panic!("{effects:?}") };
    let spec = new.job.get::<EvalSpec>().unwrap();
    assert_eq!((spec.tasks.len(), spec.against.as_str()), (2, "arrow"));
}

#[test]
fn families_fold_and_the_cursor_stays_on_its_line() {
    let mut app = eval_app();
    press(&mut app, "jjj");
    assert!(render_app(&app, 80, 24).contains("past-tense"));
    press(&mut app, " ");
    let folded = render_app(&app, 80, 24);
    assert!(folded.contains("▸ inflection") && !folded.contains("past-tense "), "{folded}");
    assert!(folded.contains("majority on inflection: – · 2 tasks"), "{folded}");
    press(&mut app, "z");
    let open = render_app(&app, 80, 24);
    assert!(open.contains("▾ inflection"), "{open}");
}

#[test]
fn many_methods_and_tasks_scroll_both_ways() {
    let (mut app, asked) = with_jobs(vec![fixtures::eval_job("g", JobState::Finished)]);
    tell(&mut app, asked[0].0, large(200, 256));
    for (width, height) in [(160, 48), (80, 24), (40, 10), (30, 8)] {
        press(&mut app, "g");
        (0..200).for_each(|_| drop(press(&mut app, "h")));
        let top = render_app(&app, width, height);
        assert!(top.contains("all ") && !top.contains('‹') && top.contains('›'), "{top}");
        press(&mut app, "z");
        (0..200).for_each(|_| drop(press(&mut app, "l")));
        press(&mut app, "G");
        let end = render_app(&app, width, height);
        assert!(
            end.contains("52 ") && end.contains("99") && end.contains('‹') && !end.contains('›'),
            "{end}"
        );
        press(&mut app, "z");
    }
}

/// What is kept of the items of a task: one that all have right, one that two have, one that none has.
fn items() -> TaskItems {
    let item = |input: &str, output: &str| Example {
        instruction: "Write the plural.".into(),
        input: input.into(),
        output: output.into(),
        ..Example::default()
    };
    let known = |score: f64, answer: Option<&str>| {
        Some(Record { score, log_probability: Some(-1.25), answer: answer.map(String::from) })
    };
    TaskItems {
        items: vec![item("cat", "cats"), item("child\x1b[2J", "children"), item("ox", "oxen")],
        options: Vec::new(),
        records: vec![
            vec![None; 3],
            vec![known(1.0, None), known(0.0, Some("childs\x1b[2J")), known(0.0, None)],
            vec![known(1.0, None), known(1.0, Some("children")), known(0.0, Some("oxes"))],
            vec![known(1.0, None), known(1.0, None), known(0.5, Some(""))],
            vec![known(1.0, None), known(1.0, None), known(0.0, Some("oxes"))],
        ],
        ..TaskItems::default()
    }
}

/// The tab with the items of `plurals` and the method Arrow.
fn items_app() -> App {
    let mut app = eval_app();
    press(&mut app, "jjjjll");
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Eval(EvalEffect::Items { ticket, task: 1, evaluated })] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(evaluated.report.tasks[1].task, "plurals");
    // An answer to another request is dropped.
    app.update(Message::Eval(EvalMessage::Items { ticket: ticket + 1, result: Err("other".into()) }));
    app.update(Message::Eval(EvalMessage::Items { ticket: *ticket, result: Ok(Arc::new(items())) }));
    app
}

#[test]
fn items_show_every_answer_and_who_is_right() {
    let mut app = items_app();
    press(&mut app, "j");
    for (width, height) in [(30, 8), (40, 10), (80, 24), (120, 36), (160, 48)] {
        assert_screen!(format!("items_{width}x{height}"), render_app(&app, width, height));
    }
    let drawn = render_app(&app, 160, 48);
    assert!(drawn.contains("plurals · arrow:k=3 · 2 of 3 right · 3 items"), "{drawn}");
    assert!(drawn.contains("childs\\u{1b}[2J") && !drawn.contains('\x1b'), "{drawn}");
}

#[test]
fn items_are_filtered_by_what_the_method_has_right_and_where_methods_differ() {
    let mut app = items_app();
    let listed = |app: &App| {
        let drawn = render_app(app, 160, 48);
        let lines = drawn.lines().skip(2).map(|line| line.chars().take(60).collect::<String>());
        let names = ["cat", "child", "ox"];
        let found: Vec<String> = lines.collect();
        names
            .into_iter()
            .filter(|name| found.iter().any(|line| line.contains(&format!("  {name}"))))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&app), ["cat", "child", "ox"]);
    press(&mut app, "f");
    assert_eq!(listed(&app), ["ox"], "wrong");
    press(&mut app, "f");
    assert_eq!(listed(&app), ["cat", "child"], "right");
    press(&mut app, "f");
    assert_eq!(listed(&app), ["child", "ox"], "differs");
    press(&mut app, "f");
    // Of another method.
    press(&mut app, "hf");
    assert_eq!(listed(&app), ["child", "ox"], "wrong");
    // One who says nothing has nothing wrong.
    press(&mut app, "h");
    assert!(render_app(&app, 80, 24).contains("No item is wrong here: f shows others."));
    press_code(&mut app, KeyCode::Esc);
    assert!(render_app(&app, 80, 24).contains("majority on plurals"), "the cursor went along");
}

#[test]
fn an_item_opens_in_routing_with_the_router_of_the_method() {
    let mut app = items_app();
    let effects = press(&mut app, "jo");
    assert_eq!(app.tab(), screens::routing::TAB);
    assert!(effects.contains(&Effect::Engine(EngineEffect::Load)), "{effects:?}");
    let drawn = render_app(&app, 120, 40);
    assert!(drawn.contains("Write the plural.") && drawn.contains("child"), "{drawn}");
    assert!(drawn.contains("Arrow"), "{drawn}");
    // What is no router says so.
    let mut app = items_app();
    press(&mut app, "hho");
    assert_eq!(app.tab(), TAB);
    let drawn = render_app(&app, 120, 40);
    assert!(drawn.contains("majority is no router here"), "{drawn}");
}

#[test]
fn items_that_cannot_be_read_say_why() {
    let mut app = eval_app();
    press(&mut app, "jjjj");
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Eval(EvalEffect::Items { ticket, .. })] = effects[..] else { panic!("{effects:?}") };
    let result = Err("tasks/plurals: has changed since this evaluation".to_string());
    app.update(Message::Eval(EvalMessage::Items { ticket, result }));
    assert!(render_app(&app, 80, 24).contains("✗ tasks/plurals: has changed since this evaluation"));
}

#[test]
fn differences_of_the_report_show_at_once_and_others_are_asked_for() {
    let mut app = eval_app();
    assert_eq!(press(&mut app, "d"), [], "the report has them");
    for (width, height) in [(30, 8), (40, 10), (80, 24), (120, 36), (160, 48)] {
        assert_screen!(format!("differences_{width}x{height}"), render_app(&app, width, height));
    }
    press(&mut app, "jjj");
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Eval(EvalEffect::Compare { ticket, tasks, group, against: 3, .. })] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((tasks.as_slice(), group.as_deref()), (&[0, 1, 2, 3, 4][..], Some("all")));
    assert!(render_app(&app, 80, 24).contains("resampling the items"));
    let found = Difference {
        difference: 0.25,
        interval: Some([0.1, 0.4]),
        wins: 3,
        losses: 1,
        ..Difference::default()
    };
    let result = Ok(vec![None, None, Some(found), None, None]);
    app.update(Message::Eval(EvalMessage::Compared { ticket: *ticket, result }));
    let drawn = render_app(&app, 120, 36);
    assert!(drawn.contains("differences to uniform") && drawn.contains("+10.0 to +40.0"), "{drawn}");
    // Another line of the table: what was asked about before is no longer awaited.
    let next = press(&mut app, "l");
    assert!(
        matches!(&next[..], [Effect::Eval(EvalEffect::Compare { group: Some(group), .. })] if group == "seen")
    );
    press_code(&mut app, KeyCode::Esc);
    assert!(render_app(&app, 80, 24).contains("uniform on seen"));
}

#[test]
fn experts_by_tasks_need_experts_that_were_asked_alone() {
    let mut app = eval_app();
    press(&mut app, "x");
    assert!(render_app(&app, 120, 24).contains("No expert was asked alone here"));
    let (mut app, asked) = with_jobs(vec![fixtures::eval_job("g", JobState::Finished)]);
    tell(&mut app, asked[0].0, large(12, 9));
    press(&mut app, "x");
    for (width, height) in [(40, 10), (80, 24), (160, 48)] {
        assert_screen!(format!("transfer_{width}x{height}"), render_app(&app, width, height));
    }
    press(&mut app, "ljj");
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Eval(EvalEffect::Items { task: 2, .. })] = &effects[..] else { panic!("{effects:?}") };
}

#[test]
fn a_table_is_saved_under_a_name_and_never_over_a_file_without_asking() {
    let mut app = eval_app();
    assert_eq!(press(&mut app, "w"), []);
    let asked = render_app(&app, 80, 24);
    assert!(
        asked.contains("Save the table as") && asked.contains("g.md") && asked.contains(".tex"),
        "{asked}"
    );
    press(&mut app, "q.csv");
    let save = |effects: Vec<Effect>| match &effects[..] {
        [Effect::Eval(EvalEffect::Save { ticket, path, over, .. })] => (*ticket, path.clone(), *over),
        _ => panic!("{effects:?}"),
    };
    let (ticket, path, over) = save(press_code(&mut app, KeyCode::Enter));
    assert_eq!((path.as_str(), over), ("q.csv", false));
    app.update(Message::Eval(EvalMessage::Saved { ticket, result: Err(Unsaved::Exists) }));
    assert!(render_app(&app, 80, 24).contains("q.csv is there already: Enter again replaces it"));
    let (_, _, over) = save(press_code(&mut app, KeyCode::Enter));
    assert!(over);
    // Another name is another question.
    let mut app = eval_app();
    press(&mut app, "wa.md");
    let (ticket, ..) = save(press_code(&mut app, KeyCode::Enter));
    app.update(Message::Eval(EvalMessage::Saved { ticket, result: Err(Unsaved::Exists) }));
    press_code(&mut app, KeyCode::Home);
    press(&mut app, "b");
    let (ticket, path, over) = save(press_code(&mut app, KeyCode::Enter));
    assert_eq!((path.as_str(), over), ("ba.md", false));
    app.update(Message::Eval(EvalMessage::Saved { ticket, result: Ok("/x/ba.md".into()) }));
    let saved = render_app(&app, 80, 24);
    assert!(saved.contains("saved as /x/ba.md") && !saved.contains("Save the table as"), "{saved}");
}

#[test]
fn survives_every_size_with_every_key() {
    let keys = "jlGL zzgHenyec q";
    for (width, height) in
        [(0, 0), (1, 1), (2, 3), (5, 4), (9, 6), (20, 3), (30, 8), (31, 7), (118, 14), (300, 90)]
    {
        let (mut large_app, asked) = with_jobs(vec![fixtures::eval_job("g", JobState::Finished)]);
        tell(&mut large_app, asked[0].0, large(7, 9));
        for (mut app, keys) in [
            (eval_app(), keys),
            (items_app(), "jlhf\rjjo"),
            (eval_app(), "djjl\rw"),
            (eval_app(), "wx.md"),
            (large_app, "xjl+-0GgLJ\r"),
        ] {
            for key in keys.chars() {
                render_app(&app, width, height);
                match key {
                    '\r' => drop(press_code(&mut app, KeyCode::Enter)),
                    key => drop(press(&mut app, &key.to_string())),
                }
            }
            render_app(&app, width, height);
        }
        let (mut empty, asked) = with_jobs(vec![fixtures::eval_job("g", JobState::Running)]);
        let nothing = Evaluated {
            report: EvalReport::default(),
            known: Some(Vec::new()),
            job: fixtures::eval_job("g", JobState::Running),
            ..fixtures::evaluated()
        };
        tell(&mut empty, asked[0].0, nothing);
        for key in keys.chars() {
            render_app(&empty, width, height);
            press(&mut empty, &key.to_string());
        }
    }
}

#[test]
fn what_is_not_finished_says_how_far_each_score_is() {
    let (mut app, asked) = with_jobs(vec![fixtures::eval_job("g", JobState::Running)]);
    let mut evaluated = fixtures::evaluated();
    evaluated.job = fixtures::eval_job("g", JobState::Running);
    evaluated.report.scores[1][3] = None;
    let mut known = vec![vec![4; 5]; 6];
    (known[0][3], known[1][3]) = (2, 0);
    evaluated.known = Some(known);
    evaluated.stage = Some("uniform: plurals, 0 of 4".into());
    tell(&mut app, asked[0].0, evaluated);
    let drawn = render_app(&app, 120, 36);
    assert!(drawn.contains("Running, 30 of 120 answers: uniform: plurals, 0 of 4."), "{drawn}");
    let line = |name: &str| drawn.lines().find(|line| line.contains(name)).unwrap().to_string();
    assert!(line("plurals ").contains("0/4"), "{drawn}");
    assert!(line("past-tense ").contains("35.0…"), "{drawn}");
}
