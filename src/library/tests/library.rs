//! Libraries as directories.

use std::fs;

use serde_json::json;

use super::{Q0, config, expert, good, header_of, names, one, pair, safetensors};
use crate::analysis::{ComparisonCache, PrototypeCache};
use crate::library::{BaseShape, Library, Manifest, Status};

#[test]
fn experts_lie_at_most_three_folders_deep_and_not_below_each_other() {
    let root = tempfile::tempdir().unwrap();
    for name in ["b", "a/x", "a/y/z", "a/y/too/deep", "b/checkpoint-10", ".hidden/h", "a/.cache/h"] {
        good(root.path(), name);
    }
    fs::create_dir(root.path().join("empty")).unwrap();
    fs::write(root.path().join("notes.txt"), "x").unwrap();
    let library = Library::open(root.path()).unwrap();
    assert_eq!(names(&library), ["a/x", "a/y/z", "b"]);
}

#[test]
fn names_are_sorted_by_bytes() {
    let root = tempfile::tempdir().unwrap();
    for name in ["b", "a-b", "a/c", "B", "é"] {
        good(root.path(), name);
    }
    assert_eq!(names(&Library::open(root.path()).unwrap()), ["B", "a-b", "a/c", "b", "é"]);
}

#[test]
fn an_adapter_is_a_library_of_one() {
    let root = tempfile::tempdir().unwrap();
    let folder = good(root.path(), "only");
    good(&folder, "checkpoint-20");
    good(&folder, "elsewhere/deeper");
    assert_eq!(names(&Library::open(&folder).unwrap()), ["only"]);
}

/// `save_pretrained` of a model with several adapters writes the default one at the top, and the others below it.
#[test]
fn adapters_lie_below_the_default_one() {
    let root = tempfile::tempdir().unwrap();
    let folder = good(root.path(), "model");
    good(&folder, "german");
    good(&folder, "french");
    good(root.path(), "other/one");
    assert_eq!(
        names(&Library::open(root.path()).unwrap()),
        ["model", "model/french", "model/german", "other/one"]
    );
    assert_eq!(names(&Library::open(&folder).unwrap()), ["french", "german", "model"]);
    let before = Library::fingerprint(root.path());
    fs::write(folder.join("german/adapter_config.json"), "{}").unwrap();
    assert!(Library::fingerprint(root.path()) != before);
}

#[cfg(unix)]
#[test]
fn what_is_no_expert_is_left_out_with_a_word() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    good(root.path(), "fine");
    for name in ["folder", "folder/inside"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    for pipe in ["folder/pipe.gguf", "queue"] {
        let status = std::process::Command::new("mkfifo").arg(at(pipe)).status().unwrap();
        assert!(status.success());
    }
    let _socket = std::os::unix::net::UnixListener::bind(at("s")).unwrap();
    symlink("/nowhere", at("gone")).unwrap();
    symlink(root.path(), at("folder/up")).unwrap();
    fs::write(at("folder/adapters.npz"), b"PK\x03\x04....model.layers.0.self_attn.q_proj.lora_a.npy")
        .unwrap();
    let kohya = safetensors(&[("lora_unet_down_blocks_0.lora_down.weight".into(), vec![2, 3])]);
    fs::write(at("folder/inside/style.safetensors"), kohya).unwrap();
    fs::write(at("folder/bare.safetensors"), safetensors(&pair(Q0))).unwrap();
    fs::write(at("folder/model.safetensors"), safetensors(&[("model.norm.weight".into(), vec![3])])).unwrap();
    let library = Library::open(root.path()).unwrap();
    assert_eq!(names(&library), ["fine"]);
    assert_eq!(
        library.warnings,
        [
            "left out: folder/adapters.npz (LoRA of MLX as .npz: save it as adapters.safetensors with its \
             adapter_config.json)",
            "left out: folder/inside/style.safetensors (LoRA of an image model, as kohya's scripts write it)",
            "left out: folder/bare.safetensors (LoRA without an adapter_config.json beside it)",
            "left out: gone (a link that leads nowhere)",
            "left out: folder/up (a link to a folder above it)",
            "left out: queue, folder/pipe.gguf (a pipe)",
            "left out: s (a socket)",
        ]
    );
}

/// macOS has no names that are not UTF-8.
#[cfg(target_os = "linux")]
#[test]
fn names_that_differ_in_invalid_bytes_stay_different() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    for bytes in [&b"a\xff"[..], b"a\xfe", b"a"] {
        good(root.path(), "new");
        let name = std::ffi::OsStr::from_bytes(bytes);
        fs::rename(root.path().join("new"), root.path().join(name)).unwrap();
    }
    let library = Library::open(root.path()).unwrap();
    assert_eq!(names(&library), ["a", r"a\xfe", r"a\xff"]);
    assert!(library.expert(r"a\xff").unwrap().load().is_ok());
}

