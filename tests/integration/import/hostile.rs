//! Broken and hostile sources: one line each that names the file and the row, and nothing is written.

use std::fs;

use lora_tui::import::Shape;
use lora_tui::named::Named;

use super::{Desk, fixture, problem, run};

fn refused(name: &str, content: impl AsRef<[u8]>, words: &[&str]) {
    let desk = Desk::new();
    let spec = desk.spec(desk.write(name, content));
    let error = problem(&desk, &spec);
    for word in words.iter().chain([&name]) {
        assert!(error.contains(word), "{word}: {error}");
    }
}

const GOOD: &str = "{\"question\":\"q\",\"answer\":\"a\"}\n";

#[test]
fn broken_json_is_named_by_its_line() {
    refused("a.jsonl", format!("{GOOD}{{\"question\":\"q\",\n"), &["line 2", "not valid JSON"]);
    refused("a.jsonl", format!("{GOOD}{GOOD}[1]\n"), &["line 3", "is a list, not an object"]);
    refused(
        "a.jsonl",
        [GOOD.as_bytes(), b"{\"question\":\"\xff\",\"answer\":\"\"}\n"].concat(),
        &["line 2", "not UTF-8"],
    );
    refused(
        "a.jsonl",
        format!("{GOOD}{{\"question\":\"q\"}}\n"),
        &["line 2", "lacks the field for output", "--fields"],
    );
    refused(
        "a.jsonl",
        format!("{GOOD}{{\"question\":\"q\",\"answer\":3}}\n"),
        &["line 2", "a number, but a text in line 1", "--skip-bad"],
    );
    refused("a.jsonl", "{\"question\":\"q\",\"answer\":[[\"a\"]]}\n", &["line 1", "nested list"]);
    refused("a.jsonl", "{\"question\":\"q\",\"answer\":{\"x\":1}}\n", &["line 1", "an object"]);
    refused("a.jsonl", "{\"question\":\"q\",\"question\":\"r\",\"answer\":\"a\"}\n", &["line 1", "twice"]);
    refused("a.json", format!("[{}", GOOD.trim()), &["truncated"]);
    refused("a.json", "{\"a\": {\n\"b\": 1}}", &["no list of rows"]);
    refused("a.json", "[1, 2]", &["example 1 of the array", "a number"]);
    refused("a.jsonl", "", &["is empty"]);
    refused("a.jsonl", "\n\n", &["has no rows"]);
    refused("a.jsonl", b"\xff\xfea\0b\0", &["UTF-16"]);
    refused("a.jsonl", "{\"x\":1,\"y\":\u{1b}[31m}\n", &["line 1"]);
    refused("a.jsonl", "{\"x\\u001b[31m\":1,\"y\":2}\n", &["no known shape", "--fields"]);
    let deep = format!("{{\"question\":{}{},\"answer\":\"a\"}}\n", "[".repeat(5000), "]".repeat(5000));
    refused("a.jsonl", deep, &["line 1", "recursion limit"]);
}

#[test]
fn rows_without_an_end_take_no_memory() {
    let long = format!("{GOOD}{{\"question\":\"{}\",\"answer\":\"a\"}}\n", "x".repeat(17 << 20));
    refused("a.jsonl", long, &["line 2", "longer than 16 MiB"]);
    let quote = format!("question,answer\nq,a\nq,\"{}\n", "x\n".repeat(9 << 20));
    refused("a.csv", quote, &["line 3", "quote"]);
    let array = format!("[{},{{\"question\":\"{}\"}}]", GOOD.trim(), "x".repeat(17 << 20));
    refused("a.json", array, &["example 2 of the array", "longer than 16 MiB"]);
}

