//! The model's own chat template.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};

use crate::{Error, Result};

/// A chat template in the Jinja dialect of transformers. Rendering has no access to anything but the
/// messages, and a bound on its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatTemplate {
    source: String,
    bos: String,
    eos: String,
}

/// Steps that a template may take.
const FUEL: u64 = 1_000_000;

impl ChatTemplate {
    /// A template with the texts of the tokens it may name.
    pub fn new(source: String, bos: String, eos: String) -> Self {
        Self { source, bos, eos }
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
        environment
            .template_from_str(&self.source)
            .map_err(bad)?
            .render(context! {
                messages => [context! { role => "user", content => content }],
                add_generation_prompt => true,
                bos_token => self.bos.as_str(),
                eos_token => self.eos.as_str(),
            })
            .map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_a_turn_and_bounds_what_a_template_may_do() {
        let source = "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}<s>{% endif %}\
                      [{{ m['role'] }}] {{ m['content'].strip() }}{% endfor %}{% if add_generation_prompt %}>{% endif %}";
        let chat = |source: &str| ChatTemplate::new(source.into(), "<b>".into(), "<e>".into());
        assert_eq!(chat(source).user(" hi ").unwrap(), "<s>[user] hi>");
        assert!(chat("{{ raise_exception('no') }}").user("x").is_err());
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
        assert!(chat(endless).user("x").is_err());
    }
}
