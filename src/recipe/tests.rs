use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

use super::graph::{Clustered, Graph, Making, Node};
use super::{BUILT_IN, LaidOut, Recipe, SECTIONS, Standing, Tasks, numbers, parse};
use crate::Cancel;
use crate::eval::EvalSpec;
use crate::train::{ClustersSpec, ManySpec, TrainSpec};

/// Tasks of these names below `place`; those with a star are held out.
fn tasks(place: &Path, names: &[&str]) -> PathBuf {
    let folder = place.join("tasks");
    for name in names {
        let (id, held_out) = (name.trim_end_matches('*'), name.ends_with('*'));
        let task = folder.join(id);
        std::fs::create_dir_all(&task).unwrap();
        let line = |i: usize| format!("{{\"instruction\":\"{id}\",\"input\":\"{i}\",\"output\":\"{i}\"}}\n");
        for (file, count) in [("train", 10), ("validation", 2), ("test", 4)] {
            std::fs::write(task.join(format!("{file}.jsonl")), (0..count).map(line).collect::<String>())
                .unwrap();
        }
        std::fs::write(task.join("task.toml"), format!("id = \"{id}\"\nheld_out = {held_out}\n")).unwrap();
    }
    folder
}

const RECIPE: &str = "name = \"Three\"\n[tasks]\ntrain = [\"tasks\"]\n[training]\nmax_steps = 5\nbatch = 2\n\
    [clusters]\nk = [2]\nseeds = \"1..2\"\n[evaluation]\nmethods = [\"base\", \"arrow:k=1\", \"joint/arrow\"]\n";

fn read(text: &str, place: &Path) -> Recipe {
    parse(text, &place.join("r.toml"), place).unwrap()
}

fn error(text: &str, place: &Path) -> String {
    let found = parse(text, &place.join("r.toml"), place).and_then(|recipe| {
        let tasks = Tasks::read(&recipe, &Cancel::new())?;
        Graph::of(&recipe, &tasks, &place.join("out"))
    });
    found.unwrap_err().to_string()
}

#[test]
fn what_a_changed_folder_was_made_of_is_said() {
    let place = tempfile::tempdir().unwrap();
    tasks(place.path(), &["a", "b", "c", "d*"]);
    let root = place.path().join("out");
    // Libraries without the folder that says what they are.
    std::fs::create_dir_all(root.join("private")).unwrap();
    std::fs::write(root.join("private/library.toml"), "").unwrap();
    let recipe = read(RECIPE, place.path());
    let found = Tasks::read(&recipe, &Cancel::new()).unwrap();
    let error = LaidOut::look(recipe, found, &root).unwrap_err().to_string();
    assert!(error.contains("its .lora-tui was removed"), "{error}");
}

#[test]
fn the_base_model_of_a_recipe_is_the_same_from_everywhere() {
    let place = tempfile::tempdir().unwrap();
    let folder = tasks(place.path(), &["a", "b", "c"]);
    let text = RECIPE.replace("[\"tasks\"]", &format!("[{:?}]", folder.display().to_string()));
    let text = format!("{text}[base]\npath = \"models/base.gguf\"\n");
    // As one that is named by a relative path: its paths are relative, too.
    let recipe = parse(&text, Path::new("recipes/r.toml"), Path::new("recipes")).unwrap();
    let found = Tasks::read(&recipe, &Cancel::new()).unwrap();
    let laid = LaidOut::look(recipe, found, &place.path().join("out")).unwrap();
    let base = laid.base().unwrap().unwrap().path.unwrap();
    assert_eq!(base, std::path::absolute("recipes/models/base.gguf").unwrap());
    // And the forecast looks for it there.
    let error = super::forecast(&laid, None).unwrap_err().to_string();
    let wanted = format!("there is no such base model: {}", base.display());
    assert!(error.starts_with("recipes/r.toml: line ") && error.ends_with(&wanted), "{error}");
    // So does whoever is about to start the first job.
    assert_eq!(super::check_base(&laid).unwrap_err().to_string(), error);
}