#[test]
fn broken_csv_is_named_by_its_line() {
    refused("a.csv", "question,answer\na,b\na,b,c\n", &["line 3", "has 3 values where line 1 names 2"]);
    refused("a.csv", "question,answer\na,b\nc,\"never closed\nd,e\n", &["line 3", "never closed"]);
    refused("a.csv", "question,answer\na,b\n\"d,e\nf,g\n", &["line 3", "never closed"]);
    refused("a.csv", "question,answer\na\n", &["line 2", "has 1 value where line 1 names 2 columns"]);
    refused("a.csv", "question,answer\ra,b\rc,d,e\r", &["row 2", "has 3 values"]);
    refused("a.csv", b"question,answer\na,\xe9\n", &["line 2", "not UTF-8"]);
    refused("a.csv", "question,question\na,b\n", &["two columns"]);
    refused("a.csv", "question,answer\n", &["has no rows"]);
    refused("a.csv", "foo;bar\na;b\n", &["no known shape (foo, bar)"]);
    // Quotes that are meant as such take rows in, an even number of them too.
    let quotes = "text\tlabel\n\"Hello there.\t0\nother text\t1\nhe said \"x\"\t1\nlast\t0\n";
    refused("a.tsv", quotes, &["line 4", "goes on behind its closing quote"]);
    refused("a.csv", "question,answer\na,b\n\"yes\" he said,c\n", &["line 3", "goes on behind"]);
}

#[test]
fn answers_that_may_be_wrong_ones_are_no_examples() {
    for (name, line) in [
        ("wiki_qa", "{\"question\":\"q\",\"document_title\":\"d\",\"answer\":\"a\",\"label\":0}"),
        ("reclor", "{\"context\":\"c\",\"question\":\"q\",\"answers\":[\"a\",\"b\"],\"label\":1}"),
        ("qnli", "{\"question\":\"q\",\"sentence\":\"s\",\"label\":1,\"idx\":0}"),
        ("quail", "{\"context\":\"c\",\"question\":\"q\",\"answers\":[\"a\",\"b\"],\"correct_answer_id\":1}"),
    ] {
        refused(&format!("{name}.jsonl"), format!("{line}\n"), &["no known shape", "--fields"]);
    }
    // Somebody knows better.
    let desk = Desk::new();
    let row = "{\"question\":\"q\",\"answer\":\"a\",\"label\":1}\n";
    let mut spec = desk.spec(desk.write("all_right.jsonl", row));
    spec.shape = Some(*Shape::named("question").unwrap());
    assert_eq!(run(&spec).unwrap().kept, 1);
}

#[test]
fn rows_that_are_no_utf_8_can_be_left_out() {
    let csv = b"text,label\nok,a\ncaf\xe9,b\nfine,a\n".to_vec();
    let bad = b"{\"question\":\"\xff\",\"answer\":\"b\"}\n";
    for (name, content) in [("a.csv", csv), ("a.jsonl", [GOOD.as_bytes(), bad, GOOD.as_bytes()].concat())] {
        let desk = Desk::new();
        let mut spec = desk.spec(desk.write(name, content));
        (spec.skip_bad, spec.keep_duplicates) = (true, true);
        let report = run(&spec).unwrap();
        assert_eq!((report.kept, report.dropped.words().as_str()), (2, "1 no examples"), "{name}");
    }
}

#[test]
fn lines_that_are_no_objects_can_be_left_out() {
    let desk = Desk::new();
    let lines = [GOOD, "[1]\n", "{\"question\":\n", "<html>\n", "\"text\"\n"].concat();
    let mut spec = desk.spec(desk.write("a.jsonl", lines));
    spec.skip_bad = true;
    let report = run(&spec).unwrap();
    assert_eq!((report.kept, report.dropped.words().as_str()), (1, "4 no examples"));
    // Also where a column says where a row belongs.
    let row = |split: &str| {
        format!(
            "{{\"question\":\"q {split}\",\"answer\":\"a\",\"split\":\"{split}\",\"task\":\"one\",\"lang\":\"en\"}}\n"
        )
    };
    let lines = [row("train"), "{\"question\":\n".into(), row("test"), row("validation")].concat();
    refused("a.jsonl", lines.clone(), &["line 2", "not valid JSON"]);
    let desk = Desk::new();
    let mut spec = desk.spec(desk.write("a.jsonl", lines));
    (spec.skip_bad, spec.filters) = (true, vec![("lang".into(), "en".into())]);
    let report = run(&spec).unwrap();
    let counts = (report.kept, report.filtered, report.dropped.words());
    assert_eq!(counts, (3, 0, "1 no examples".into()));
    // Where none is one, the first says what the file is not.
    refused("a.jsonl", "<html>\n<body>\n", &["line 1", "not valid JSON"]);
    refused("a.json", "[]", &["has no rows with fields"]);
}

