//! Jobs that were started together, and their order.

use super::*;

#[test]
fn jobs_that_were_started_together_are_one_row_that_opens_with_what_failed_first() {
    let mut app = array_app(8);
    assert_screen!("jobs_group", render_app(&app, 120, 30));
    let text = unwrapped(&render_app(&app, 120, 30));
    assert!(
        text.contains("2 failed 2 running 2 queued 2 finished") || text.contains("2 failed · 2 running"),
        "{text}"
    );
    assert!(text.contains("✗ task_00000: Slurm job 7_0 on n1 lost its node"), "{text}");
    assert!(text.contains("○ 2: waits for free resources"), "{text}");
    press_code(&mut app, KeyCode::Enter);
    let text = render_app(&app, 120, 30);
    let rows: Vec<usize> = ["task_00000", "task_00004", "task_00001", "task_00002", "task_00003"]
        .iter()
        .map(|name| {
            text.lines().position(|line| line.chars().take(60).collect::<String>().contains(name)).unwrap()
        })
        .collect();
    assert!(rows.is_sorted(), "{rows:?}\n{text}");
    // The cursor stays on its job when the list comes again.
    press(&mut app, "jj");
    let mut jobs = fixtures::jobs();
    jobs.splice(1..1, array(8));
    jobs.remove(0);
    app.update(Message::Jobs(JobsMessage::List(jobs)));
    assert_eq!(press(&mut app, "r"), [Effect::Jobs(JobsEffect::Resume { id: "array-00004".into() })]);
    press(&mut app, "kk");
    press_code(&mut app, KeyCode::Enter);
    assert!(!render_app(&app, 120, 30).contains("  task_00004 "));
}

#[test]
fn all_of_a_group_are_cancelled_and_held_and_what_failed_is_resumed() {
    let mut app = array_app(8);
    let ids = |numbers: &[usize]| numbers.iter().map(|n| format!("array-{n:05}")).collect::<Vec<_>>();
    assert_eq!(press(&mut app, "R"), [Effect::Jobs(JobsEffect::ResumeMany { ids: ids(&[0, 4]) })]);
    assert_eq!(press(&mut app, "h"), [Effect::Jobs(JobsEffect::Hold { ids: ids(&[2, 6]), held: true })]);
    press(&mut app, "x");
    assert!(unwrapped(&render_app(&app, 120, 30)).contains("Cancel all 4 of 8 jobs that have not ended?"));
    assert_eq!(press(&mut app, "y"), [Effect::Jobs(JobsEffect::CancelMany { ids: ids(&[1, 5, 2, 6]) })]);
    // A job that was asked about elsewhere shows, also where its group is closed.
    let mut app = array_app(8);
    app.update(Message::Jobs(JobsMessage::Started(Ok("array-00003".into()))));
    assert!(render_app(&app, 120, 30).contains("task_00003"));
}

#[test]
fn a_group_of_several_kinds_is_called_by_none_of_them() {
    let mut jobs = array(4);
    let kind_in_the_row = |jobs: &[JobSummary]| {
        let mut app = jobs_app();
        app.update(Message::Jobs(JobsMessage::List(jobs.to_vec())));
        let text = render_app(&app, 160, 30);
        let row = text.lines().find(|line| line.contains("▸ 4 jobs")).unwrap_or_default().to_string();
        (row.contains(" train "), row.contains(" several "))
    };
    assert_eq!(kind_in_the_row(&jobs), (true, false));
    jobs[3].kind = KINDS.iter().copied().find(|kind| kind.name == "eval");
    assert_eq!(kind_in_the_row(&jobs), (false, true));
}

#[test]
fn ten_thousand_jobs_of_a_group_scroll() {
    let mut app = array_app(10_000);
    press_code(&mut app, KeyCode::Enter);
    press(&mut app, "G");
    assert!(render_app(&app, 160, 48).contains("sentiment"));
    press(&mut app, "kkkkk");
    let text = render_app(&app, 160, 48);
    // The last that are finished.
    assert!(text.contains("task_09999") && text.contains("10006 jobs"), "{text}");
}