#[test]
fn one_bad_expert_is_one_row() {
    let root = tempfile::tempdir().unwrap();
    good(root.path(), "a");
    expert(root.path(), "b", "{", b"");
    let library = Library::open(root.path()).unwrap();
    assert_eq!(names(&library), ["a", "b"]);
    assert_eq!(library.usable().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(library.expert("b").unwrap().status(), Status::Bad);
}

#[test]
fn what_is_no_library_is_one_clear_line() {
    let root = tempfile::tempdir().unwrap();
    let absent = Library::open(&root.path().join("none")).unwrap_err().to_string();
    assert!(absent.contains("no such folder"), "{absent}");
    let file = root.path().join("file");
    fs::write(&file, "x").unwrap();
    let file = Library::open(&file).unwrap_err().to_string();
    assert!(file.contains("not a folder"), "{file}");
    assert!(Library::open(root.path()).unwrap().experts.is_empty());
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_never_in_circles() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    good(elsewhere.path(), "far");
    good(root.path(), "near");
    fs::create_dir(root.path().join("sub")).unwrap();
    symlink(elsewhere.path().join("far"), root.path().join("far")).unwrap();
    symlink(root.path(), root.path().join("sub/up")).unwrap();
    symlink("self", root.path().join("self")).unwrap();
    symlink("/nowhere", root.path().join("dangling")).unwrap();
    assert_eq!(names(&Library::open(root.path()).unwrap()), ["far", "near"]);
}

#[test]
fn experts_of_another_base_are_pointed_out() {
    let root = tempfile::tempdir().unwrap();
    good(root.path(), "a");
    good(root.path(), "b");
    let mut wide = pair(Q0);
    wide[0].1 = vec![2, 7];
    expert(root.path(), "c", &config().to_string(), &safetensors(&wide));
    let library = Library::open(root.path()).unwrap();
    assert!(library.experts.iter().all(|expert| expert.status() == Status::Ok));
    assert_eq!(library.warnings.len(), 1);
    assert!(library.warnings[0].ends_with(": c"), "{}", library.warnings[0]);
    let misfits: Vec<bool> = library.experts.iter().map(|expert| expert.misfit().is_some()).collect();
    assert_eq!(misfits, [false, false, true]);
    // The others can still be compared.
    let cancel = crate::Cancel::new();
    let table =
        crate::analysis::prototypes(&library, &PrototypeCache::none(), &mut |_, _| {}, &cancel).unwrap();
    assert_eq!((table.experts.len(), table.skipped[0].name.as_str()), (2, "c"));
    let metric = crate::analysis::Metric::MBC;
    let similarity =
        crate::analysis::similarity(&library, metric, 0.5, &ComparisonCache::none(), &mut |_, _| {}, &cancel)
            .unwrap();
    assert_eq!((similarity.len(), similarity.skipped[0].name.as_str()), (2, "c"));
}

/// An expert with a layer of another size, made for `base`.
fn wide(root: &std::path::Path, name: &str, base: &str) {
    let mut config = config();
    config["base_model_name_or_path"] = base.into();
    let mut wide = pair(Q0);
    wide[0].1 = vec![2, 7];
    expert(root, name, &config.to_string(), &safetensors(&wide));
}

fn left_out(library: &Library) -> Vec<&str> {
    library.experts.iter().filter(|e| e.misfit().is_some()).map(|e| e.name.as_str()).collect()
}

#[test]
fn of_two_bases_with_equally_many_experts_the_first_is_taken_and_said() {
    let root = tempfile::tempdir().unwrap();
    good(root.path(), "a");
    wide(root.path(), "b", "wide/base");
    let library = Library::open(root.path()).unwrap();
    assert_eq!(left_out(&library), ["b"]);
    let reason = library.experts[1].misfit().unwrap();
    assert!(reason.contains("than some/base, that of a") && reason.contains("--base"), "{reason}");
    let warning = &library.warnings[0];
    assert!(warning.contains("taken is some/base, that of a; left out: b; --base"), "{warning}");
    // The analysis continues with what is left.
    let cancel = crate::Cancel::new();
    for metric in [crate::analysis::Metric::MBC, crate::analysis::Metric::DELTA] {
        let similarity = crate::analysis::similarity(
            &library,
            metric,
            0.5,
            &ComparisonCache::none(),
            &mut |_, _| {},
            &cancel,
        )
        .unwrap();
        assert_eq!((similarity.len(), similarity.skipped[0].name.as_str()), (1, "b"));
    }
    assert_eq!(
        crate::analysis::prototypes(&library, &PrototypeCache::none(), &mut |_, _| {}, &cancel)
            .unwrap()
            .experts,
        ["a"]
    );
}

#[test]
fn a_base_on_this_machine_decides_a_tie() {
    let root = tempfile::tempdir().unwrap();
    good(root.path(), "a");
    fs::create_dir(root.path().join("wide-base")).unwrap();
    fs::write(root.path().join("wide-base/config.json"), "{}").unwrap();
    fs::write(root.path().join("wide-base/model.safetensors"), "x").unwrap();
    wide(root.path(), "b", "../wide-base");
    assert_eq!(left_out(&Library::open(root.path()).unwrap()), ["a"]);
    // More experts count for more than a base that happens to be here.
    good(root.path(), "c");
    assert_eq!(left_out(&Library::open(root.path()).unwrap()), ["b"]);
}

#[test]
fn a_given_base_has_the_last_word() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        good(root.path(), name);
    }
    wide(root.path(), "c", "wide/base");
    let mut library = Library::open(root.path()).unwrap();
    let base = BaseShape { layers: [(Q0.to_string(), (7, 4))].into(), ..BaseShape::default() };
    library.keep_to(&base, "wide.gguf");
    assert_eq!(left_out(&library), ["a", "b"]);
    assert_eq!(library.warnings, ["made for another base model than wide.gguf: a, b"]);
    library.keep_to(&BaseShape::default(), "empty");
    assert_eq!(left_out(&library), ["a", "b", "c"]);
    assert!(library.experts[0].misfit().unwrap().contains("the base model has no module model.layers.0"));
}

