//! Porter's stemmer with the changes that NLTK makes by default (its `NLTK_EXTENSIONS`), on which figures of ROUGE rest.
//!
//! M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980). NLTK's changes: a list of irregular words, words
//! of two letters stay, `ies` and `ied` in words of four letters become `ie`, y becomes i after a consonant only, and
//! the suffixes `bli`, `fulli` and `logi`.

/// The stem of a word of small ASCII letters and digits; anything else is returned as it is.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).into();
    }
    if word.len() <= 2 || !word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return word.into();
    }
    let steps = [plural, past, y_to_i, double_suffix, suffix, last_suffix, final_e, final_ll];
    steps.iter().fold(word.to_string(), |word, step| step(&word))
}

/// Words whose stems no rule gives.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// For each letter, whether it is a consonant: no vowel, and no y after a consonant.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags = Vec::with_capacity(word.len());
    for byte in word.bytes() {
        let consonant = match byte {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        };
        flags.push(consonant);
    }
    flags
}

/// How often a consonant follows a vowel.
fn measure(stem: &str) -> usize {
    consonants(stem).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

fn last(word: &str) -> Option<u8> {
    word.bytes().last()
}

fn ends_in_double_consonant(word: &str) -> bool {
    let bytes = word.as_bytes();
    matches!(bytes, [.., a, b] if a == b) && consonants(word).last() == Some(&true)
}

/// Whether it ends consonant, vowel, consonant, the last one not w, x or y; or is a vowel and a consonant.
fn ends_short(word: &str) -> bool {
    match consonants(word).as_slice() {
        [false, true] => true,
        [.., true, false, true] => !matches!(last(word), Some(b'w' | b'x' | b'y')),
        _ => false,
    }
}

/// A suffix, what takes its place, and of which stems.
type Rule = (&'static str, &'static str, fn(&str) -> bool);

/// Applies the first rule whose suffix the word has; where its condition fails, nothing is done.
fn apply(word: &str, rules: &[Rule]) -> String {
    let found = rules.iter().find_map(|rule| word.strip_suffix(rule.0).map(|stem| (stem, rule)));
    match found {
        Some((stem, (_, replacement, condition))) if condition(stem) => format!("{stem}{replacement}"),
        _ => word.into(),
    }
}

fn always(_: &str) -> bool {
    true
}

fn some(stem: &str) -> bool {
    measure(stem) > 0
}

fn several(stem: &str) -> bool {
    measure(stem) > 1
}

/// Step 1a.
fn plural(word: &str) -> String {
    if word.len() == 4 && word.ends_with("ies") {
        return word[..3].into();
    }
    apply(word, &[("sses", "ss", always), ("ies", "i", always), ("ss", "ss", always), ("s", "", always)])
}

/// Step 1b.
fn past(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ied") {
        return format!("{stem}{}", if word.len() == 4 { "ie" } else { "i" });
    }
    if word.ends_with("eed") {
        return apply(word, &[("eed", "ee", some)]);
    }
    let stripped =
        ["ed", "ing"].iter().find_map(|suffix| word.strip_suffix(suffix).filter(|stem| has_vowel(stem)));
    let Some(stem) = stripped else { return word.into() };
    if ["at", "bl", "iz"].iter().any(|ending| stem.ends_with(ending)) {
        return format!("{stem}e");
    }
    if ends_in_double_consonant(stem) {
        let keeps = matches!(last(stem), Some(b'l' | b's' | b'z'));
        return if keeps { stem.into() } else { stem[..stem.len() - 1].into() };
    }
    if measure(stem) == 1 && ends_short(stem) { format!("{stem}e") } else { stem.into() }
}

/// Step 1c.
fn y_to_i(word: &str) -> String {
    apply(word, &[("y", "i", |stem| stem.len() > 1 && consonants(stem).last() == Some(&true))])
}

/// Step 2.
fn double_suffix(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("alli").filter(|stem| some(stem)) {
        return double_suffix(&format!("{stem}al"));
    }
    apply(
        word,
        &[
            ("ational", "ate", some),
            ("tional", "tion", some),
            ("enci", "ence", some),
            ("anci", "ance", some),
            ("izer", "ize", some),
            ("bli", "ble", some),
            ("alli", "al", some),
            ("entli", "ent", some),
            ("eli", "e", some),
            ("ousli", "ous", some),
            ("ization", "ize", some),
            ("ation", "ate", some),
            ("ator", "ate", some),
            ("alism", "al", some),
            ("iveness", "ive", some),
            ("fulness", "ful", some),
            ("ousness", "ous", some),
            ("aliti", "al", some),
            ("iviti", "ive", some),
            ("biliti", "ble", some),
            ("fulli", "ful", some),
            // With its l.
            ("logi", "log", |stem| some(&format!("{stem}l"))),
        ],
    )
}

/// Step 3.
fn suffix(word: &str) -> String {
    apply(
        word,
        &[
            ("icate", "ic", some),
            ("ative", "", some),
            ("alize", "al", some),
            ("iciti", "ic", some),
            ("ical", "ic", some),
            ("ful", "", some),
            ("ness", "", some),
        ],
    )
}

/// Step 4.
fn last_suffix(word: &str) -> String {
    apply(
        word,
        &[
            ("al", "", several),
            ("ance", "", several),
            ("ence", "", several),
            ("er", "", several),
            ("ic", "", several),
            ("able", "", several),
            ("ible", "", several),
            ("ant", "", several),
            ("ement", "", several),
            ("ment", "", several),
            ("ent", "", several),
            ("ion", "", |stem| several(stem) && matches!(last(stem), Some(b's' | b't'))),
            ("ou", "", several),
            ("ism", "", several),
            ("ate", "", several),
            ("iti", "", several),
            ("ous", "", several),
            ("ive", "", several),
            ("ize", "", several),
        ],
    )
}

/// Step 5a.
fn final_e(word: &str) -> String {
    apply(word, &[("e", "", |stem| several(stem) || (measure(stem) == 1 && !ends_short(stem)))])
}

/// Step 5b.
fn final_ll(word: &str) -> String {
    apply(word, &[("ll", "l", |stem| several(&format!("{stem}l")))])
}
