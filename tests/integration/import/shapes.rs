//! Kinds of files and shapes of records.

use lora_tui::import::Role;
use lora_tui::named::Named;
use lora_tui::train::Dataset;
use serde_json::{Value, json};

use super::{Desk, counts, fixture, run, texts};

/// A whole dataset without limits, in one split.
fn everything(desk: &Desk, source: impl AsRef<std::path::Path>) -> lora_tui::import::ImportReport {
    let mut spec = desk.spec(source);
    (spec.caps.validation, spec.caps.test, spec.keep_duplicates) = (0, 0, true);
    run(&spec).unwrap()
}

#[test]
fn json_is_read_as_lines_as_an_array_and_compressed() {
    let mut found = Vec::new();
    for name in ["json/array.json", "json/lines.jsonl.gz", "json/lines.jsonl.zst"] {
        let desk = Desk::new();
        let report = everything(&desk, fixture(name));
        assert_eq!((report.rows, report.kept, report.tasks[0].shape.as_str()), (20, 20, "alpaca"), "{name}");
        let task = format!("{0}/{0}", report.name);
        found.push(desk.lines(&task, "train"));
        assert_eq!(found[0][3], json!({"instruction": "Add 3", "input": "3 1", "output": "4"}));
        // What the project trains on.
        let dataset = Dataset::load(&desk.out().join(&task)).unwrap();
        assert_eq!((dataset.train.len(), dataset.train[1].input.as_str()), (20, "1 1"));
        assert_eq!(dataset.task.source.as_deref(), Some(report.name.as_str()));
    }
    assert!(found.iter().all(|lines| *lines == found[0]));
}

#[test]
fn an_object_with_a_list_of_rows_is_read() {
    let desk = Desk::new();
    let report = everything(&desk, fixture("json/bbh.json"));
    assert_eq!(
        (report.rows, report.tasks[0].shape.as_str(), report.tasks[0].metric.as_str()),
        (12, "definition", "exact_match")
    );
    // The same on one line.
    let line = r#"{"canary":1,"examples":[{"input":"a","target":"b"},{"input":"c","target":"d"}]}"#;
    let desk = Desk::new();
    assert_eq!(everything(&desk, desk.write("line.json", line)).rows, 2);
}

#[test]
fn rows_with_lists_of_their_own_are_rows() {
    let row = |i: usize| {
        format!(
            "{{\"prompt\":\"p{i}\",\"completion\":\"c\",\"examples\":[{{\"prompt\":\"no\",\"completion\":\"x\"}}]}}\n"
        )
    };
    let desk = Desk::new();
    let report = everything(&desk, desk.write("three.jsonl", (0..3).map(row).collect::<String>()));
    let lines = desk.lines("three/three", "train");
    assert_eq!((report.rows, &lines[0]["instruction"]), (3, &json!("p0")));
}

#[test]
fn natural_instructions_keep_their_definition() {
    let file = json!({
        "Contributors": ["x"],
        "Definition": ["Write a question", "about the passage."],
        "Instances": [{"id": "a", "input": "Passage: 0", "output": ["q0"]}, {"id": "b", "input": "1", "output": ["q1"]}],
    });
    let desk = Desk::new();
    let report = everything(&desk, desk.write("task001.json", file.to_string()));
    assert_eq!((report.rows, report.tasks[0].shape.as_str()), (2, "definition"));
    let lines = desk.lines("task001/task001", "train");
    assert_eq!(lines[0]["instruction"], "Write a question\nabout the passage.\n\nPassage: 0");
}