#[test]
fn a_filter_finds_jobs_inside_closed_groups_and_the_order_brings_up_what_matters() {
    let mut app = measured_app(8);
    press(&mut app, "/");
    press(&mut app, "failed 4");
    let text = render_app(&app, 120, 40);
    assert!(text.contains("/ failed 4") && text.contains("1 of 14"), "{text}");
    assert!(text.contains("1 found of 8 jobs"), "{text}");
    assert!(!text.contains("past-tense"), "{text}");
    press_code(&mut app, KeyCode::Enter);
    assert_eq!(press(&mut app, "x"), []);
    press(&mut app, "n");
    press_code(&mut app, KeyCode::Esc);
    assert!(render_app(&app, 120, 40).contains("14 jobs"));
    let rows = |app: &App| -> Vec<String> {
        let text = render_app(app, 120, 40);
        text.lines()
            .skip(3)
            .take(4)
            .map(|line| line.chars().skip(2).take(10).collect::<String>().trim().into())
            .collect()
    };
    press(&mut app, "O");
    // The group has failures; the newest first among equals.
    assert_eq!(rows(&app)[..2], ["▸ 8 jobs t", "plurals\\u{"].map(String::from));
    press(&mut app, "O");
    assert_eq!(rows(&app)[0], "▸ 8 jobs t");
    press_code(&mut app, KeyCode::Enter);
    assert_eq!(rows(&app)[1..3], ["task_000", "task_000"]);
    let text = render_app(&app, 120, 40);
    let (best, next) = (text.find("task_00007").unwrap(), text.find("task_00003").unwrap());
    assert!(best < next, "{text}");
}

#[test]
fn a_waiting_job_is_put_elsewhere_in_the_queue() {
    let mut app = full_app();
    press(&mut app, "6");
    assert!(render_app(&app, 80, 24).contains("queued 1"));
    let moved = |to| Effect::Jobs(JobsEffect::Reorder { id: "f".into(), to });
    assert_eq!(press(&mut app, "f"), [moved(QueueMove::First)]);
    assert_eq!(press(&mut app, "K"), [moved(QueueMove::Earlier)]);
    assert_eq!(press(&mut app, "J"), [moved(QueueMove::Later)]);
    // One that runs has no turn, and says so.
    press(&mut app, "j");
    assert_eq!(press(&mut app, "fKJ"), []);
    let text = render_app(&app, 160, 24);
    assert!(
        text.contains("this job is running: only jobs that wait on this machine have an order"),
        "{text}"
    );
}

#[test]
fn keys_that_do_nothing_with_a_job_that_has_ended_say_why() {
    for (key, words) in [
        ("h", "this job has ended (finished): only jobs that wait can be held"),
        ("f", "this job has ended (finished): only jobs that wait on this machine have an order"),
        ("K", "this job has ended (finished): only jobs that wait on this machine have an order"),
        ("R", "this is for groups of jobs: r resumes a single one"),
    ] {
        let mut app = full_app();
        press(&mut app, "6jjj");
        assert_eq!(press(&mut app, key), []);
        let text = render_app(&app, 160, 24);
        assert!(text.contains(words), "{key}: {text}");
    }
    // A group without any that waits or has failed.
    let mut app = full_app();
    press(&mut app, "6");
    let mut jobs: Vec<JobSummary> = array(4);
    jobs.iter_mut().for_each(|job| job.state = JobState::Finished);
    app.update(Message::Jobs(JobsMessage::List(jobs)));
    for (key, words) in
        [("h", "none of these jobs: only jobs that wait"), ("R", "none of these jobs: only failed jobs")]
    {
        assert_eq!(press(&mut app, key), []);
        let text = render_app(&app, 160, 24);
        assert!(text.contains(words), "{key}: {text}");
    }
}

#[test]
fn jobs_that_have_ended_are_removed_after_a_question() {
    let mut app = full_app();
    press(&mut app, "6");
    press(&mut app, "d");
    let text = render_app(&app, 160, 24);
    assert!(text.contains("this job waits: only jobs that have ended can be removed"), "{text}");
    press(&mut app, "jjj");
    assert_eq!(press(&mut app, "d"), []);
    let text = render_app(&app, 120, 30);
    for words in ["Remove cluster library, k = 4? What it wrote elsewhere", "stays.", "y remove  n keep"] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(press(&mut app, "n"), []);
    let id = fixtures::jobs()[3].id.clone();
    assert_eq!(press(&mut app, "dy"), [Effect::Jobs(JobsEffect::Remove { ids: vec![id] })]);
    // Of a group those that have ended.
    let mut app = array_app(8);
    press(&mut app, "d");
    assert!(unwrapped(&render_app(&app, 120, 30)).contains("Remove all 4 of 8 jobs that have ended?"));
    let ids = [0, 4, 3, 7].map(|n| format!("array-{n:05}")).to_vec();
    assert_eq!(press(&mut app, "y"), [Effect::Jobs(JobsEffect::Remove { ids })]);
}

