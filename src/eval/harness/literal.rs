//! Lists, texts and numbers as Python writes them, which is how templates give lists.

use serde_json::Value;

/// Deepest nesting.
const MAX_DEPTH: usize = 16;

struct Reader<'a> {
    rest: &'a str,
}

/// What `ast.literal_eval` makes of a text, without sets, dictionaries and complex numbers; `None` of what is no such
/// text.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value(0)?;
    reader.skip();
    reader.rest.is_empty().then_some(value)
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn pass(&mut self, sign: char) -> bool {
        self.skip();
        let after = self.rest.strip_prefix(sign);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip();
        match self.rest.chars().next()? {
            '[' if depth < MAX_DEPTH => self.list('[', ']', depth),
            '(' if depth < MAX_DEPTH => self.list('(', ')', depth),
            '\'' | '"' => {
                let mut text = self.text()?;
                self.skip();
                // Texts side by side are one.
                while self.rest.starts_with(['\'', '"']) {
                    text.push_str(&self.text()?);
                    self.skip();
                }
                Some(Value::String(text))
            }
            _ => self.word(),
        }
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Option<Value> {
        self.pass(open);
        let mut items = Vec::new();
        loop {
            if self.pass(close) {
                return Some(Value::Array(items));
            }
            items.push(self.value(depth + 1)?);
            if !self.pass(',') {
                return self.pass(close).then_some(Value::Array(items));
            }
        }
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "+-._".contains(c)));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Some(match word {
            "True" => true.into(),
            "False" => false.into(),
            "None" => Value::Null,
            number => match number.parse::<i64>() {
                Ok(whole) => whole.into(),
                Err(_) => number.parse::<f64>().ok().filter(|x| x.is_finite())?.into(),
            },
        })
    }

    fn text(&mut self) -> Option<String> {
        let mut chars = self.rest.chars();
        let quote = chars.next()?;
        let mut text = String::new();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\n' => return None,
                '\\' => match chars.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'a' => text.push('\u{7}'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    'v' => text.push('\u{b}'),
                    '\n' => {}
                    kind @ ('x' | 'u' | 'U') => {
                        let count = match kind {
                            'x' => 2,
                            'u' => 4,
                            _ => 8,
                        };
                        let digits: String = chars.by_ref().take(count).collect();
                        let code = (digits.len() == count).then(|| u32::from_str_radix(&digits, 16).ok())?;
                        text.push(char::from_u32(code?)?);
                    }
                    '0' => text.push('\0'),
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    c => text.extend(['\\', c]),
                },
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn literals_are_those_of_python() {
        // By ast.literal_eval of Python 3.11.
        for (text, expected) in [
            (
                r#"['it\'s', "a \"b\"", 'c\\d\n\x1b\u20ac', '€']"#,
                json!(["it's", "a \"b\"", "c\\d\n\u{1b}€", "€"]),
            ),
            (" [1, -2, 3.5, True, None, ] ", json!([1, -2, 3.5, true, null])),
            ("[]", json!([])),
            ("('a', ['b', ('c',)])", json!(["a", ["b", ["c"]]])),
            ("['a' 'b']", json!(["ab"])),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in ["[a]", "['a'", "['a'] x", "", "['a\nb']", "[1,,2]", "{'a': 1}", "['a', f(x)]"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(10_000)), None);
    }
}
