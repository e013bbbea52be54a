//! Patterns of paths, as dataset cards have them: `data/train-*`, `**/*.parquet`, `{a,b}/x?.csv`.

use regex::{Regex, RegexBuilder};

/// Longest pattern.
const LONGEST: usize = 1000;

/// What a pattern matches. The error is what is wrong with the pattern.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    let text = text.strip_prefix("./").unwrap_or(text);
    if text.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    if text.contains("://") || text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err("leads out of the folder: only files of the folder are read".into());
    }
    let mut out = String::from("^");
    let (mut rest, mut braces) = (text, 0);
    while let Some(c) = rest.chars().next() {
        let (token, length) = match c {
            '*' if rest.starts_with("**/") => ("(?:.*/)?".to_string(), 3),
            '*' if rest.starts_with("**") => (".*".to_string(), 2),
            '*' => ("[^/]*".to_string(), 1),
            '?' => ("[^/]".to_string(), 1),
            '{' => {
                braces += 1;
                ("(?:".to_string(), 1)
            }
            '}' if braces > 0 => {
                braces -= 1;
                (")".to_string(), 1)
            }
            ',' if braces > 0 => ("|".to_string(), 1),
            '[' => match rest.find(']').filter(|end| *end > 1) {
                Some(end) => {
                    let inner = rest.get(1..end).unwrap_or_default();
                    let (not, inner) =
                        inner.strip_prefix(['!', '^']).map_or(("", inner), |inner| ("^", inner));
                    (
                        format!(
                            "[{not}{}]",
                            inner.replace('\\', "\\\\").replace('[', "\\[").replace('&', "\\&")
                        ),
                        end + 1,
                    )
                }
                None => ("\\[".to_string(), 1),
            },
            c => (regex::escape(&c.to_string()), c.len_utf8()),
        };
        out.push_str(&token);
        rest = rest.get(length..).unwrap_or_default();
    }
    // A folder means all in it.
    out.push_str("(?:/.*)?$");
    RegexBuilder::new(&out).size_limit(1 << 20).build().map_err(|_| "is no pattern of paths".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_cards_mean_them() {
        let matches = |text: &str, path: &str| pattern(text).unwrap().is_match(path);
        assert!(matches("data/train-*", "data/train-00000-of-00001.parquet"));
        assert!(!matches("data/train-*", "data/other/train-0.parquet"));
        assert!(
            !matches("data/train-*", "data/train-x/0.parquet")
                || matches("data/train-x", "data/train-x/0.parquet")
        );
        assert!(matches("**/*.parquet", "a/b/c.parquet") && matches("**/*.parquet", "c.parquet"));
        assert!(matches("**", "a/b") && !matches("*.csv", "a/b.csv"));
        assert!(matches("{a,b}/x?.csv", "b/x1.csv") && !matches("{a,b}/x?.csv", "c/x1.csv"));
        assert!(matches("x[0-9].csv", "x7.csv") && !matches("x[!0-9].csv", "x7.csv"));
        assert!(matches("data", "data/x.csv") && !matches("a.csv", "aacsv"));
    }

    #[test]
    fn patterns_stay_in_the_folder() {
        for text in ["/etc/*", "../x", "a/../../x", "hf://datasets/x", "https://x/y.csv"] {
            assert!(pattern(text).is_err(), "{text}");
        }
        for text in ["[", "{a", "}", "[]", "[!]", "[z-a]", "\\", "(", "a{1,99999}"] {
            let _ = pattern(text);
        }
    }
}