#[test]
fn choices_need_an_answer_among_them() {
    let row =
        |answer: &str| format!("{{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":{answer}}}\n");
    let good = row("1");
    for (answer, words) in [
        ("2", &["line 2", "outside the 2 choices (0 to 1)", "--answer-base"][..]),
        ("-2", &["line 2", "outside the 2 choices (0 to 1)"]),
        ("1.5", &["line 2", "no whole number"]),
    ] {
        refused("a.jsonl", good.clone() + &row(answer), words);
    }
    for truth in ["true", "false"] {
        let words = [truth, "is none of the 2 choices, and no number of one", "--skip-bad"];
        refused("a.jsonl", row(truth), &words);
    }
    let texts = row("\"A\"");
    refused("a.jsonl", texts.clone() + &row("\"C\""), &["line 2", "none of the 2 choices"]);
    refused("a.jsonl", "{\"question\":\"q\",\"choices\":[\"a\"],\"answer\":0}\n", &["line 1", "needs two"]);
    refused(
        "a.jsonl",
        "{\"question\":\"q\",\"choices\":[[\"a\"],\"b\"],\"answer\":0}\n",
        &["line 1", "nested list"],
    );
    refused("a.jsonl", "{\"question\":\"q\",\"choices\":\"a b\",\"answer\":0}\n", &["line 1", "not a list"]);
    // Dropped and counted, where that is asked for.
    let desk = Desk::new();
    let mut spec = desk.spec(desk.write("a.jsonl", good.clone() + &row("2") + &row("1.5")));
    spec.skip_bad = true;
    let report = run(&spec).unwrap();
    assert_eq!((report.kept, report.dropped.words().as_str()), (1, "2 no examples"));
    refused(
        "a.jsonl",
        good.clone() + "{\"question\":\"q\",\"choices\":[\"a\",\"b\"]}\n",
        &["line 2", "lacks the field for answer"],
    );
    // A row that has none, as the hub marks it, is as empty as one without an output.
    let desk = Desk::new();
    let rows = good + &row("null") + &row("-1");
    let report = run(&desk.spec(desk.write("a.jsonl", rows))).unwrap();
    assert_eq!((report.kept, report.dropped.words().as_str()), (1, "2 empty"));
    refused("a.jsonl", "{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":null}\n", &["1 empty"]);
}

#[test]
fn lists_have_one_kind_of_values_and_choices_their_places() {
    refused(
        "a.jsonl",
        "{\"question\":\"q\",\"answers\":[\"a\",3]}\n",
        &["line 1", "a text and a number in it"],
    );
    let row = |choices: &str, answer: &str| {
        format!("{{\"question\":\"q\",\"choices\":{choices},\"answer\":{answer}}}\n")
    };
    // The index counts what is there, so that nothing may be left out before it.
    refused("a.jsonl", row("[\"a\",null,\"b\"]", "2"), &["line 1", "a choice that is null"]);
    refused("a.jsonl", row("[\"a\",\"a \",\"b\"]", "1"), &["line 1", "the right choice \"a \" twice"]);
    let desk = Desk::new();
    let spec = desk.spec(desk.write("a.jsonl", row("[\"a\",\"a\",\"b\"]", "2")));
    assert_eq!(run(&spec).unwrap().kept, 1);
}

#[test]
fn bytes_are_texts_in_utf_8_or_refused() {
    let bytes = fs::read(fixture("types/bytes.parquet")).unwrap();
    refused("a.parquet", bytes, &["row 2", "\"question\" has bytes that are no text in UTF-8"]);
    let desk = Desk::new();
    assert_eq!(run(&desk.spec(fixture("types/unnamed_texts.parquet"))).unwrap().kept, 2);
    let lines = desk.all("unnamed_texts/unnamed_texts");
    assert!(super::texts(&lines, "instruction").contains("é"), "{lines:?}");
}