#[test]
fn fields_that_come_late_are_found_under_each_of_their_names() {
    let rows = |late: &str| -> String {
        let row = |i: usize| match i {
            0..64 => format!("{{\"instruction\":\"i{i}\",\"output\":\"o\"}}\n"),
            _ => format!("{{\"instruction\":\"i{i}\",\"output\":\"o\",\"{late}\":\"more\"}}\n"),
        };
        (0..100).map(row).collect()
    };
    let with = |desk: &Desk| desk.lines("d/d", "train").iter().filter(|line| line["input"] == "more").count();
    for late in ["input", "context"] {
        let desk = Desk::new();
        everything(&desk, desk.write("d.jsonl", rows(late)));
        assert_eq!(with(&desk), 36, "{late}");
    }
    let desk = Desk::new();
    let mut spec = desk.spec(desk.write("d.jsonl", rows("hint")));
    (spec.caps.validation, spec.caps.test) = (0, 0);
    let fields = |input: &str| {
        [("instruction", "instruction"), ("input", input), ("output", "output")]
            .map(|(role, name)| (*Role::named(role).unwrap(), vec![name.to_string()]))
            .to_vec()
    };
    spec.fields = fields("hind");
    assert!(run(&spec).unwrap_err().to_string().contains("has no column \"hind\""));
    spec.fields = fields("hint");
    run(&spec).unwrap();
    assert_eq!(with(&desk), 36);
}

#[test]
fn spreadsheets_leave_columns_without_names_and_pandas_numbers_with_gaps() {
    let desk = Desk::new();
    everything(&desk, desk.write("spam.csv", "text,label,,,\nhello,ham,,,\nwin,spam,,,\n"));
    assert_eq!(desk.lines("spam/spam", "train")[1]["output"], "spam");
    let desk = Desk::new();
    let report =
        everything(&desk, desk.write("quiz.csv", "question,A,B,C,D,answer\nq1,w,x,y,z,1.0\nq2,w,x,y,z,\n"));
    assert_eq!((report.kept, desk.lines("quiz/quiz", "train")[0]["output"].as_str()), (1, Some("x")));
}

#[test]
fn csv_of_pandas_keeps_quotes_lines_and_letters() {
    for name in ["csv/qa.csv", "csv/all.tsv", "csv/packed.csv.gz"] {
        let desk = Desk::new();
        let report = everything(&desk, fixture(name));
        assert_eq!((report.rows, report.kept), (12, 12), "{name}");
        let lines = desk.lines(&format!("{0}/{0}", report.name), "train");
        assert_eq!(
            lines[0],
            json!({"instruction": "What does \"so, what\" mean?", "input": "", "output": "a\nnew line"})
        );
        assert_eq!(lines[3]["instruction"], "Q3, é 日本");
    }
}

#[test]
fn parquet_of_pandas_and_pyarrow_is_read() {
    let desk = Desk::new();
    everything(&desk, fixture("types/pandas.parquet"));
    let lines = desk.lines("pandas/pandas", "train");
    assert_eq!(
        (lines.len(), &lines[1]),
        (30, &json!({"instruction": "text 1", "input": "", "output": "good"}))
    );
}

#[test]
fn arrow_files_with_dictionaries_and_zstd_are_read() {
    let desk = Desk::new();
    everything(&desk, fixture("ipc/file.arrow"));
    let lines = desk.lines("file/file", "train");
    assert_eq!((lines.len(), &lines[24]), (25, &json!({"instruction": "p24", "input": "", "output": "yes"})));
}

#[test]
fn conversations_end_with_the_answer() {
    let desk = Desk::new();
    everything(&desk, fixture("json/chats.jsonl"));
    assert_eq!(
        desk.lines("chats/chats", "train")[2],
        json!({"instruction": "Be brief.\n\nHi 2", "input": "", "output": "Ho"})
    );
    let long = r#"{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"},{"from":"human","value":"c"},{"from":"gpt","value":"d"},{"from":"human","value":"e"}]}"#;
    let desk = Desk::new();
    everything(&desk, desk.write("long.jsonl", long));
    let line = &desk.lines("long/long", "train")[0];
    assert_eq!(
        (&line["instruction"], &line["output"]),
        (&json!("User: a\nAssistant: b\nUser: c"), &json!("d"))
    );
}

#[test]
fn several_right_answers_are_references() {
    let desk = Desk::new();
    everything(&desk, fixture("json/squad.jsonl"));
    let expected = json!({"instruction": "q4", "input": "c", "output": "a", "references": ["a", "b4"]});
    assert_eq!(desk.lines("squad/squad", "train")[4], expected);
    let dataset = Dataset::load(&desk.out().join("squad/squad")).unwrap();
    assert_eq!(dataset.train[4].references, ["a", "b4"]);
}

