//! What comes of a job, and what can follow it.

use super::*;

#[test]
fn a_finished_clustering_shows_its_result_and_a_failed_job_its_error() {
    let mut app = full_app();
    press(&mut app, "6jjj");
    app.update(Message::Jobs(JobsMessage::Detail(fixtures::cluster_detail())));
    let text = render_app(&app, 120, 40);
    assert!(text.contains("4 clusters of 3 experts · inertia 1.520"), "{text}");
    press(&mut app, "j");
    assert!(render_app(&app, 160, 40).contains("│ ✗ assets/tasks/plurals/train.jsonl: line 3"));
}

#[test]
fn what_a_job_made_is_one_key_away() {
    let finished = |outcome: AnyReport| {
        let mut app = full_app();
        press(&mut app, "6jjj");
        let mut detail = (*fixtures::cluster_detail()).clone();
        detail.outcome = Some(Ok(outcome));
        app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail))));
        app
    };
    let clusters = ClusterReport { k: 3, seed: 7, sparsity: 0.25, ..ClusterReport::default() };
    let mut app = finished(report_of::<ClusterSpec>(clusters));
    let asked = press(&mut app, "o");
    assert_eq!(app.tab(), screens::clusters::TAB);
    assert!(
        matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { k: 3, seed: 7, sparsity: 0.25, .. })]),
        "{asked:?}"
    );
    // Other tabs and trainings compare by the default metric.
    let delta = ClusterReport { k: 3, metric: crate::analysis::Metric::DELTA, ..ClusterReport::default() };
    let mut app = finished(report_of::<ClusterSpec>(delta));
    assert!(press(&mut app, "o").is_empty() && app.tab() == screens::jobs::TAB);
    let library: ClustersReport = serde_json::from_value(serde_json::json!({
        "library": "/lib/mbc", "k": 2, "seed": 42, "sparsity": 0.5, "silhouette": 0.25,
        "clusters": [], "warnings": [], "skipped": [],
    }))
    .unwrap();
    let mut app = finished(report_of::<ClustersSpec>(library));
    assert_eq!(press(&mut app, "o"), [Effect::OpenLibrary("/lib/mbc".into())]);
    // The event loop does it: everything begins anew there.
    let asked = app.reopen("/lib/mbc".into());
    assert!(asked.contains(&Effect::ReloadLibrary), "{asked:?}");
    assert_eq!((app.tab(), app.shared().root.as_path()), (screens::library::TAB, "/lib/mbc".as_ref()));
    assert!(app.shared().library.is_none() && app.shared().jobs.is_empty());
    // One that runs has made nothing.
    let mut app = jobs_app();
    press(&mut app, "o");
    assert!(render_app(&app, 80, 24).contains("has made nothing"));
}

#[test]
fn what_can_follow_a_job_comes_from_its_kind() {
    let report = serde_json::json!({
        "expert": "topic", "path": "/lib/topic", "steps": 200, "train_loss": 0.3, "validation_loss": 0.4,
        "base_validation_loss": 2.9, "seconds": 312.4, "tokens_per_second": 930.6,
    });
    let finished = || {
        let mut app = full_app();
        press(&mut app, "6jjj");
        let mut detail = (*fixtures::job_detail()).clone();
        detail.summary = fixtures::jobs()[3].clone();
        detail.outcome = Some(TRAIN.report(report.clone()).map_err(|error| error.to_string()));
        app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail))));
        press(&mut app, "n");
        app
    };
    let text = render_app(&finished(), 100, 30);
    for words in [
        "What next",
        "Show the expert",
        "Compare it",
        "Route a prompt",
        "Evaluate it beside",
        "Start another",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let choose = |at: usize| {
        let mut app = finished();
        press(&mut app, &"j".repeat(at));
        press_code(&mut app, KeyCode::Enter);
        app
    };
    let app = choose(0);
    assert_eq!((app.tab(), app.shared().selected.as_deref()), (screens::library::TAB, Some("topic")));
    assert_eq!(choose(1).tab(), screens::similarity::TAB);
    assert_eq!(choose(2).tab(), screens::routing::TAB);
    let text = render_app(&choose(3), 100, 40);
    assert!(text.contains(" Evaluate methods on tasks ─") && text.contains("base,single:topic"), "{text}");
    let text = render_app(&choose(4), 100, 40);
    assert!(
        text.contains(" Train a new expert ─") && text.contains("assets/tasks/inflection/past-tense"),
        "{text}"
    );
    // One that runs has nothing that follows.
    let mut app = jobs_app();
    press(&mut app, "n");
    assert!(render_app(&app, 80, 24).contains("once the job has ended"));
}
