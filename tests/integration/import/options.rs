//! Splits, caps, filters, duplicates, names, and where tasks go.

use std::fs;
use std::process::Command;

use super::{Desk, counts, fixture, problem, run, texts};
use crate::support::{BINARY, json};

fn rows(count: usize) -> String {
    (0..count)
        .map(|i| format!("{{\"source\":\"s{i}\",\"target\":\"t{i}\",\"kind\":\"k{}\"}}\n", i % 4))
        .collect()
}

#[test]
fn a_sample_is_reproducible_and_its_splits_share_no_prompt() {
    let spec_of = |desk: &Desk, seed| {
        let mut spec = desk.spec(desk.write("d.jsonl", rows(500)));
        (spec.seed, spec.caps.rows, spec.caps.validation, spec.caps.test) = (seed, 200, 15, 10);
        spec
    };
    let found = [42, 42, 7].map(|seed| {
        let desk = Desk::new();
        let report = run(&spec_of(&desk, seed)).unwrap();
        assert_eq!(counts(&report), [("d", 175, 15, 10)]);
        assert_eq!(report.tasks[0].dropped.words(), "300 over the cap");
        let lines = desk.all("d/d");
        assert_eq!(texts(&lines, "instruction").len(), 200);
        lines
    });
    assert_eq!(found[0], found[1]);
    assert_ne!(found[0], found[2]);
}

#[test]
fn what_is_dropped_is_counted_by_reason() {
    let desk = Desk::new();
    let long = "x".repeat(30_000);
    let source = desk.write(
        "train.jsonl",
        format!(
            "{}{}{}{}{{\"source\":\"\",\"target\":\"t\"}}\n{{\"source\":\"s\",\"target\":null}}\n{{\"source\":\"{long}\",\"target\":\"t\"}}\n",
            rows(20), rows(3), "{\"source\":\"leak\",\"target\":\"t\"}\n", "{\"source\":\"s1\",\"target\":\"another\"}\n"
        ),
    );
    let folder = source.parent().unwrap();
    desk.write("test.jsonl", "{\"source\":\"leak\",\"target\":\"t\"}\n");
    let mut spec = desk.spec(folder);
    spec.caps.validation = 0;
    let report = run(&spec).unwrap();
    // 20 and another answer to one of them; three are there twice and one leaks out of test.
    assert_eq!(counts(&report), [("source", 21, 0, 1)]);
    assert_eq!(report.dropped.words(), "2 empty, 1 too long, 4 duplicates");
    spec.keep_duplicates = true;
    spec.out = desk.out().join("again");
    assert_eq!(run(&spec).unwrap().kept, 26);
}

#[test]
fn caps_hold_where_rows_come_again() {
    let desk = Desk::new();
    let source = (0..500).map(|i| format!("{{\"source\":\"s{}\",\"target\":\"t\"}}\n", i % 5));
    let mut spec = desk.spec(desk.write("d.jsonl", source.collect::<String>()));
    (spec.keep_duplicates, spec.caps.rows, spec.caps.validation, spec.caps.test) = (true, 4, 0, 0);
    let report = run(&spec).unwrap();
    assert_eq!((report.kept, report.dropped.words().as_str()), (4, "496 over the cap"));
}

#[test]
fn tasks_without_a_row_are_not_in_the_way_of_others() {
    let desk = Desk::new();
    run(&desk.spec(desk.write("a.jsonl", rows(20)))).unwrap();
    desk.write("b/good.jsonl", rows(20));
    desk.write("b/none.jsonl", "{\"source\":\"s\",\"target\":\"\"}\n");
    let mut spec = desk.spec(desk.source().join("b"));
    spec.family = Some("a".into());
    let report = run(&spec).unwrap();
    assert!(desk.out().join("a/a").is_dir() && desk.out().join("a/good/task.toml").is_file(), "{report:?}");
    assert!(!desk.out().join("a/none").exists());
}

#[test]
fn filters_choose_rows() {
    let desk = Desk::new();
    let mut spec = desk.spec(fixture("flan"));
    spec.filters = vec![
        ("template_type".into(), "zs_noopt".into()),
        ("template_idx".into(), "1".into()),
        ("template_idx".into(), "2".into()),
    ];
    let report = run(&spec).unwrap();
    let expected = (0..200).filter(|i| i % 4 != 0 && [1, 2].contains(&(i % 10))).count() as u64;
    assert_eq!((report.kept, report.filtered), (expected, 200 - expected));
    spec.filters = vec![("template_type".into(), "none such".into())];
    assert!(run(&spec).unwrap_err().to_string().contains("none of which --where lets through"));
    spec.filters = vec![("nowhere".into(), "x".into())];
    assert!(run(&spec).unwrap_err().to_string().contains("no column \"nowhere\""));
}

