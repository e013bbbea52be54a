//! YAML as a tree of texts: no tags, and no aliases, by which a small file means a large one. Types are looked at where
//! somebody asks for them.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::text::short;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// In quotes, or a block of text.
    Text(String),
    /// Without quotes: perhaps no text.
    Plain(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// What a value without quotes says, as YAML 1.1 and PyYAML have it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Flag(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

/// Deepest nesting.
const MAX_DEPTH: usize = 32;

impl Node {
    /// A field of a map.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.iter().find(|(other, _)| other == name).map(|(_, value)| value),
            Self::Text(_) | Self::Plain(_) | Self::List(_) => None,
        }
    }

    /// A text; nothing of what is none.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Plain(text) => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A value that is neither a list nor a map, by its type.
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        let text = match self {
            Self::Text(text) => return Some(Scalar::Text(text)),
            Self::Plain(text) => text.as_str(),
            Self::List(_) | Self::Map(_) => return None,
        };
        let number = text.replace('_', "");
        let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        Some(match text {
            "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Scalar::Flag(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Scalar::Flag(false),
            _ if !begins => Scalar::Text(text),
            _ => match (number.parse(), number.contains('.').then(|| number.parse().ok()).flatten()) {
                (Ok(whole), _) => Scalar::Int(whole),
                (_, Some(float)) => Scalar::Float(float),
                _ => Scalar::Text(text),
            },
        })
    }

    /// The elements of a list; of anything else, itself.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            other => std::slice::from_ref(other),
        }
    }
}

/// What is being read.
enum Open {
    List(Vec<Node>),
    /// With the name whose value comes next.
    Map(Fields, Option<String>),
}

/// The fields of a map in their order. Of a name that stands there twice, the last value counts, as in PyYAML.
#[derive(Default)]
struct Fields {
    all: Vec<(String, Node)>,
    places: HashMap<String, usize>,
}

impl Fields {
    fn put(&mut self, name: String, value: Node) {
        match self.places.get(&name).and_then(|&at| self.all.get_mut(at)) {
            Some((_, before)) => *before = value,
            None => {
                self.places.insert(name.clone(), self.all.len());
                self.all.push((name, value));
            }
        }
    }
}

/// Reads the first document of a text. The error is what is wrong, with its line.
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| format!("line {}: {}", e.marker().line(), e.info()))?;
        let line = span.start.line();
        let node = match event {
            Event::Alias(_) => {
                return Err(format!("line {line}: aliases (*name) are not read: write the value out"));
            }
            Event::Scalar(text, _, _, Some(tag)) if tag.handle == "!" => {
                let (tag, text) = (short(&tag.suffix), short(&text));
                let at = match open.last() {
                    Some(Open::Map(_, Some(name))) => format!("{}: ", short(name)),
                    _ => String::new(),
                };
                return Err(format!("line {line}: {at}!{tag} {text} is code, which is not run"));
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => Node::Plain(text.into_owned()),
            Event::Scalar(text, ..) => Node::Text(text.into_owned()),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                return Err(format!("line {line}: is nested more than {MAX_DEPTH} deep"));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Fields::default(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(values)) => Node::List(values),
                Some(Open::Map(fields, _)) => Node::Map(fields.all),
                None => continue,
            },
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        match open.last_mut() {
            None => return Ok(node),
            Some(Open::List(values)) => values.push(node),
            Some(Open::Map(fields, name)) => match name.take() {
                Some(name) => fields.put(name, node),
                None => match node {
                    Node::Text(text) | Node::Plain(text) => *name = Some(text),
                    Node::List(_) | Node::Map(_) => {
                        return Err(format!("line {line}: a name has to be a text"));
                    }
                },
            },
        }
    }
    Ok(Node::Map(Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read_and_bombs_refused() {
        let tree = parse("license: mit\nconfigs:\n- config_name: a\n  data_files: [x, 'y*']\n").unwrap();
        assert_eq!(tree.get("license").and_then(Node::text), Some("mit"));
        let config = &tree.get("configs").unwrap().list()[0];
        assert_eq!(config.get("data_files").unwrap().list().len(), 2);
        assert!(parse("a: &a [x, x]\nb: [*a, *a]\n").unwrap_err().contains("aliases"));
        assert!(
            parse(&"[".repeat(100)).unwrap_err().contains("nested") && parse(&"[".repeat(10_000)).is_err()
        );
        let error = parse("a: 1\nprocess_docs: !function utils.x\n").unwrap_err();
        assert_eq!(error, "line 2: process_docs: !function utils.x is code, which is not run");
        assert!(parse("a: [1\nb: 2\n").is_err());
        assert_eq!(parse("").unwrap(), Node::Map(Vec::new()));
    }

    #[test]
    fn of_a_name_that_stands_there_twice_the_last_value_counts() {
        let tree = parse("a: 1\nb: 2\na: 3\nc: {d: x, d: [y]}\n").unwrap();
        let Node::Map(fields) = &tree else { panic!("{tree:?}") };
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(tree.get("a").and_then(Node::text), Some("3"));
        assert_eq!(tree.get("c").and_then(|c| c.get("d")), Some(&Node::List(vec![Node::Plain("y".into())])));
    }

    #[test]
    fn what_has_no_quotes_has_a_type() {
        let tree = parse("[1, -2.5, no, 'no', null, '', 1e3, 1.0e3, a b, 0x]").unwrap();
        let found: Vec<Scalar> = tree.list().iter().map(|node| node.scalar().unwrap()).collect();
        use Scalar::{Flag, Float, Int, Null, Text};
        let expected = [
            Int(1),
            Float(-2.5),
            Flag(false),
            Text("no"),
            Null,
            Text(""),
            Text("1e3"),
            Float(1000.0),
            Text("a b"),
            Text("0x"),
        ];
        assert_eq!(found, expected);
    }
}