#[test]
fn what_is_held_is_let_go_by_a_key_that_says_so() {
    let mut app = full_app();
    press(&mut app, "6");
    let list = |held: &[usize]| {
        let mut jobs = array(8);
        jobs.iter_mut().for_each(|job| {
            job.state = JobState::Queued;
            job.held = held.iter().any(|n| job.id == format!("array-{n:05}"));
        });
        Message::Jobs(JobsMessage::List(jobs))
    };
    let keys = |app: &App| app.hints().into_iter().map(|hint| hint.short.to_string()).collect::<Vec<_>>();
    let row = |app: &App| {
        let text = render_app(app, 120, 30);
        text.lines().find(|line| line.contains("▸ 8 jobs")).unwrap().to_string()
    };
    let has = |app: &App, word: &str| keys(app).iter().any(|key| key == word);
    app.update(list(&[1, 2]));
    assert!(has(&app, "hold") && !has(&app, "release") && row(&app).contains("queued"), "{}", row(&app));
    app.update(list(&[0, 1, 2, 3, 4, 5, 6, 7]));
    assert!(has(&app, "release") && !has(&app, "hold") && row(&app).contains(" held"), "{}", row(&app));
    let asked = press(&mut app, "h");
    assert!(matches!(&asked[..], [Effect::Jobs(JobsEffect::Hold { ids, held: false })] if ids.len() == 8));
}

#[test]
fn of_a_job_that_nobody_can_be_asked_about_the_reason_is_shown_alone_and_in_its_group() {
    let mut app = full_app();
    press(&mut app, "6");
    let mut jobs: Vec<JobSummary> = array(4);
    for job in jobs.iter_mut().filter(|job| job.state == JobState::Running) {
        (job.place, job.unseen) =
            (None, Some("whether it still runs is unknown: `squeue`: no controller".into()));
    }
    app.update(Message::Jobs(JobsMessage::List(jobs)));
    assert!(
        unwrapped(&render_app(&app, 160, 40))
            .contains("whether it still runs is unknown: `squeue`: no controller")
    );
    press_code(&mut app, KeyCode::Enter);
    press(&mut app, "jj");
    let text = unwrapped(&render_app(&app, 160, 40));
    assert!(text.contains("running whether it still runs is unknown: `squeue`: no controller"), "{text}");
}

#[test]
fn what_failed_after_its_last_step_has_no_share() {
    let share = |state, step| {
        let mut job = fixtures::jobs().remove(1);
        (job.state, job.step, job.steps) = (state, step, 200);
        let mut app = full_app();
        press(&mut app, "6");
        app.update(Message::Jobs(JobsMessage::List(vec![job])));
        let text = render_app(&app, 80, 24);
        let row = text.lines().find(|line| line.contains("past-tense  ")).unwrap().to_string();
        let words: Vec<&str> = row.split_whitespace().collect();
        words.windows(2).find(|pair| pair[1] == "%").map(|pair| pair[0].to_string())
    };
    assert_eq!(share(JobState::Running, 200), Some("99".into()));
    assert_eq!(share(JobState::Failed, 200), None);
    assert_eq!(share(JobState::Failed, 80), Some("40".into()));
}

#[test]
fn the_kinds_of_jobs_can_be_chosen_on_the_smallest_screen() {
    let mut app = jobs_app();
    press(&mut app, "s");
    let text = render_app(&app, 30, 8);
    assert!(unwrapped(&text).contains("› Train a new expert Train one expert for each task"), "{text}");
    for kind in KINDS {
        let text = render_app(&app, 30, 8);
        let shown = unwrapped(&text);
        assert!(shown.contains(kind.heading), "{}\n{text}", kind.heading);
        press(&mut app, "j");
    }
}