#[test]
fn what_follows_from_a_file_is_known_by_its_content() {
    let place = tempfile::tempdir().unwrap();
    tasks(place.path(), &["a", "b", "c"]);
    let prompts = place.path().join("prompts.jsonl");
    let digests = || {
        let recipe = read(&format!("{RECIPE}prompts = \"prompts.jsonl\"\n"), place.path());
        let tasks = Tasks::read(&recipe, &Cancel::new()).unwrap();
        let graph = Graph::of(&recipe, &tasks, &place.path().join("out")).unwrap();
        let of = |name: &str| graph.nodes.iter().find(|node| node.name == name).unwrap().digest.clone();
        [of("private"), of("eval-private")]
    };
    std::fs::write(&prompts, "{\"prompt\":\"one\"}\n").unwrap();
    let before = digests();
    std::fs::write(&prompts, "{\"prompt\":\"two\"}\n").unwrap();
    let after = digests();
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
}

#[test]
fn a_library_that_was_there_before_has_to_be_of_the_tasks_of_the_recipe() {
    let place = tempfile::tempdir().unwrap();
    tasks(place.path(), &["a", "b", "c"]);
    let library = place.path().join("library");
    for (expert, task) in [("first", "a"), ("second", "b")] {
        let folder = library.join(expert);
        std::fs::create_dir_all(&folder).unwrap();
        let shape = |name: &str, rows: usize, columns: usize| {
            let values = Tensor::zeros((rows, columns), DType::F32, &Device::Cpu).unwrap();
            (format!("base_model.model.model.layers.0.self_attn.q_proj.{name}.weight"), values)
        };
        let tensors = HashMap::from([shape("lora_A", 1, 4), shape("lora_B", 4, 1)]);
        candle_core::safetensors::save(&tensors, folder.join("adapter_model.safetensors")).unwrap();
        let config = "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1,\"target_modules\":[\"q_proj\"]}";
        std::fs::write(folder.join("adapter_config.json"), config).unwrap();
        std::fs::write(folder.join("expert.toml"), format!("task = {task:?}\n")).unwrap();
    }
    let text =
        |tasks: &str| format!("{}[private]\nlibrary = \"library\"\n", RECIPE.replace("\"tasks\"", tasks));
    let refused = |tasks: &str| error(&text(tasks), place.path());
    assert!(refused("\"tasks\"").contains("has no expert of c: name the tasks"), "{}", refused("\"tasks\""));
    let less = refused("\"tasks/a\"");
    assert!(less.contains("no data for second"), "{less}");
    let digest = || {
        let recipe = read(&text("\"tasks/a\", \"tasks/b\""), place.path());
        let tasks = Tasks::read(&recipe, &Cancel::new()).unwrap();
        Graph::of(&recipe, &tasks, &place.path().join("out")).unwrap().nodes[0].digest.clone()
    };
    // What it says for all of its experts is part of what follows from it.
    let before = digest();
    std::fs::write(
        library.join("library.toml"),
        "[template]\nprompt = \"{instruction} {input}?\"\nend = \"\"\n",
    )
    .unwrap();
    assert_ne!(before, digest());
}

#[test]
fn a_recipe_becomes_libraries_and_jobs_that_wait_for_each_other() {
    let place = tempfile::tempdir().unwrap();
    tasks(place.path(), &["a", "b", "c", "d*"]);
    let recipe = read(RECIPE, place.path());
    let tasks = Tasks::read(&recipe, &Cancel::new()).unwrap();
    assert_eq!((tasks.train.len(), tasks.held_out.len()), (3, 1));
    let root = place.path().join("out");
    let graph = Graph::of(&recipe, &tasks, &root).unwrap();
    let libraries: Vec<&str> = graph.libraries.iter().map(|library| library.name.as_str()).collect();
    assert_eq!(
        libraries,
        ["private", "joint", "joint-s2", "mbc-k2-s1", "random-k2-s1", "mbc-k2-s2", "random-k2-s2"]
    );
    let nodes: Vec<(&str, Vec<usize>)> =
        graph.nodes.iter().map(|node| (node.name.as_str(), node.after.clone())).collect();
    let first = [("private", vec![]), ("joint", vec![]), ("joint-s2", vec![]), ("mbc-k2-s1", vec![0])];
    assert_eq!(nodes[..4], first);
    assert_eq!(
        nodes[7..11],
        [
            ("eval-private", vec![0]),
            ("eval-joint", vec![1]),
            ("eval-joint-s2", vec![2]),
            ("eval-mbc-k2-s1", vec![3])
        ]
    );
    assert_eq!(nodes[14], ("evaluation", vec![0, 7, 8, 9, 10, 11, 12, 13]));
    // All train on as many examples.
    let trained: Vec<usize> = graph.nodes.iter().map(|node| node.trained).filter(|n| *n > 0).collect();
    assert_eq!(trained, [30; 7]);
    // And are validated on the same items of each task.
    let items = |node: &Node| match &node.job {
        job if job.get::<TrainSpec>().is_some() => job.get::<TrainSpec>().unwrap().validation_items,
        job if job.get::<ManySpec>().is_some() => job.get::<ManySpec>().unwrap().training.validation_items,
        job => job.get::<ClustersSpec>().unwrap().training.validation_items,
    };
    assert!(graph.nodes[..7].iter().all(|node| items(node) == Some(20)));
    let private = graph.nodes[0].job.get::<ManySpec>().unwrap();
    assert_eq!((private.tasks.len(), private.training.max_steps), (3, Some(5)));
    assert_eq!(graph.nodes[1].job.get::<TrainSpec>().unwrap().max_steps, Some(15));
    let random = graph.nodes[6].job.get::<ClustersSpec>().unwrap();
    assert_eq!((random.random, random.training.seed, random.per_task), (Some(2), 2, true));
    assert_eq!(graph.libraries[6].making, Making::Random(Clustered { k: 2, share: 0, seed: 2 }));
    let all = graph.nodes[14].job.get::<EvalSpec>().unwrap();
    let expected =
        ["base", "arrow:k=1", "joint/uniform", "joint/arrow", "joint-s2/uniform", "mbc-k2-s1/arrow:k=1"];
    assert_eq!(all.methods[..6], expected);
    assert_eq!((all.tasks.len(), graph.nodes[7].answers), (4, 2 * 16));
}

