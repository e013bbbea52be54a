use super::answer::answer;
use super::candidate::{Answer, Paths};
use super::*;

fn complete(line: &str) -> (Vec<String>, Paths) {
    let words = line::split(&format!("lora-tui {line}"));
    let Answer { candidates, paths } = answer(&offered(), &words.before, &words.last.text);
    (candidates.into_iter().map(|candidate| candidate.text).collect(), paths)
}

fn texts(line: &str) -> Vec<String> {
    complete(line).0
}

#[test]
fn commands_options_and_values_complete() {
    assert_eq!(texts("sim"), ["similarity"]);
    assert_eq!(texts("similarity ./lib --me"), ["--metric"]);
    assert_eq!(texts("similarity --me"), ["--metric"]);
    assert_eq!(texts("similarity ./lib --metric "), ["mbc", "flat", "centred", "delta"]);
    assert_eq!(texts("similarity ./lib --metric=f"), ["--metric=flat"]);
    assert_eq!(texts("similarity --metric flat ./lib --sp"), ["--sparsity"]);
    assert_eq!(texts("jobs ./lib re"), ["resume", "release"]);
    assert_eq!(texts("jobs ./lib log --fol"), ["--follow"]);
    assert_eq!(texts("--theme "), ["auto", "dark", "light"]);
    assert_eq!(texts("completions z"), ["zsh"]);
    assert_eq!(texts("cluster ./lib --k "), ["auto"]);
    assert!(texts("eval ./lib --methods maj").contains(&"majority".to_string()));
    assert_eq!(texts("route ./lib --router arr"), ["arrow"]);
}

#[test]
fn what_is_hidden_or_has_no_place_is_not_offered() {
    assert_eq!(texts("wor"), Vec::<String>::new());
    assert!(!texts("").contains(&"worker".to_string()));
    assert!(!texts("completions bash --").iter().any(|option| option == "--line"));
    // The library of a workbench, not a command.
    assert_eq!(texts("./lib sim"), Vec::<String>::new());
    assert_eq!(texts("ls ./lib -- --js"), Vec::<String>::new());
    assert_eq!(texts("ls ./lib --nothing="), Vec::<String>::new());
    // The library comes first.
    assert_eq!(texts("jobs re"), Vec::<String>::new());
}

#[test]
fn paths_are_left_to_the_shell() {
    let paths = |line| complete(line).1;
    assert_eq!(paths("./li"), Paths::Folders);
    assert_eq!(paths("ls "), Paths::Folders);
    assert_eq!(paths("train lib --data "), Paths::Files);
    assert_eq!(paths("similarity lib --png "), Paths::Files);
    assert_eq!(paths("similarity lib --metric "), Paths::None);
}

#[test]
fn experts_of_the_library_complete() {
    let root = tempfile::tempdir().unwrap();
    for name in ["iso_date", "iso_week", "two words", "a,b"] {
        let folder = root.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        // A bad expert has a name, too.
        std::fs::write(folder.join("adapter_config.json"), "{}").unwrap();
    }
    let library = root.path().display().to_string();
    let named = |line: &str| texts(&line.replace("LIB", &library));
    assert_eq!(named("show LIB iso"), ["iso_date", "iso_week"]);
    assert_eq!(named("pair LIB iso_date iso_w"), ["iso_week"]);
    assert_eq!(named("pair LIB iso_date iso_week "), Vec::<String>::new());
    assert_eq!(named("route LIB --mute 'two w"), ["two words"]);
    // Several words of one option, and several names in one word.
    assert_eq!(named("route LIB --mute iso_date iso_w"), ["iso_week"]);
    assert_eq!(named("merge LIB --experts iso_date,iso_"), ["iso_date,iso_week"]);
    assert_eq!(named("merge LIB --experts a,"), ["a,b"]);
    assert_eq!(named("route LIB --router single:iso_w"), ["single:iso_week"]);
    assert_eq!(named("show /nowhere "), Vec::<String>::new());
}