#[test]
fn empty_splits_are_named() {
    let desk = Desk::new();
    let state = |files: &str| format!("{{\"_data_files\": [{files}], \"_split\": null}}");
    desk.write("dataset_dict.json", "{\"splits\": [\"train\", \"test\"]}");
    for split in ["train", "test"] {
        fs::create_dir(desk.source().join(split)).unwrap();
        desk.write(&format!("{split}/state.json"), state(""));
    }
    let error = problem(&desk, &desk.spec(desk.source()));
    assert!(error.contains("has no rows: its splits are empty (train, test)"), "{error}");
    let file = "data-00000-of-00001.arrow";
    fs::copy(fixture("saved/train").join(file), desk.source().join("train").join(file)).unwrap();
    desk.write("train/state.json", state(&format!("{{\"filename\": \"{file}\"}}")));
    let report = run(&desk.spec(desk.source())).unwrap();
    assert_eq!(report.warnings, ["the split test has no rows"]);
}

#[test]
fn answers_in_other_scripts_stay_as_they_are() {
    let right = [["北京", "Пекин"], ["القاهرة", "קהיר"], ["मुंबई", "e\u{301}"]];
    let rows: String = right
        .iter()
        .enumerate()
        .map(|(i, right)| {
            serde_json::json!({ "question": format!("Q{i} où?"), "answers": right }).to_string() + "\n"
        })
        .collect();
    let desk = Desk::new();
    run(&desk.spec(desk.write("a.jsonl", rows))).unwrap();
    let lines = desk.all("a/a");
    let found: std::collections::HashSet<[&str; 2]> =
        lines.iter().map(|line| [0, 1].map(|at| line["references"][at].as_str().unwrap())).collect();
    assert_eq!(found, right.into_iter().collect());
}

#[test]
fn labels_outside_the_classes_are_refused() {
    // The class names of the fixture with one taken away.
    let desk = Desk::new();
    for name in ["data-00000-of-00001.arrow", "state.json", "dataset_info.json"] {
        let bytes = fs::read(fixture("saved/train").join(name)).unwrap();
        let text: Vec<u8> =
            replaced(&bytes, b"\"unacceptable\", \"acceptable\"", b"\"unacceptable\"              ");
        desk.write(name, text);
    }
    let error = problem(&desk, &desk.spec(desk.source()));
    assert!(error.contains("row 2") && error.contains("the label 1 is outside the 1 classes"), "{error}");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        bytes[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + to.len();
    }
    bytes
}

#[test]
fn splits_that_are_none_are_refused() {
    let rows = "question,answer,split\na,b,train\nc,d,banana\n";
    refused("a.csv", rows, &["line 3", "\"banana\" is none of train, validation and test"]);
    refused("a.csv", "question,answer,split\na,b,train\nc,d,\n", &["line 3", "has no split"]);
}

#[test]
fn compressed_files_are_sound_or_refused() {
    let packed = fs::read(fixture("json/lines.jsonl.gz")).unwrap();
    refused("a.jsonl.gz", &packed[..packed.len() / 2], &["truncated"]);
    let zst = fs::read(fixture("json/lines.jsonl.zst")).unwrap();
    refused("a.jsonl.zst", &zst[..zst.len() / 2], &["truncated"]);
    refused("a.jsonl.zst", GOOD, &["not compressed with zstd as its name says"]);
    let mut wrong = zst.clone();
    wrong[10..40].iter_mut().for_each(|byte| *byte ^= 0x5a);
    let desk = Desk::new();
    let error = problem(&desk, &desk.spec(desk.write("a.jsonl.zst", wrong)));
    assert!(error.contains("zstd"), "{error}");
    // By its content, whatever its name.
    let desk = Desk::new();
    assert_eq!(run(&desk.spec(desk.write("a.jsonl", packed))).unwrap().rows, 20);
}

#[test]
fn bombs_do_not_go_off() {
    use std::io::Write;
    let mut packed = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let line = format!("{GOOD}{}", "\n".repeat((1 << 20) - GOOD.len()));
    for _ in 0..600 {
        packed.write_all(line.as_bytes()).unwrap();
    }
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 1 << 20);
    refused("a.jsonl.zst", packed, &["more than 500 times its size"]);
}

