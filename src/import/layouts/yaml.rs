//! YAML as a tree of texts: no types, no tags, and no aliases, by which a small file means a large one.

use saphyr_parser::{Event, Parser};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Deepest nesting.
const MAX_DEPTH: usize = 32;

impl Node {
    /// A field of a map.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.iter().find(|(other, _)| other == name).map(|(_, value)| value),
            Self::Text(_) | Self::List(_) => None,
        }
    }

    /// A text; nothing of what is none.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
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
    Map(Vec<(String, Node)>, Option<String>),
}

/// Reads the first document of a text. The error is what is wrong, with its line.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| format!("line {}: {}", e.marker().line(), e.info()))?;
        let line = span.start.line();
        let node = match event {
            Event::Alias(_) => {
                return Err(format!("line {line}: aliases (*name) are not read: write the value out"));
            }
            Event::Scalar(text, ..) => Node::Text(text.into_owned()),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                return Err(format!("line {line}: is nested more than {MAX_DEPTH} deep"));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(values)) => Node::List(values),
                Some(Open::Map(fields, _)) => Node::Map(fields),
                None => continue,
            },
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        match open.last_mut() {
            None => return Ok(node),
            Some(Open::List(values)) => values.push(node),
            Some(Open::Map(fields, name)) => match name.take() {
                Some(name) => fields.push((name, node)),
                None => match node {
                    Node::Text(text) => *name = Some(text),
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
        assert!(parse("a: [1\nb: 2\n").is_err());
        assert_eq!(parse("").unwrap(), Node::Map(Vec::new()));
    }
}