#[test]
fn an_alpha_of_zero_leaves_nothing_to_route_to() {
    let mut config = config();
    config["lora_alpha"] = 0.into();
    let (_root, library) = one(&config.to_string(), &safetensors(&pair(Q0)));
    let expert = &library.experts[0];
    assert!(expert.is_usable(), "{:?}", expert.reason());
    let reason = expert.reason();
    assert_eq!(reason, Some("α is 0 at every module: what was trained there changes nothing"));
    let profile = crate::analysis::profile(expert).unwrap();
    let module = &profile.modules[0];
    assert_eq!((module.effective_rank, module.gap, module.norm), (0.0, 0.0, 0.0));
    assert_eq!(module.sigma, [0.0, 0.0]);
    let table =
        crate::analysis::prototypes(&library, &PrototypeCache::none(), &mut |_, _| {}, &crate::Cancel::new())
            .unwrap();
    assert_eq!((table.modules[0].rows.as_slice(), table.modules[0].gaps[0]), ([0.0; 3].as_slice(), None));
}

#[test]
fn an_unknown_expert_is_answered_with_near_names() {
    let root = tempfile::tempdir().unwrap();
    for name in ["plural", "past-tense", "metric"] {
        good(root.path(), name);
    }
    let library = Library::open(root.path()).unwrap();
    assert!(library.expert("plurla").unwrap_err().to_string().contains("did you mean plural?"));
    assert!(library.expert("tense").unwrap_err().to_string().contains("past-tense"));
    assert!(library.expert("zzz").unwrap_err().to_string().contains("lora-tui ls"));
    assert!(library.expert("plural/").is_ok());
}

