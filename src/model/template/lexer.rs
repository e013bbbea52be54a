//! Text, tags and what stands in tags, with the whitespace rules that transformers sets (`trim_blocks`,
//! `lstrip_blocks`).

use std::rc::Rc;

use super::Dialect;

/// A token, and the line it is in.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Text(Rc<str>),
    /// `{{` and `}}`.
    PrintBegin,
    PrintEnd,
    /// `{%` and `%}`.
    BlockBegin,
    BlockEnd,
    Name(Rc<str>),
    Str(Rc<str>),
    Int(i64),
    Float(f64),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longest first.
const SIGNS: [&str; 27] = [
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ":", "|", ",", ";",
    "(", ")", "[", "]", "{", "}", "!",
];

pub(super) type Tokens = Vec<(Token, u32)>;

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: u32,
    /// Whether the last tag took the end of its line with it.
    line_starting: bool,
    /// Whether tags on lines of their own take these with them.
    tidies: bool,
    tokens: Tokens,
}

/// The tokens of a template.
pub(super) fn tokens(source: &str, dialect: Dialect) -> Result<Tokens, String> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let tidies = dialect == Dialect::Chat;
    let source = source.strip_suffix('\n').filter(|_| tidies).unwrap_or(&source);
    let mut lexer = Lexer { source, at: 0, line: 1, line_starting: true, tidies, tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.source[self.at..self.at + bytes];
        self.line += passed.bytes().filter(|&b| b == b'\n').count() as u32;
        self.at += bytes;
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((token, self.line));
    }

    /// Text before a tag, without what the tag's sign and the rules take from it.
    fn push_text(&mut self, text: &str, is_print: bool, sign: &str) {
        let kept = match sign {
            "-" => text.trim_end(),
            "+" => text,
            _ if is_print || !self.tidies => text,
            _ => {
                let line = text.rfind('\n').map_or(0, |at| at + 1);
                let begins = line > 0 || self.line_starting;
                let blank = text[line..].chars().all(char::is_whitespace);
                if begins && blank { &text[..line] } else { text }
            }
        };
        if !kept.is_empty() {
            self.push(Token::Text(kept.into()));
        }
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            let Some(found) = first_tag(rest) else {
                if !rest.is_empty() {
                    self.push(Token::Text(rest.into()));
                }
                return Ok(());
            };
            let (text, kind) = (&rest[..found], rest.as_bytes()[found + 1]);
            let sign = match rest.as_bytes().get(found + 2) {
                Some(b'-') => "-",
                Some(b'+') => "+",
                _ => "",
            };
            self.push_text(text, kind == b'{', sign);
            self.advance(found + 2 + sign.len());
            self.line_starting = false;
            match kind {
                b'#' => self.comment()?,
                b'{' => self.tag(Token::PrintBegin, Token::PrintEnd, "}}")?,
                _ if self.is_raw() => self.raw()?,
                _ => self.tag(Token::BlockBegin, Token::BlockEnd, "%}")?,
            }
        }
    }

    /// Passes the end of a tag, with its sign and the whitespace that goes with it. `None`: it does not stand here.
    fn end(&mut self, end: &str, trims: bool) -> Option<()> {
        let rest = self.rest();
        let (sign, after) = match rest.strip_prefix(end) {
            Some(after) => ("", after),
            None => {
                let sign = if rest.starts_with('-') { "-" } else { "+" };
                // A print tag has no plus.
                let allowed = sign == "-" || end != "}}";
                (sign, rest.strip_prefix(sign).filter(|_| allowed)?.strip_prefix(end)?)
            }
        };
        let mut length = sign.len() + end.len();
        match sign {
            "-" => length += after.len() - after.trim_start().len(),
            "" if trims && self.tidies && after.starts_with('\n') => length += 1,
            _ => {}
        }
        self.line_starting = rest[..length].ends_with('\n');
        self.advance(length);
        Some(())
    }

    fn comment(&mut self) -> Result<(), String> {
        let Some(end) = self.rest().find("#}") else { return Err(self.error("a comment does not end")) };
        // The sign before the end belongs to it.
        let sign = self.rest()[..end].ends_with(['-', '+']);
        self.advance(end - usize::from(sign));
        self.end("#}", true).ok_or_else(|| self.error("a comment does not end"))
    }

    fn is_raw(&self) -> bool {
        let Some(after) = self.rest().trim_start().strip_prefix("raw") else { return false };
        let after = after.trim_start();
        after.starts_with("%}") || after.starts_with("-%}")
    }

    fn raw(&mut self) -> Result<(), String> {
        let skip = self.rest().find("raw").map_or(0, |at| at + 3);
        self.advance(skip);
        let blank = self.rest().len() - self.rest().trim_start().len();
        self.advance(blank);
        self.end("%}", false);
        self.line_starting = false;
        let mut from = 0;
        loop {
            let Some(found) = self.rest()[from..].find("{%") else {
                return Err(self.error("a raw block does not end"));
            };
            let begin = from + found;
            let inner = &self.rest()[begin + 2..];
            let sign = if inner.starts_with('-') {
                "-"
            } else if inner.starts_with('+') {
                "+"
            } else {
                ""
            };
            let name = inner[sign.len()..].trim_start();
            if let Some(after) = name.strip_prefix("endraw") {
                let length = self.rest().len() - after.trim_start().len();
                let text = self.rest()[..begin].to_string();
                self.push_text(&text, false, sign);
                self.advance(length);
                return self.end("%}", true).ok_or_else(|| self.error("a raw block does not end"));
            }
            from = begin + 2;
        }
    }

    fn error(&self, problem: &str) -> String {
        format!("line {}: {problem}", self.line)
    }

    /// The inside of a tag.
    fn tag(&mut self, begin: Token, close: Token, end: &str) -> Result<(), String> {
        self.push(begin);
        let mut open: Vec<char> = Vec::new();
        loop {
            let blank = self.rest().len() - self.rest().trim_start().len();
            self.advance(blank);
            // Two braces may close two dictionaries.
            if open.is_empty() && self.end(end, end == "%}").is_some() {
                self.push(close);
                return Ok(());
            }
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return Err(self.error("a tag does not end")) };
            if first == '\'' || first == '"' {
                self.string(first)?;
            } else if first.is_ascii_digit() {
                self.number()?;
            } else if first == '_' || first.is_alphabetic() {
                let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                self.push(Token::Name(rest[..length].into()));
                self.advance(length);
            } else {
                let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
                    return Err(self.error(&format!("a tag has the character {first:?}")));
                };
                match first {
                    '(' => open.push(')'),
                    '[' => open.push(']'),
                    '{' => open.push('}'),
                    ')' | ']' | '}' if open.pop() != Some(first) => {
                        return Err(self.error(&format!("a tag has {first:?} where nothing is open")));
                    }
                    _ => {}
                }
                self.push(Token::Sign(sign));
                self.advance(sign.len());
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<(), String> {
        let rest = self.rest();
        let mut text = String::new();
        let mut letters = rest.char_indices().skip(1);
        let code = |letters: &mut dyn Iterator<Item = (usize, char)>, digits: usize| {
            let text: String = letters.take(digits).map(|(_, c)| c).collect();
            u32::from_str_radix(&text, 16).ok().and_then(char::from_u32)
        };
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.push(Token::Str(text.into()));
                self.advance(at + 1);
                return Ok(());
            }
            if letter != '\\' {
                text.push(letter);
                continue;
            }
            let Some((_, escaped)) = letters.next() else { break };
            let made = match escaped {
                '\n' => continue,
                'n' => Some('\n'),
                't' => Some('\t'),
                'r' => Some('\r'),
                'a' => Some('\x07'),
                'b' => Some('\x08'),
                'f' => Some('\x0c'),
                'v' => Some('\x0b'),
                '0' => Some('\0'),
                'x' => code(&mut letters, 2),
                'u' => code(&mut letters, 4),
                'U' => code(&mut letters, 8),
                '\\' | '\'' | '"' => Some(escaped),
                other => {
                    text.push('\\');
                    Some(other)
                }
            };
            text.push(made.ok_or_else(|| self.error("a text has an escape of no character"))?);
        }
        Err(self.error("a text does not end"))
    }

    fn number(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits = |from: usize, radix: u32| {
            let run = rest[from..].chars().take_while(|c| c.is_digit(radix) || *c == '_');
            from + run.map(char::len_utf8).sum::<usize>()
        };
        let too_large = |lexer: &Self| lexer.error("a number is too large");
        let radix = match bytes.get(1).map(u8::to_ascii_lowercase) {
            Some(b'x') if bytes[0] == b'0' => 16,
            Some(b'o') if bytes[0] == b'0' => 8,
            Some(b'b') if bytes[0] == b'0' => 2,
            _ => 10,
        };
        if radix != 10 {
            let end = digits(2, radix);
            let number =
                i64::from_str_radix(&rest[2..end].replace('_', ""), radix).map_err(|_| too_large(self))?;
            self.push(Token::Int(number));
            self.advance(end);
            return Ok(());
        }
        let mut end = digits(0, 10);
        let mut is_float = false;
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            (is_float, end) = (true, digits(end + 1, 10));
        }
        if bytes.get(end).is_some_and(|b| b.eq_ignore_ascii_case(&b'e')) {
            let sign = usize::from(bytes.get(end + 1).is_some_and(|b| b"+-".contains(b)));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                (is_float, end) = (true, digits(end + 1 + sign, 10));
            }
        }
        let text = rest[..end].replace('_', "");
        let token = match is_float {
            true => Token::Float(text.parse().map_err(|_| too_large(self))?),
            false => Token::Int(text.parse().map_err(|_| too_large(self))?),
        };
        self.push(token);
        self.advance(end);
        Ok(())
    }
}

/// Where the first tag begins.
fn first_tag(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.windows(2).position(|pair| pair[0] == b'{' && b"{%#".contains(&pair[1]))
}