#[test]
fn splits_come_from_the_column_the_names_or_the_seed() {
    let rows = |from: usize| -> String {
        (from..from + 40)
            .map(|i| {
                format!(
                    "{{\"source\":\"s{i}\",\"target\":\"t\",\"split\":\"{}\"}}\n",
                    ["train", "dev"][i % 2]
                )
            })
            .collect()
    };
    for (rule, expected) in [
        ("given", ("source", 40, 40, 0)),
        ("column", ("source", 40, 40, 0)),
        ("file", ("source", 36, 4, 40)),
        ("seeded", ("source", 64, 8, 8)),
    ] {
        let desk = Desk::new();
        desk.write("train.jsonl", rows(0));
        desk.write("test.jsonl", rows(100));
        let mut spec = desk.spec(desk.source());
        spec.split_rule = rule.parse().unwrap();
        (spec.caps.test, spec.caps.validation) =
            (if rule == "given" || rule == "column" { 0 } else { 1000 }, 1000);
        let report = run(&spec).unwrap();
        assert_eq!(counts(&report), [expected], "{rule}");
    }
}

#[test]
fn tasks_of_names_that_become_one_are_refused() {
    let desk = Desk::new();
    let row = |task: &str| format!("{{\"source\":\"{task}\",\"target\":\"t\",\"task\":\"{task}\"}}\n");
    let spec = desk.spec(desk.write("d.jsonl", row("a-b") + &row("a.b")));
    let error = problem(&desk, &spec);
    assert!(
        error.contains("line 2") && error.contains("\"a-b\" and \"a.b\" would both be named a_b"),
        "{error}"
    );
    let mut spec = desk.spec(desk.write("e.jsonl", row("a") + &row("../..")));
    assert!(problem(&desk, &spec).contains("no letter or digit"));
    // As one task, whatever the column says.
    spec.task_column = Some("none".into());
    assert_eq!(counts(&run(&spec).unwrap()).len(), 1);
}

