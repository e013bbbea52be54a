//! Jinja as transformers runs chat templates, and as lm-evaluation-harness words its items: Python's values, methods and
//! texts.
//!
//! A template is a program of somebody else. It reads the values that it is given and the clock, and makes a text; it
//! changes nothing and calls nothing. What it may take is bounded by a meter (steps, bytes, depth), so that it ends
//! soon, in little memory, on every input: with a text or an error.

mod ast;
mod clock;
mod eval;
mod expressions;
mod filters;
mod formats;
mod functions;
mod json;
mod lexer;
mod methods;
mod names;
mod operators;
mod parser;
pub(crate) mod patterns;
mod statements;
#[cfg(test)]
mod tests;
mod value;
mod value_tests;

use eval::Interpreter;

/// Bytes of the longest template that makes sense: those of published models have up to 30 thousand.
const LONGEST: usize = 1 << 20;

/// Room for the recursion over a template and its values; their depth is bounded so that it suffices.
const STACK: usize = 64 << 20;

/// A value that a template may use, from outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    None,
    Flag(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Input>),
    /// A dictionary, in order.
    Fields(Vec<(String, Input)>),
}

/// Whose environment a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Chat templates of transformers: a tag on a line of its own takes the line with it, and what is undefined is an
    /// empty text.
    Chat,
    /// Items of lm-evaluation-harness (its `utils.py`): all whitespace stays, what is undefined is an error, and there is
    /// a filter `regex_replace`.
    Items,
}

/// The text that a chat template makes of `variables`.
///
/// # Errors
/// What is wrong with the template, what it raises itself, or that it takes too much.
pub(crate) fn render(source: &str, variables: &[(String, Input)]) -> Result<String, String> {
    let mut text = String::new();
    let take = &mut |_, made| {
        text = made;
        Ok(())
    };
    render_each(source, Dialect::Chat, std::iter::once(variables), take)?;
    Ok(text)
}

/// The texts that a template makes of each of several sets of variables; `take` gets each with its number.
///
/// # Errors
/// As [`render`], the first; what `take` returns.
pub(crate) fn render_each<'v>(
    source: &str,
    dialect: Dialect,
    each: impl Iterator<Item = &'v [(String, Input)]> + Send,
    take: &mut (dyn FnMut(usize, String) -> Result<(), String> + Send),
) -> Result<(), String> {
    if source.len() > LONGEST {
        return Err(format!("it has {} bytes, and {LONGEST} are the most that make sense", source.len()));
    }
    std::thread::scope(|scope| {
        let work = || {
            let template = parser::parse(source, dialect)?;
            each.enumerate().try_for_each(|(at, variables)| {
                take(at, Interpreter::new(dialect).run(&template, variables)?)
            })
        };
        let thread = std::thread::Builder::new().name("template".into()).stack_size(STACK);
        let thread =
            thread.spawn_scoped(scope, work).map_err(|e| format!("there is no thread for it: {e}"))?;
        thread.join().unwrap_or_else(|_| Err("it cannot be evaluated".into()))
    })
}
