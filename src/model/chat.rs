//! The model's own chat template.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};
use serde_json::Value;

use super::checkpoint::read_text;
use super::tokenizer::SideFiles;
use crate::{Error, Result};

/// A chat template in the Jinja dialect of transformers. Rendering has no access to anything but the
/// messages, and a bound on its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatTemplate {
    /// Its text, or why there is none.
    source: Result<String, String>,
    /// Names and texts of special tokens.
    named: Vec<(String, String)>,
}

/// Steps that a template may take.
const FUEL: u64 = 1_000_000;

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
    pub fn user(&self, content: &str) -> Result<String> {
        let bad = |e: minijinja::Error| Error::msg(format!("the model's chat template fails: {e}"));
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        // As transformers sets up its own templates.
        environment
            .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(bad)?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |text: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, text))
        });
        for (name, text) in &self.named {
            environment.add_global(name.clone(), text.as_str());
        }
        let fails = |reason: &String| Error::msg(format!("the model's chat template fails: {reason}"));
        environment
            .template_from_str(self.source.as_ref().map_err(fails)?)
            .map_err(bad)?
            .render(context! {
                messages => [context! { role => "user", content => content }],
                add_generation_prompt => true,
            })
            .map_err(bad)
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
    fn renders_a_turn_and_bounds_what_a_template_may_do() {
        let source = "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}<s>{% endif %}\
                      [{{ m['role'] }}] {{ m['content'].strip() }}{% endfor %}{% if add_generation_prompt %}>{% endif %}";
        let chat = |source: &str| ChatTemplate::new(source.into(), vec![("bos_token".into(), "<b>".into())]);
        assert_eq!(chat(source).user(" hi ").unwrap(), "<s>[user] hi>");
        assert!(chat("{{ raise_exception('no') }}").user("x").is_err());
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
        assert!(chat(endless).user("x").is_err());
    }
}
