//! A command line as it is being typed, in the words that a shell will make of it.

/// A word with what is known of how it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// What the program would get.
    pub text: String,
    /// As it was typed, quotes and backslashes included.
    pub typed: String,
}

/// The words of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Those before the cursor that are complete, without the program's name.
    pub before: Vec<String>,
    /// The one that is being typed; empty behind a blank.
    pub last: Word,
}

/// Splits a line into words: blanks between words, quotes, backslashes. Nothing is expanded but the `~` of homes.
pub fn split(line: &str) -> Words {
    let mut words: Vec<Word> = vec![Word::default()];
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let blank = quote.is_none() && c.is_whitespace();
        let fresh = words.last().is_none_or(|word| word.typed.is_empty());
        if blank {
            if !fresh {
                words.push(Word::default());
            }
            continue;
        }
        let Some(word) = words.last_mut() else { continue };
        word.typed.push(c);
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None | Some('"'), '\\') => {
                if let Some(next) = chars.next() {
                    word.typed.push(next);
                    word.text.push(next);
                }
            }
            (_, c) => word.text.push(c),
        }
    }
    let last = words.pop().unwrap_or_default();
    let before = words.into_iter().skip(1).map(|word| word.text).collect();
    Words { before, last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (line, before, text) in [
            ("lora-tui", &[][..], "lora-tui"),
            ("lora-tui ", &[], ""),
            ("lora-tui ls  ./a\\ b 'c d' \"e \\\" f\" g", &["ls", "./a b", "c d", "e \" f"], "g"),
            ("lora-tui show lib 'two wo", &["show", "lib"], "two wo"),
            ("lora-tui show lib ''", &["show", "lib"], ""),
            ("lora-tui a\\", &[], "a"),
        ] {
            let words = split(line);
            assert_eq!(
                (words.before, words.last.text),
                (before.iter().map(|word| word.to_string()).collect(), text.to_string()),
                "{line}"
            );
        }
        assert_eq!(split("x 'two wo").last.typed, "'two wo");
    }
}