#[test]
fn damaged_parquet_is_refused() {
    let whole = fs::read(fixture("flan/data/train-00000-of-00002-0123456789abcdef.parquet")).unwrap();
    refused("a.parquet", &whole[..whole.len() - 100], &["truncated"]);
    refused("a.parquet", b"PAR1", &["truncated"]);
    refused(
        "a.parquet",
        [&whole[..whole.len() - 8], &[0xff, 0xff, 0xff, 0x7f], b"PAR1"].concat(),
        &["truncated"],
    );
    // A byte of a row group.
    let mut broken = whole.clone();
    broken[4..400].iter_mut().for_each(|byte| *byte ^= 0x5a);
    refused("a.parquet", broken, &["row group 1 (rows 1 to 50)"]);
}

/// Every damage is an error, or goes unnoticed, but never ends the program.
#[test]
fn no_damage_ends_the_program() {
    let files = [
        "flan/data/train-00000-of-00002-0123456789abcdef.parquet",
        "flan/data/train-00001-of-00002-fedcba9876543210.parquet",
        "types/pandas.parquet",
        "ipc/file.arrow",
        "saved_one/data-00000-of-00001.arrow",
        "json/lines.jsonl.zst",
        "json/lines.jsonl.gz",
        "json/squad.jsonl",
        "csv/qa.csv",
    ];
    let mut state = 42u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let desk = Desk::new();
    for name in files {
        let whole = fs::read(fixture(name)).unwrap();
        let file = desk.write(name.rsplit('/').next().unwrap(), &whole);
        let mut spec = desk.spec(&file);
        spec.dry_run = true;
        run(&spec).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            if random() % 8 == 0 {
                bytes.truncate(random() % bytes.len());
            }
            fs::write(&file, &bytes).unwrap();
            if let Err(error) = run(&spec) {
                let error = error.to_string();
                assert!(
                    error.lines().count() == 1 && error.contains(file.file_name().unwrap().to_str().unwrap()),
                    "{error}"
                );
            }
        }
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn sources_that_are_none_are_refused() {
    let desk = Desk::new();
    let absent = desk.0.path().join("source/absent");
    assert!(problem(&desk, &desk.spec(&absent)).contains("does not exist"));
    refused("a.txt", "text", &["of no kind that is read", "parquet"]);
    refused("a.zip", b"PK\x03\x04xxxx", &["zip"]);
    let desk = Desk::new();
    desk.write("notes.txt", "text");
    assert!(problem(&desk, &desk.spec(desk.source())).contains("no files of rows"));
    let desk = Desk::new();
    let mut spec = desk.spec(desk.write("a.jsonl", GOOD).parent().unwrap());
    // Nor below it, where the next import would read it, however the path is written.
    for below in ["", "tasks", "new/../tasks", "../source/a/b"] {
        spec.out = spec.source.join(below);
        assert!(run(&spec).unwrap_err().to_string().contains("in the source itself"), "{below}");
    }
    assert_eq!(fs::read_dir(&spec.source).unwrap().count(), 1);
    spec.out = spec.source.join("new/../../tasks");
    assert_eq!(run(&spec).unwrap().kept, 1);
}

#[test]
fn whole_numbers_keep_their_digits_or_are_refused() {
    let row = |answer: &str| format!("{{\"question\":\"q\",\"answer\":{answer}}}");
    let (good, vast) = (row("7"), row("12345678901234567890123456780"));
    refused(
        "a.jsonl",
        format!("{good}\n{vast}\n"),
        &["line 2", "\"answer\" has a whole number of more digits"],
    );
    refused("a.json", format!("[{good},\n{vast}]"), &["example 2 of the array", "write it as a text"]);
    refused("a.jsonl", row("[12345678901234567890123]"), &["line 1", "more digits than are kept"]);
    let desk = Desk::new();
    // What loses nothing is taken, as is what nobody reads.
    let kept = row("18446744073709551615")
        + "\n"
        + &row("1e30")
        + "\n"
        + &row("9007199254740993")
        + "\n{\"question\":\"12345678901234567890123\",\"answer\":4,\"other\":12345678901234567890123}\n";
    assert_eq!(run(&desk.spec(desk.write("a.jsonl", kept))).unwrap().kept, 4);
    let lines = desk.all("a/a");
    let found = super::texts(&lines, "output");
    assert!(
        ["18446744073709551615", "1e+30", "9007199254740993"].iter().all(|text| found.contains(text)),
        "{found:?}"
    );
}

#[test]
fn columns_are_of_one_kind_in_all_files_of_a_task() {
    let rows = |label: &dyn Fn(usize) -> String, from: usize| -> String {
        (from..from + 20).map(|i| format!("{{\"text\":\"t{i}\",\"label\":{}}}\n", label(i % 2))).collect()
    };
    let number = |i: usize| i.to_string();
    let text = |i: usize| format!("\"{}\"", ["neg", "pos"][i]);
    let desk = Desk::new();
    desk.write("train.jsonl", rows(&number, 0));
    desk.write("test.jsonl", rows(&text, 20));
    let error = problem(&desk, &desk.spec(desk.source()));
    assert!(error.contains("train.jsonl: line 1: \"label\" is a number, but a text in "), "{error}");
    assert!(error.contains("test.jsonl, line 1: write all of them alike"), "{error}");
    // Other tasks, and files that have no types, are others.
    let desk = Desk::new();
    desk.write("a/train.jsonl", rows(&number, 0));
    desk.write("b/train.jsonl", rows(&text, 0));
    desk.write("a/test.csv", "text,label\nx,0\ny,1\n");
    assert_eq!(run(&desk.spec(desk.source())).unwrap().tasks.len(), 2);
}

#[test]
fn a_rule_that_needs_a_column_says_that_there_is_none() {
    let desk = Desk::new();
    let mut spec = desk.spec(desk.write("train.jsonl", GOOD));
    spec.split_rule = "column".parse().unwrap();
    let error = problem(&desk, &spec);
    assert!(error.contains("has no column \"split\"") && error.contains("--split-column"), "{error}");
    spec.split_column = Some("question".into());
    assert!(problem(&desk, &spec).contains("the split \"q\" is none of"));
    spec.split_rule = "seeded".parse().unwrap();
    assert!(problem(&desk, &spec).contains("--split-rule seeded takes no splits from a column"));
}

#[test]
fn what_a_file_is_instead_is_said() {
    refused("a.parquet", "question,answer\na,b\n", &["does not begin as a Parquet file does"]);
    refused("a.parquet", "", &["is empty"]);
    let packed = fs::read(fixture("json/lines.jsonl.gz")).unwrap();
    refused("a.jsonl.gz", [&packed[..], b"junk"].concat(), &["or has something else behind it"]);
    let splits = format!("{{\"train\":[{0}],\"test\":[{0}]}}", GOOD.trim());
    refused("a.json", splits, &["has no list of rows", "a file for each split"]);
    let long = format!("{{\"question\":\"{}\",\"answer\":\"a\"}}\n", "x".repeat(17 << 20));
    let desk = Desk::new();
    let error = problem(&desk, &desk.spec(desk.write("a.jsonl", long)));
    assert!(error.contains("longer than 16 MiB") && !error.contains("array:"), "{error}");
    let turn = |role: &str| {
        format!(
            "{{\"messages\":[{{\"role\":\"{role}\",\"content\":\"a\"}},{{\"role\":\"user\",\"content\":\"b\"}},{{\"role\":\"assistant\",\"content\":\"c\"}}]}}\n"
        )
    };
    refused("a.jsonl", turn("narrator"), &["\"narrator\": known are system, developer, user", "observation"]);
    let desk = Desk::new();
    run(&desk.spec(desk.write("a.jsonl", turn("developer")))).unwrap();
    assert_eq!(desk.all("a/a")[0]["instruction"], "a\n\nb");
    refused(
        "a.jsonl",
        "{\"question\":\"q\",\"options\":{\"A\":\"x\",\"B\":\"y\"},\"answer\":\"A\"}\n",
        &["an object with A, B", "--fields choices=COLUMN.A+COLUMN.B"],
    );
}