#[test]
fn the_manifest_is_read_and_its_mistakes_are_named() {
    let root = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(root.path().join("library.toml"), text).unwrap();
    write("name = \"mine\"\n[base]\npath = \"base.gguf\"\n[router]\ntop_k = 5\n");
    let manifest = Manifest::read(root.path()).unwrap();
    assert_eq!((manifest.name.as_deref(), manifest.router.top_k), (Some("mine"), 5));
    assert_eq!(manifest.router.temperature, 1.0);
    let digest = "0".repeat(64);
    for (text, expected) in [
        ("nmae = \"x\"".to_string(), "nmae"),
        ("\n[base]\nfoo = 1".into(), "line 3"),
        ("[base]".into(), "one of path, hub or package"),
        ("[base]\nhub = \"a/b\"\nfile = \"x.gguf\"".into(), "sha256"),
        (format!("[base]\nhub = \"a/b\"\nsha256 = \"{digest}\""), "needs file"),
        (format!("[base]\nhub = \"a/../b\"\nfile = \"x\"\nsha256 = \"{digest}\""), "owner/name"),
        (format!("[base]\nhub = \"a/b\"\nfile = \"../x\"\nsha256 = \"{digest}\""), "plain path"),
        (
            format!("[base]\npackage = \"-r evil\"\npackage_file = \"x\"\nsha256 = \"{digest}\""),
            "NAME==VERSION",
        ),
        ("[base]\npath = \"x\"\nsha256 = \"12\"".into(), "64 hexadecimal"),
        ("[template]\nprompt = \"hello\"\nend = \"x\"".into(), "{instruction}"),
        ("[router]\ntemperature = 0.0".into(), "positive"),
        ("name = ".into(), "line 1"),
    ] {
        write(&text);
        let error = Library::open(root.path()).unwrap_err().to_string();
        assert!(error.contains("library.toml") && error.contains(expected), "{text}: {error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn the_fingerprint_follows_what_is_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let folder = good(root.path(), "a");
    let first = Library::fingerprint(root.path());
    assert_eq!(first, Library::fingerprint(root.path()));
    fs::write(folder.join("expert.toml"), "seed = 1").unwrap();
    let second = Library::fingerprint(root.path());
    good(root.path(), "sub/b");
    let third = Library::fingerprint(root.path());
    fs::write(root.path().join("library.toml"), "").unwrap();
    let fourth = Library::fingerprint(root.path());
    fs::remove_dir_all(&folder).unwrap();
    let fifth = Library::fingerprint(root.path());
    let all = [first, second, third, fourth, fifth];
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
}

#[test]
fn state_lives_in_the_library_and_stays_out_of_version_control() {
    let root = tempfile::tempdir().unwrap();
    let library = Library::open(root.path()).unwrap();
    let state = library.state_dir().unwrap();
    assert_eq!(state, root.path().join(".lora-tui"));
    assert_eq!(fs::read_to_string(state.join(".gitignore")).unwrap(), "*\n");
    assert!(library.is_writable());
}

/// Time is for benches; what takes it is asserted here: reading weights, or looking at files again and again.
#[cfg(target_os = "linux")]
#[test]
fn opening_thousands_of_experts_reads_each_header_once_and_no_weights() {
    const EXPERTS: usize = 1000;
    let root = tempfile::tempdir().unwrap();
    let modules: Vec<_> = (0..24)
        .flat_map(|layer| {
            let names = pair(&format!("model.layers.{layer}.self_attn.q_proj"));
            names.into_iter().map(|(name, shape)| (name, shape.iter().map(|size| 64 * size).collect()))
        })
        .collect();
    let (text, weights) = (config().to_string().replace("\"r\":2", "\"r\":128"), header_of(&modules));
    let size =
        modules.iter().map(|(_, shape): &(_, Vec<usize>)| 4 * shape.iter().product::<usize>()).sum::<usize>();
    for index in 0..EXPERTS {
        let folder = expert(root.path(), &format!("group{}/task{index:04}", index % 7), &text, &weights);
        let file = fs::File::options().write(true).open(folder.join("adapter_model.safetensors")).unwrap();
        // The values take no room on the disk: nobody reads them.
        file.set_len((weights.len() + size) as u64).unwrap();
    }
    let counts = crate::outside::counting::watch(root.path());
    let library = Library::open(root.path()).unwrap();
    assert_eq!(library.usable().count(), EXPERTS);
    assert_eq!(library.experts[0].modules.len(), 24);
    // Configuration and weights of each.
    assert!(counts.opened() <= 2 * EXPERTS + 1, "{} files", counts.opened());
    let needed = EXPERTS * (text.len() + weights.len());
    assert!(counts.bytes() <= needed, "{} bytes of {needed}", counts.bytes());
    assert!(size > 10 * weights.len(), "reading the values would show");
}

#[test]
fn names_that_a_terminal_would_obey_are_kept_and_escaped_in_errors() {
    let root = tempfile::tempdir().unwrap();
    let name = "evil\u{1b}[2J";
    expert(root.path(), name, &json!({"peft_type": "\u{1b}[31m"}).to_string(), b"");
    let library = Library::open(root.path()).unwrap();
    assert_eq!(library.experts[0].name, name);
    assert!(!library.experts[0].load().unwrap_err().to_string().contains('\u{1b}'));
    // As `ls` prints it, it is found again; a name that is spelt so comes first.
    assert_eq!(library.expert("evil\\u{1b}[2J").unwrap().name, name);
    expert(root.path(), "evil\\u{1b}[2J", "{}", b"");
    let library = Library::open(root.path()).unwrap();
    assert_eq!(library.expert("evil\\u{1b}[2J").unwrap().name, "evil\\u{1b}[2J");
}