#[test]
fn tasks_that_are_there_are_never_touched() {
    let desk = Desk::new();
    let mut spec = desk.spec(fixture("flan"));
    run(&spec).unwrap();
    let before = fs::read(desk.out().join("flan/wiki_bio_who/train.jsonl")).unwrap();
    spec.seed = 1;
    let error = run(&spec).unwrap_err().to_string();
    assert!(error.contains("flan/glue_cola_2_0_0: exists already"), "{error}");
    assert_eq!(fs::read(desk.out().join("flan/wiki_bio_who/train.jsonl")).unwrap(), before);
    // Another family and other tasks of the same one go beside them.
    spec.family = Some("second".into());
    run(&spec).unwrap();
    let mut other = desk.spec(fixture("csv/qa.csv"));
    other.family = Some("flan".into());
    run(&other).unwrap();
    let mut names: Vec<String> = ["flan", "second", "."]
        .iter()
        .flat_map(|folder| fs::read_dir(desk.out().join(folder)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["flan", "glue_cola_2_0_0", "glue_cola_2_0_0", "qa", "second", "wiki_bio_who", "wiki_bio_who"]
    );
}

#[test]
fn a_dry_run_writes_nothing_and_says_the_same() {
    let desk = Desk::new();
    let mut spec = desk.spec(fixture("flan"));
    spec.dry_run = true;
    let dry = run(&spec).unwrap();
    assert!(!dry.written && !desk.out().exists());
    desk.is_clean();
    spec.dry_run = false;
    assert_eq!(counts(&run(&spec).unwrap()), counts(&dry));
}

#[test]
fn identifiers_that_are_there_twice_are_warned_of() {
    let desk = Desk::new();
    let source = desk.write("d.csv", "id,question,answer\n1,a,b\n2,c,d\n1,e,f\n2,c,d\n");
    let report = run(&desk.spec(source)).unwrap();
    assert_eq!((report.kept, report.warnings.len()), (3, 1));
    assert!(
        report.warnings[0].contains("line 4: the id \"1\" is also that of line 2"),
        "{}",
        report.warnings[0]
    );
    // In another file, that is named.
    let desk = Desk::new();
    desk.write("two/train-0.csv", "id,question,answer\n1,a,b\n");
    desk.write("two/train-1.csv", "id,question,answer\n1,c,d\n");
    let report = run(&desk.spec(desk.source().join("two"))).unwrap();
    assert!(
        report.warnings.iter().any(|line| line.contains("line 2 of ") && line.contains("train-0.csv")),
        "{report:?}"
    );
    let rows: String = (0..100).map(|i| format!("1,a{i},b\n")).collect();
    let report = run(&desk.spec(desk.write("e.csv", format!("id,question,answer\n{rows}")))).unwrap();
    assert_eq!(report.warnings.len(), 11);
    assert!(
        report.warnings[10].starts_with("89 more rows have the id of another one"),
        "{}",
        report.warnings[10]
    );
}

#[test]
fn the_command_prints_tables_and_json() {
    let desk = Desk::new();
    let (source, out) = (fixture("flan"), desk.out());
    let (source, out) = (source.to_str().unwrap(), out.to_str().unwrap());
    let report = json(&["import", source, "--out", out, "--dry-run", "--where", "template_type=zs_noopt"]);
    assert_eq!((&report["rows"], &report["written"]), (&200.into(), &false.into()));
    assert_eq!(report["tasks"][0]["dropped"]["duplicate"], 0);
    let done =
        Command::new(BINARY).args(["import", source, "--out", out, "--licence", "mit"]).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success() && text.contains("wrote 2 tasks to") && text.contains("licence: mit"),
        "{text}"
    );
    // Of many columns that are not written, the first are named, also one that has no name.
    let names: Vec<String> = (0..5000).map(|i| format!("c{i}")).collect();
    let csv = format!(",question,answer,{}\n0,q,a{}\n", names.join(","), ",x".repeat(5000));
    let wide = desk.write("wide.csv", csv);
    let done = Command::new(BINARY)
        .args(["import", wide.to_str().unwrap(), "--out", out, "--dry-run"])
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("columns that are not written: one without a name, c0, c1, "), "{text}");
    assert!(text.contains("c18 and 4981 more\n") && text.len() < 2000, "{text}");
    let wrong = Command::new(BINARY)
        .args(["import", source, "--out", out, "--fields", "instruction=source"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn an_import_that_is_stopped_leaves_nothing() {
    let desk = Desk::new();
    let spec = desk.spec(desk.write("d.jsonl", rows(20_000)));
    // In the first pass, and while it writes.
    for stage in ["looking at", "writing"] {
        let cancel = lora_tui::Cancel::new();
        let raised = cancel.clone();
        let mut watch = |what: &str, _: u64| {
            if what == stage {
                raised.cancel();
            }
        };
        let error = lora_tui::import::import(&spec, &cancel, &mut watch).unwrap_err();
        assert!(matches!(error, lora_tui::Error::Cancelled), "{error}");
        assert!(!desk.out().exists());
        desk.is_clean();
    }
    assert_eq!(run(&spec).unwrap().kept, 10_000);
}

#[test]
fn tasks_of_several_families_have_names_of_their_own() {
    use lora_tui::train::read_task;
    let row = |i: usize, topic: &str, subject: &str| {
        format!(
            "{{\"prompt\":\"{i}\",\"completion\":\"c\",\"topic\":\"{topic}\",\"subject\":\"{subject}\"}}\n"
        )
    };
    let desk = Desk::new();
    let text: String = (0..40).map(|i| row(i, "x", ["algebra", "law"][i % 2])).collect();
    let mut spec = desk.spec(desk.write("mmlu.jsonl", text));
    spec.family_column = Some("subject".into());
    let report = run(&spec).unwrap();
    let names: Vec<(&str, &str)> =
        report.tasks.iter().map(|task| (task.family.as_str(), task.task.as_str())).collect();
    assert_eq!(names, [("algebra", "mmlu_algebra"), ("law", "mmlu_law")]);
    let task = read_task(&desk.out().join("law/mmlu_law")).unwrap();
    assert_eq!((task.id.as_str(), task.family.as_deref()), ("mmlu_law", Some("law")));
    // A column of tasks names them, and families those that are called the same.
    let desk = Desk::new();
    let text = [("news", "de"), ("news", "en"), ("talk", "en")];
    let text: String = (0..30).map(|i| row(i, text[i % 3].0, text[i % 3].1)).collect();
    let mut spec = desk.spec(desk.write("a.jsonl", text));
    (spec.family_column, spec.task_column) = (Some("subject".into()), Some("topic".into()));
    let report = run(&spec).unwrap();
    let names: Vec<&str> = report.tasks.iter().map(|task| task.task.as_str()).collect();
    assert_eq!(names, ["news_de", "news_en", "talk"]);
}

#[test]
fn imports_at_once_into_one_new_folder_all_arrive() {
    let desk = Desk::new();
    let specs: Vec<_> = (0..4)
        .map(|i| {
            let mut spec = desk.spec(desk.write(&format!("s{i}.jsonl"), rows(30)));
            spec.family = Some(if i == 0 { "other" } else { "same" }.into());
            spec
        })
        .collect();
    let gate = std::sync::Barrier::new(specs.len());
    std::thread::scope(|scope| {
        for spec in &specs {
            scope.spawn(|| {
                gate.wait();
                run(spec).unwrap();
            });
        }
    });
    for (i, family) in ["other", "same", "same", "same"].into_iter().enumerate() {
        assert!(desk.out().join(family).join(format!("s{i}/task.toml")).is_file(), "{i}");
    }
    desk.is_clean();
}

#[test]
fn choices_in_another_order_are_the_same_prompt() {
    let row = |choices: [&str; 2], answer: usize| {
        serde_json::json!({"question": "q0", "choices": choices, "answer": answer}).to_string() + "\n"
    };
    let desk = Desk::new();
    desk.write("train.jsonl", row(["yes", "no"], 0) + &row(["yes", "maybe"], 0));
    desk.write("test.jsonl", row(["no", "yes"], 1));
    let report = run(&desk.spec(desk.source())).unwrap();
    assert_eq!(
        (counts(&report), report.dropped.words().as_str()),
        (vec![("source", 1, 0, 1)], "1 duplicates")
    );
    assert_eq!(desk.lines("source/source", "train")[0]["choices"][1], "maybe");
}