#[test]
fn experts_of_clusters_begin_with_what_one_has_learned_of_all_tasks() {
    let place = tempfile::tempdir().unwrap();
    tasks(place.path(), &["a", "b", "c", "d*"]);
    let root = place.path().join("out");
    let graph = |training: &str, shares: &str| {
        let text = RECIPE.replace("max_steps = 5", training);
        let text = text.replace("seeds = \"1..2\"", &format!("seeds = \"1..2\"\njoint_shares = {shares}"));
        let recipe = read(&text, place.path());
        let tasks = Tasks::read(&recipe, &Cancel::new()).unwrap();
        Graph::of(&recipe, &tasks, &root).unwrap()
    };
    let all = graph("max_steps = 5", "[0, 40]");
    let names: Vec<&str> = all.libraries.iter().map(|library| library.name.as_str()).collect();
    let begun = [
        "start-j40-s1",
        "mbc-k2-j40-s1",
        "random-k2-j40-s1",
        "start-j40-s2",
        "mbc-k2-j40-s2",
        "random-k2-j40-s2",
    ];
    assert_eq!(names[7..], begun);
    let node = |name: &str| all.nodes.iter().position(|node| node.name == name).unwrap();
    let (start, clusters) = (node("start-j40-s2"), node("mbc-k2-j40-s2"));
    assert_eq!(all.nodes[clusters].after, [0, start]);
    let first = all.nodes[start].job.get::<TrainSpec>().unwrap();
    let rest = &all.nodes[clusters].job.get::<ClustersSpec>().unwrap().training;
    assert_eq!((first.max_steps, first.seed), (Some(3 * 2), 2));
    assert_eq!(
        (rest.max_steps, rest.seed, rest.init.clone()),
        (Some(3), 2, Some(root.join("start-j40-s2/start-j40-s2")))
    );
    // Together as many examples as the other libraries.
    assert_eq!((all.nodes[start].trained, all.nodes[clusters].trained), (12, 18));
    // What is asked of the others is asked of these, and its one method of a start.
    let asked = all.nodes[all.evaluation.unwrap()].job.get::<EvalSpec>().unwrap();
    assert!(asked.methods.contains(&"start-j40-s1/uniform".to_string()));
    assert!(asked.methods.contains(&"mbc-k2-j40-s1/arrow:k=1".to_string()));
    // Adding them leaves what was there before as it is.
    let before = graph("max_steps = 5", "[0]");
    let same =
        |node: &&Node| all.nodes.iter().any(|other| other.name == node.name && other.digest == node.digest);
    assert!(before.nodes[..7].iter().all(|node| same(&node)));
    // The training's own seed is one of as many.
    let seeds = |training: &str, seeds: &str| {
        let text = RECIPE.replace("max_steps = 5", training).replace("\"1..2\"", seeds);
        let recipe = read(&text, place.path());
        let tasks = Tasks::read(&recipe, &Cancel::new()).unwrap();
        let all = Graph::of(&recipe, &tasks, &root).unwrap().libraries;
        let joint = all.into_iter().filter(|library| library.making.stem() == "joint");
        joint.map(|library| (library.name, library.making.seed().unwrap())).collect::<Vec<_>>()
    };
    let named = |all: [(&str, u64); 3]| all.map(|(name, seed)| (name.to_string(), seed)).to_vec();
    assert_eq!(
        seeds("max_steps = 5", "[41, 42, 43]"),
        named([("joint", 42), ("joint-s41", 41), ("joint-s43", 43)])
    );
    assert_eq!(seeds("seed = 3", "[3, 4, 5]"), named([("joint", 3), ("joint-s4", 4), ("joint-s5", 5)]));
    assert_eq!(seeds("seed = 9", "[3, 4, 5]"), named([("joint", 9), ("joint-s4", 4), ("joint-s5", 5)]));
    // Passes over the data are divided, too.
    let epochs = graph("epochs = 2", "[25]");
    let of = |name: &str| epochs.nodes.iter().find(|node| node.name == name).unwrap();
    assert_eq!(of("start-j25-s1").job.get::<TrainSpec>().unwrap().epochs, Some(0.5));
    let rest = of("mbc-k2-j25-s1").job.get::<ClustersSpec>().unwrap().training.epochs;
    assert_eq!(rest, Some(1.5));
}

