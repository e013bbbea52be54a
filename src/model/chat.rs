//! The model's own chat template.

use std::path::Path;

use serde_json::Value;

use super::checkpoint::read_text;
use super::template::{self, Input};
use super::tokenizer::SideFiles;
use crate::text::{printable, short};
use crate::{Error, Result};

/// A chat template in the Jinja dialect of transformers. It has access to nothing but the messages and the clock, and
/// what it takes is bounded (see `model::template`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatTemplate {
    /// Its text, or why there is none.
    source: Result<String, String>,
    /// Names and texts of special tokens.
    named: Vec<(String, String)>,
}

impl ChatTemplate {
    /// A template, with the names and texts of the tokens that it may use.
    pub fn new(source: String, named: Vec<(String, String)>) -> Self {
        Self { source: Ok(source), named }
    }

    /// That of a transformers folder: a file of its own comes before those in `tokenizer_config.json`, and of several
    /// the one called `default` is meant.
    pub(crate) fn of_folder(folder: &Path, side: &SideFiles) -> Option<Self> {
        let more = folder.join("additional_chat_templates");
        let file =
            [more.join("default.jinja"), folder.join("chat_template.jinja")].into_iter().find(|f| f.exists());
        let source = match file {
            Some(file) => read_text(&file).map_err(|e| e.to_string()),
            None => match others(&more) {
                Some(names) => Err(format!("none of {names} in {} is the default", more.display())),
                None => default_of(side.chat_template.as_ref()?),
            },
        };
        Some(Self { source, named: side.named.clone() })
    }

    /// One turn of a user, ready for the answer.
    ///
    /// # Errors
    /// A template that transformers refuses too, that raises an error itself, or that takes too much.
    pub fn user(&self, content: &str) -> Result<String> {
        let text = |text: &str| Input::Text(text.to_string());
        let message = Input::Fields(vec![("role".into(), text("user")), ("content".into(), text(content))]);
        let given = [
            ("messages", Input::List(vec![message])),
            ("tools", Input::None),
            ("documents", Input::None),
            ("add_generation_prompt", Input::Flag(true)),
        ];
        let given = given.into_iter().map(|(name, value)| (name.to_string(), value));
        let named = self.named.iter().map(|(name, token)| (name.clone(), text(token)));
        let variables: Vec<_> = given.chain(named).collect();
        let rendered = self
            .source
            .as_ref()
            .map_err(String::clone)
            .and_then(|source| template::render(source, &variables));
        rendered
            .map_err(|e| Error::msg(format!("the model's chat template fails: {}", printable(&short(&e)))))
    }
}

/// The names of the templates in a folder, where it has any.
fn others(folder: &Path) -> Option<String> {
    let names =
        std::fs::read_dir(folder).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(".jinja")?.to_string())).collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The template that `chat_template` of `tokenizer_config.json` means: a text, or a list of names with texts.
fn default_of(value: &Value) -> Result<String, String> {
    let list = match value {
        Value::String(source) => return Ok(source.clone()),
        Value::Array(list) => list,
        _ => return Err("\"chat_template\" in tokenizer_config.json is neither a text nor a list".into()),
    };
    let field = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_string);
    // A later one of the same name replaces it.
    let named = list.iter().rev().find(|entry| field(entry, "name").as_deref() == Some("default"));
    named.and_then(|entry| field(entry, "template")).ok_or_else(|| {
        let names: Vec<String> = list.iter().filter_map(|entry| field(entry, "name")).collect();
        format!("none of {} in tokenizer_config.json is the default", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_rendered_with_the_names_of_tokens() {
        let source = "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ bos_token }}{% endif %}\
                      [{{ m['role'] }}] {{ m['content'].strip() }}{% endfor %}{% if add_generation_prompt %}>{% endif %}";
        let chat = |source: &str| ChatTemplate::new(source.into(), vec![("bos_token".into(), "<b>".into())]);
        assert_eq!(chat(source).user(" hi ").unwrap(), "<b>[user] hi>");
        let error =
            chat("{{ raise_exception('no ' ~ eos_token ~ '\u{1b}') }}").user("x").unwrap_err().to_string();
        assert_eq!(error, "the model's chat template fails: no \\u{1b}");
    }

    #[test]
    fn of_several_templates_the_default_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let user = || {
            let side = SideFiles::read(folder.path()).unwrap();
            ChatTemplate::of_folder(folder.path(), &side)
                .map(|chat| chat.user("x").map_err(|e| e.to_string()))
        };
        assert_eq!(user(), None);
        let list = |name: &str| {
            let templates = serde_json::json!([
                { "name": "tool_use", "template": "tools" }, { "name": name, "template": "list" },
            ]);
            write("tokenizer_config.json", &serde_json::json!({ "chat_template": templates }).to_string());
        };
        list("default");
        assert_eq!(user(), Some(Ok("list".into())));
        list("other");
        let error = user().unwrap().unwrap_err();
        assert!(
            error.ends_with("none of tool_use, other in tokenizer_config.json is the default"),
            "{error}"
        );
        write("tokenizer_config.json", r#"{ "chat_template": "text" }"#);
        assert_eq!(user(), Some(Ok("text".into())));
        // Files come before it, even where none of them is the default.
        write("additional_chat_templates/tools.jinja", "tools");
        assert!(user().unwrap().unwrap_err().contains("none of tools in "));
        write("chat_template.jinja", "file");
        assert_eq!(user(), Some(Ok("file".into())));
        write("additional_chat_templates/default.jinja", "named");
        assert_eq!(user(), Some(Ok("named".into())));
    }
}