#[test]
fn choices_have_the_index_of_the_right_one() {
    let cases = [
        (r#"{"question":"q","choices":["x","y"],"answer":1}"#, "y", 1),
        (r#"{"question":"q","choices":["x","y","z"],"answer":"C"}"#, "z", 2),
        (r#"{"question":"q","choices":["x","y"],"answer":"x"}"#, "x", 0),
        (r#"{"question":"q","choices":{"text":["x","y"],"label":["1","2"]},"answerKey":"2"}"#, "y", 1),
        (r#"{"ctx":"q","endings":["x","y"],"label":"0"}"#, "x", 0),
        (r#"{"question":"q","choices":["True","False"],"answer":true}"#, "True", 0),
        (
            r#"{"question":"q","distractor1":"x","distractor2":"y","distractor3":"z","correct_answer":"w","support":"s"}"#,
            "w",
            0,
        ),
        (r#"{"question":"q","A":"x","B":"y","C":"z","D":"w","answer":"B"}"#, "y", 1),
        (r#"{"question":"q","opa":"x","opb":"y","opc":"z","opd":"w","cop":2}"#, "z", 2),
        (r#"{"goal":"q","sol1":"x","sol2":"y","label":1}"#, "y", 1),
        (r#"{"sentence":"q","option1":"x","option2":"y","answer":"1"}"#, "x", 0),
        (r#"{"context":"i","question":"q","answerA":"x","answerB":"y","answerC":"z","label":"3"}"#, "z", 2),
        (r#"{"question":"q","options":"[\"x\",\"y\"]","answer":"b"}"#, "y", 1),
        (
            r#"{"question_stem":"q","choices":[{"text":"x","label":"A"},{"text":"y","label":"B"}],"answerKey":"A"}"#,
            "x",
            0,
        ),
    ];
    for (line, output, answer) in cases {
        let desk = Desk::new();
        everything(&desk, desk.write("c.jsonl", line));
        let found = &desk.all("c/c")[0];
        assert_eq!((&found["output"], &found["answer"]), (&json!(output), &json!(answer)), "{line}");
        assert_eq!(found["choices"][answer], output, "{line}");
    }
}

#[test]
fn choices_of_a_saved_dataset_are_read() {
    let desk = Desk::new();
    let report = everything(&desk, fixture("saved_one"));
    assert_eq!(counts(&report), [("saved_one", 20, 0, 0)]);
    let expected = json!({
        "instruction": "How many is 3?", "input": "", "output": "3", "choices": ["one", "two", "3"], "answer": 2
    });
    assert_eq!(desk.lines("saved_one/saved_one", "train")[0], expected);
    let dataset = Dataset::load(&desk.out().join("saved_one/saved_one")).unwrap();
    assert_eq!((dataset.train[0].answer, dataset.task.metric.name()), (Some(2), "choice"));
}

#[test]
fn a_test_split_alone_is_a_held_out_task() {
    let desk = Desk::new();
    let long = "a long answer ".repeat(20);
    desk.write("test.jsonl", format!("{{\"question\":\"q\",\"answer\":\"{long}\"}}\n"));
    let mut spec = desk.spec(desk.source());
    spec.held_out = true;
    run(&spec).unwrap();
    let dataset = Dataset::load(&desk.out().join("source/source")).unwrap();
    assert!(dataset.task.held_out && dataset.train.is_empty() && dataset.test.len() == 1);
    assert_eq!(dataset.task.metric.name(), "rouge_l");
    // What has validation rows alone is measured with them.
    let desk = Desk::new();
    desk.write("dev.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}\n");
    let report = run(&desk.spec(desk.source())).unwrap();
    assert_eq!((counts(&report), report.warnings.len()), (vec![("source", 0, 0, 1)], 1));
}

#[test]
fn classes_are_written_by_name() {
    let desk = Desk::new();
    let report = run(&desk.spec(fixture("saved"))).unwrap();
    assert_eq!(counts(&report), [("saved", 40, 10, 10)]);
    let lines = desk.all("saved/saved");
    assert_eq!(texts(&lines, "output"), ["unacceptable", "acceptable"].into());
    let task = Dataset::load(&desk.out().join("saved/saved")).unwrap().task;
    assert_eq!(task.options, ["unacceptable", "acceptable"]);
    assert_eq!(
        (task.id.as_str(), task.family.as_deref(), report.tasks[0].metric.as_str()),
        ("saved", Some("saved"), "accuracy")
    );
}

#[test]
fn fields_map_any_columns() {
    use lora_tui::import::Role;
    let desk = Desk::new();
    let rows: String = (0..30)
        .map(|i| format!("{{\"q\":{{\"stem\":\"s{i}\"}},\"a\":\"x\",\"b\":\"y\",\"right\":{}}}\n", 1 + i % 2))
        .collect();
    let mut spec = desk.spec(desk.write("own.jsonl", rows));
    let name = |name: &str| vec![name.to_string()];
    spec.fields = vec![
        (Role::Instruction, name("q.stem")),
        (Role::Choices, vec!["a".into(), "b".into()]),
        (Role::Answer, name("right")),
    ];
    spec.answer_base = Some(1);
    run(&spec).unwrap();
    let lines = desk.all("own/own");
    assert_eq!(lines.len(), 30);
    for line in lines {
        let odd = line["instruction"].as_str().unwrap()[1..].parse::<u32>().unwrap() % 2;
        assert_eq!(line["answer"], odd);
    }
}

#[test]
fn the_answers_of_a_column_are_read_in_one_way() {
    let line = |number: usize, choices: &[&str], answer: &str| {
        json!({"question": format!("q{number}"), "choices": choices, "answer": answer}).to_string() + "\n"
    };
    let named = ["red", "green", "blue", "grey"];
    // By letters, also where a letter is the text of another choice; by numbers kept as texts in the same way.
    for (answers, choices, answer, right, words) in [
        (["A", "B", "C", "D"], ["C", "A", "B", "D"], "A", 0, "letters"),
        (["0", "1", "2", "3"], ["2", "3", "4", "5"], "2", 2, "numbers"),
        (["red", "green", "blue", "grey"], ["B", "A", "C", "D"], "A", 1, "texts"),
    ] {
        let desk = Desk::new();
        let mut rows: String = (0..20).map(|i| line(i, &named, answers[i % 4])).collect();
        rows.push_str(&line(20, &choices, answer));
        let report = everything(&desk, desk.write("c.jsonl", rows));
        assert_eq!(report.tasks[0].answers.as_deref(), Some(words));
        let all = desk.all("c/c");
        let found = all.iter().find(|found| found["instruction"] == "q20").unwrap();
        assert_eq!(found["answer"], right, "{words}");
    }
    // One file says what another of the same task leaves open, and one alone is refused.
    let desk = Desk::new();
    let open = line(20, &["C", "A", "B", "D"], "A");
    desk.write("test.jsonl", &open);
    let error = run(&desk.spec(desk.source())).unwrap_err().to_string();
    assert!(
        error.contains("test.jsonl: line 1: the answer may be the text of a choice or the letter"),
        "{error}"
    );
    desk.write("train.jsonl", (0..20).map(|i| line(i, &named, ["A", "B"][i % 2])).collect::<String>());
    run(&desk.spec(desk.source())).unwrap();
    assert_eq!(desk.lines("source/source", "test")[0]["answer"], 0);
    // A row that names its choice in another way.
    let desk = Desk::new();
    let rows: String = (0..5).map(|i| line(i, &named, if i == 3 { "red" } else { "B" })).collect();
    let error = run(&desk.spec(desk.write("c.jsonl", rows))).unwrap_err().to_string();
    assert!(
        error.contains(
            "line 4: the answer \"red\" is the text of a choice, where those of other rows are letters"
        ),
        "{error}"
    );
}

#[test]
fn few_outputs_of_many_rows_are_classes() {
    let rows = |of: &dyn Fn(usize) -> Value, count: usize| -> String {
        (0..count).map(|i| json!({"text": format!("t{i}"), "label": of(i)}).to_string() + "\n").collect()
    };
    for (of, options) in [
        (
            &(|i: usize| json!(["positive", "negative"][i % 2])) as &dyn Fn(usize) -> Value,
            vec!["negative", "positive"],
        ),
        (&|i| json!(i % 3), vec!["0", "1", "2"]),
        (&|i| json!(i % 2 == 0), vec!["false", "true"]),
    ] {
        let desk = Desk::new();
        let report = run(&desk.spec(desk.write("r.jsonl", rows(of, 60)))).unwrap();
        assert_eq!(
            (report.tasks[0].metric.as_str(), &report.tasks[0].options),
            ("accuracy", &options.iter().map(ToString::to_string).collect())
        );
        let task = Dataset::load(&desk.out().join("r/r")).unwrap().task;
        assert_eq!((task.options, task.metric.name()), (report.tasks[0].options.clone(), "accuracy"));
    }
    let desk = Desk::new();
    let report = run(&desk.spec(desk.write("r.jsonl", rows(&|i| json!(format!("answer {i}")), 60)))).unwrap();
    assert_eq!((report.tasks[0].metric.as_str(), report.tasks[0].options.len()), ("exact_match", 0));
    // A metric that chooses finds something to choose from, or is refused.
    let choice = lora_tui::scorers::Scorer::suited(lora_tui::scorers::Answered {
        has_choices: true,
        are_labels: false,
        mean_length: 1,
    });
    let desk = Desk::new();
    let mut spec = desk.spec(desk.write("r.jsonl", rows(&|i| json!(["a", "b"][i % 2]), 8)));
    spec.metric = Some(choice);
    assert_eq!(run(&spec).unwrap().tasks[0].options, ["a", "b"]);
    let desk = Desk::new();
    let mut spec = desk.spec(desk.write("r.jsonl", rows(&|i| json!(format!("answer {i}")), 400)));
    spec.metric = Some(choice);
    let error = super::problem(&desk, &spec);
    assert!(
        error.contains("has no choices, and its outputs are no classes, so that choice has nothing"),
        "{error}"
    );
}

#[test]
fn turns_keep_their_speakers_and_calls_of_tools() {
    let turns = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{\"in\":\"Bern\"}"}}
        ]},
        {"role": "tool", "content": "rain"},
        {"role": "assistant", "content": "It rains.", "reasoning_content": "Rain falls.", "refusal": null},
    ]);
    let desk = Desk::new();
    let row = json!({"messages": turns, "tools": [], "history": "h"}).to_string();
    let report = everything(&desk, desk.write("t.jsonl", row));
    let asked =
        "User: Weather?\nAssistant: {\"name\":\"weather\",\"arguments\":{\"in\":\"Bern\"}}\nTool: rain";
    let expected = json!({"instruction": asked, "input": "", "output": "It rains."});
    assert_eq!(desk.lines("t/t", "train")[0], expected);
    let mut unread = report.unread;
    unread.sort();
    assert_eq!(unread, ["\"reasoning_content\" of turns", "history", "tools"]);
    // A turn that is not to be learnt is no answer.
    let desk = Desk::new();
    let turns = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 1},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d", "weight": 0},
    ]);
    everything(&desk, desk.write("t.jsonl", json!({"messages": turns}).to_string()));
    assert_eq!(desk.lines("t/t", "train")[0], json!({"instruction": "a", "input": "", "output": "b"}));
    // A prompt and a completion in turns, as TRL has them.
    let desk = Desk::new();
    let row = json!({
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "completion": [{"role": "assistant", "content": "Ho"}],
    });
    everything(&desk, desk.write("t.jsonl", row.to_string()));
    let expected = json!({"instruction": "Be brief.\n\nHi", "input": "", "output": "Ho"});
    assert_eq!(desk.lines("t/t", "train")[0], expected);
}