#[test]
fn digests_follow_what_decides_and_not_where_it_lies() {
    let digests = |text: &str, names: &[&str]| {
        let place = tempfile::tempdir().unwrap();
        tasks(place.path(), names);
        let recipe = read(text, place.path());
        let tasks = Tasks::read(&recipe, &Cancel::new()).unwrap();
        let graph = Graph::of(&recipe, &tasks, &place.path().join("out")).unwrap();
        graph.nodes.into_iter().map(|node| (node.name, node.digest)).collect::<Vec<_>>()
    };
    let names = ["a", "b", "c", "d*"];
    let before = digests(RECIPE, &names);
    assert_eq!(before, digests(RECIPE, &names));
    let same = |text: &str, names: &[&str]| {
        let after = digests(text, names);
        before.iter().map(|node| u8::from(after.contains(node))).collect::<Vec<_>>()
    };
    // Another method: libraries stay.
    assert_eq!(same(&RECIPE.replace("k=1", "k=2"), &names), [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0]);
    // Another rate, or other tasks: nothing does.
    assert_eq!(same(&RECIPE.replace("batch = 2", "batch = 3"), &names), [0; 15]);
    assert_eq!(same(RECIPE, &["a", "b", "e", "d*"]), [0; 15]);
    // Another held-out task: what is trained stays.
    assert_eq!(same(RECIPE, &["a", "b", "c", "e*"]), [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn what_is_wrong_is_one_line_with_its_place() {
    let place = tempfile::tempdir().unwrap();
    tasks(place.path(), &["a", "b", "c", "d*"]);
    std::fs::create_dir_all(place.path().join("other/x")).unwrap();
    let line = "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\"}\n";
    std::fs::write(place.path().join("other/x/test.jsonl"), line).unwrap();
    std::fs::write(place.path().join("other/x/task.toml"), "id = \"b\"\n").unwrap();
    for (from, to, said) in [
        ("k = [2]", "k = [9]", "r.toml: line 8: k = 9 is more than there are experts: 3 tasks"),
        ("k = [2]", "k = [0]", "r.toml: line 8: [clusters] k must be whole numbers from 1"),
        ("k = [2]", "k = \"4..2\"", "line 8: [clusters] k must be whole numbers"),
        (
            "k = [2]",
            "k = [2]\njoint_shares = [100]",
            "line 9: [clusters] joint_shares must be whole numbers of percent",
        ),
        (
            "max_steps = 5\nbatch = 2\n[clusters]",
            "max_steps = 3\nbatch = 2\n[clusters]\njoint_shares = [90]",
            "line 8: 90 % of 3 steps leaves no step to one of both",
        ),
        ("batch = 2", "init = \"x\"", "line 6: there is no setting [training] init"),
        ("batch = 2", "batch = 0", "line 6: [training] batch must be a whole number from 1 to 65536, not 0"),
        ("batch = 2", "bach = 2", "line 6: there is no setting [training] bach; did you mean batch?"),
        ("batch = 2", "by_length = true\nshuffle = false", "line 4: batches by length"),
        ("[training]", "[trainig]", "line 4: there is no section [trainig]; did you mean [training]?"),
        ("[\"tasks\"]", "[\"task\"]", "task: does not exist: give a folder of task folders"),
        ("[\"tasks\"]", "3", "line 3: [tasks] train must be a path, or a list of paths"),
        ("[\"tasks\"]", "[\"other\"]", "line 3: there is no task to train on"),
        ("[\"tasks\"]", "[\"tasks\"]\nheld_out = \"other\"", "two tasks are called b: "),
        ("[\"tasks\"]", "[\"tasks\"]\nheld_out = \"tasks\"", "is to be trained on and held out"),
        ("arrow:k=1", "arow", "line 11: there is no method \"arow\"; did you mean arrow?"),
        ("seeds = ", "prompts = \"nope.jsonl\"\nseeds = ", "line 9: there is no setting [clusters] prompts"),
        ("[\"base\"", "[\"base\"]\nprompts = \"nope.jsonl\"\n#", "r.toml: line 12: "),
        ("[\"base\"", "[\"base\"]\nprompts = \"nope.jsonl\"\n#", "nope.jsonl: No such file"),
        (
            "[\"base\"",
            "[\"base\", \"expert\"]\nagainst = \"arrow\"\n#",
            "line 12: there is no method to compare with \"arrow\"",
        ),
        ("[\"base\"", "[\"base\"]\nmetric = \"choice\"\n#", "line 12: "),
        ("[\"base\"", "[\"base\"]\nmetric = \"choice\"\n#", "item 1 of the test split, by choice"),
        ("[\"base\"", "[\"base\"]\nnum_fewshot = 40\n#", "line 12: "),
        ("joint/arrow", "jiont/arrow", "line 11: there is no library \"jiont\"; did you mean joint?"),
        ("name = ", "executor = \"moon\"\nname = ", "line 1: executor must be local or slurm, not moon"),
        ("[tasks]", "[base]\nhub = \"x\"\n[tasks]", "r.toml: line 2: [base] hub must be owner/name"),
        ("name = \"Three\"", "name = ", "r.toml: line 1: "),
    ] {
        let error = error(&RECIPE.replace(from, to), place.path());
        assert!(error.contains(said) && !error.contains('\n'), "{to}: {error}");
    }
    let error = super::open(Path::new("labtop")).unwrap_err().to_string();
    assert!(error.contains("did you mean laptop?"), "{error}");
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    tasks(place.path(), &["a", "b", "c"]);
    let look = |root: &str| {
        let recipe = read(&RECIPE.replace(", \"joint/arrow\"", ""), place.path());
        let tasks = Tasks::read(&recipe, &Cancel::new()).unwrap();
        LaidOut::look(recipe, tasks, &place.path().join(root))
    };
    let laid = look("new").unwrap();
    assert!(laid.standing.iter().all(|standing| *standing == Standing::New));
    assert!(!place.path().join("new").exists());
    let error = look("tasks").unwrap_err().to_string();
    assert!(error.contains("is not empty, and no recipe has filled it"), "{error}");
    assert!(look("tasks/a/task.toml").unwrap_err().to_string().contains("is not a folder"));
}

#[test]
fn lists_of_numbers_have_ranges() {
    assert_eq!(numbers("2..4, 8,2").unwrap(), [2, 3, 4, 8]);
    assert_eq!((numbers("").unwrap(), numbers("7").unwrap()), (vec![], vec![7]));
    for bad in ["x", "4..2", "1..", "-1", "1..1000", "0..18446744073709551615"] {
        assert_eq!(numbers(bad), None, "{bad}");
    }
}

#[test]
fn recipes_that_come_along_can_be_read_and_settings_are_named_once() {
    for recipe in BUILT_IN {
        let read = super::open(Path::new(recipe.name)).unwrap();
        assert!(!read.evaluation.methods.is_empty() && !read.tasks.train.is_empty(), "{}", recipe.name);
    }
    for section in &SECTIONS {
        let mut names: Vec<&str> = section.entries().iter().map(|entry| entry.id()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{}", section.name);
        assert!(section.entries().iter().all(|entry| entry.option().is_some()), "{}", section.name);
    }
}
