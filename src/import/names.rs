//! Names of tasks, and what names of files say about splits.

use super::splits::Split;

/// Longest name, in bytes.
const LONGEST: usize = 120;
/// Names that Windows keeps for devices.
const DEVICES: [&str; 8] = ["con", "prn", "aux", "nul", "com1", "com2", "lpt1", "lpt2"];

/// A name as mttl cleans it, and safe as a part of a path: `:`, `/`, `-`, `.` and whatever is no letter, digit or
/// underscore become `_`. A longer one than fits ends in a number made of all of it. Empty where nothing is left.
pub fn clean(name: &str) -> String {
    let replaced: String =
        name.trim().chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if replaced.chars().all(|c| c == '_') {
        return String::new();
    }
    let is_device = DEVICES.contains(&replaced.to_lowercase().as_str());
    if replaced.len() <= LONGEST {
        return if is_device { format!("{replaced}_") } else { replaced };
    }
    let digest = {
        let mut hash = super::record::Mixer::new(0);
        hash.text(name);
        hash.finish()
    };
    let mut end = LONGEST - 17;
    while !replaced.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{digest:016x}", &replaced[..end])
}

/// What the path of a file below its source says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its split, where a folder or the file is named after one.
    pub split: Option<Split>,
    /// What that is called, the whole name before the word in it.
    pub split_names: Vec<String>,
    /// All else that its folders and its name say, but not the number of a shard.
    pub group: Option<String>,
}

/// Reads a path below a source: folders, and the name of the file without its endings.
pub fn said(folders: &[&str], stem: &str) -> Said {
    let mut said = Said::default();
    let mut group: Vec<&str> = Vec::new();
    for folder in folders {
        match Split::of_word(folder) {
            Some(split) => {
                said.split = Some(split);
                said.split_names = vec![folder.to_string()];
            }
            None if *folder == "data" => {}
            None => group.push(folder),
        }
    }
    let stem = without_shard(stem);
    let (split, rest) = split_in(stem);
    said.split = split.or(said.split);
    if split.is_some() {
        // What is left of the name is before or behind the word.
        let word = stem.strip_suffix(rest).or_else(|| stem.strip_prefix(rest)).unwrap_or(stem);
        said.split_names = vec![stem.to_string(), word.trim_matches(['-', '_', '.']).to_string()];
    }
    // As `save_to_disk` and others call files that are all there is.
    let says_nothing = rest == "data" || rest.bytes().all(|b| b.is_ascii_digit());
    if !says_nothing {
        group.push(rest);
    }
    if !group.is_empty() {
        said.group = Some(group.join("_"));
    }
    said
}

/// A name without `-00000-of-00034` and the hash that may follow.
fn without_shard(stem: &str) -> &str {
    let digits = |text: &str| text.len() >= 4 && text.bytes().all(|b| b.is_ascii_digit());
    let Some((before, after)) = stem.rsplit_once("-of-") else { return stem };
    let total = after.split('-').next().unwrap_or(after);
    match before.rsplit_once(['-', '_', '.']) {
        Some((name, number)) if digits(number) && digits(total) => name,
        None if digits(before) && digits(total) => "",
        _ => stem,
    }
}

/// The split that a name is, begins with or ends with, and the rest of the name.
fn split_in(stem: &str) -> (Option<Split>, &str) {
    const BETWEEN: [char; 3] = ['-', '_', '.'];
    if let Some(split) = Split::of_word(stem) {
        return (Some(split), "");
    }
    if let Some((word, rest)) = stem.split_once(BETWEEN)
        && let Some(split) = Split::of_word(word)
    {
        return (Some(split), rest);
    }
    if let Some((rest, word)) = stem.rsplit_once(BETWEEN)
        && let Some(split) = Split::of_word(word)
    {
        return (Some(split), rest);
    }
    (None, stem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_cleaned_as_mttl_does() {
        for (name, cleaned) in [
            ("wiki_bio_comprehension", "wiki_bio_comprehension"),
            ("glue/cola:2.0.0", "glue_cola_2_0_0"),
            ("super_glue-rte:1.0.2", "super_glue_rte_1_0_2"),
            ("../../etc/passwd", "______etc_passwd"),
            ("a b\u{1b}[31m", "a_b__31m"),
            ("naïve 日本", "naïve_日本"),
            ("CON", "CON_"),
            ("..", ""),
            ("", ""),
        ] {
            assert_eq!(clean(name), cleaned, "{name:?}");
        }
        let long = clean(&"x".repeat(500));
        assert!(long.len() <= LONGEST && long != clean(&"x".repeat(501)), "{long}");
    }

    #[test]
    fn paths_say_split_and_task() {
        let is = |folders: &[&str], stem: &str, split: Option<Split>, group: Option<&str>| {
            let said = said(folders, stem);
            assert_eq!((said.split, said.group.as_deref()), (split, group), "{folders:?} {stem}");
        };
        is(&["data"], "train-00000-of-00034-5e2b1ea8b5a3d1c2", Some(Split::Train), None);
        is(&[], "test", Some(Split::Test), None);
        is(&["sst2", "validation"], "0000", Some(Split::Validation), Some("sst2"));
        is(&["taskA", "test"], "data-00000-of-00001", Some(Split::Test), Some("taskA"));
        is(&[], "boolq_dev", Some(Split::Validation), Some("boolq"));
        is(&[], "train_sft-00000-of-00003", Some(Split::Train), Some("sft"));
        is(&[], "training_tips", Some(Split::Train), Some("tips"));
        is(&[], "trainer", None, Some("trainer"));
        is(&["fr"], "part-of-speech", None, Some("fr_part-of-speech"));
        let called = |folders: &[&str], stem: &str| said(folders, stem).split_names.join(" ");
        assert_eq!(called(&[], "validation_matched-00000-of-00001"), "validation_matched validation");
        assert_eq!(called(&[], "boolq_dev"), "boolq_dev dev");
        assert_eq!(called(&["sst2", "dev"], "0000"), "dev");
        assert_eq!(called(&[], "trainer"), "");
    }

    proptest! {
        #[test]
        fn clean_names_are_one_plain_part_of_a_path(name in ".{0,300}") {
            let cleaned = clean(&name);
            prop_assert!(cleaned.len() <= LONGEST + 1);
            prop_assert!(cleaned.chars().all(|c| c.is_alphanumeric() || c == '_'));
            prop_assert_eq!(clean(&cleaned), cleaned);
        }
    }
}
