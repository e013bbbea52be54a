//! Jinja's tests: what stands after `is`.

use super::ast::Comparison;
use super::eval::{Answer, Given, Interpreter};
use super::value::{Value, number, whole};

impl Interpreter {
    /// Whether a test holds for a value.
    pub fn test(&mut self, name: &str, value: &Value, given: &Given) -> Answer<bool> {
        self.heap.meter.step(1)?;
        let comparison = match name {
            "eq" | "equalto" | "==" => Some(Comparison::Equal),
            "ne" | "!=" => Some(Comparison::NotEqual),
            "lt" | "lessthan" | "<" => Some(Comparison::Less),
            "le" | "<=" => Some(Comparison::LessOrEqual),
            "gt" | "greaterthan" | ">" => Some(Comparison::Greater),
            "ge" | ">=" => Some(Comparison::GreaterOrEqual),
            "in" => Some(Comparison::In),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let [other] = given.bind(name, ["other"])?;
            let other = other.ok_or_else(|| format!("the test {name} needs a value"))?;
            return self.compare(comparison, value, &other);
        }
        Ok(match name {
            "defined" => !matches!(value, Value::Undefined(_)),
            "undefined" => matches!(value, Value::Undefined(_)),
            "none" => matches!(value, Value::None),
            "boolean" => matches!(value, Value::Bool(_)),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "integer" => matches!(value, Value::Int(_)),
            "float" => matches!(value, Value::Float(_)),
            "number" => number(value).is_some(),
            "string" => matches!(value, Value::Str(_)),
            "mapping" => matches!(value, Value::Dict(_)),
            "sequence" => matches!(
                value,
                Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Undefined(_)
            ),
            "iterable" => matches!(
                value,
                Value::Str(_)
                    | Value::List(_)
                    | Value::Tuple(_)
                    | Value::Dict(_)
                    | Value::Generator(_)
                    | Value::Undefined(_)
                    | Value::Loop(_)
            ),
            "callable" => {
                matches!(value, Value::Macro(_) | Value::Function(_) | Value::Method(_) | Value::Joiner(_))
            }
            "odd" | "even" => {
                let n = whole(value).ok_or("only whole numbers are odd or even")?;
                (n.rem_euclid(2) == 1) == (name == "odd")
            }
            "divisibleby" => {
                let [by] = given.bind(name, ["num"])?;
                let (n, by) = (whole(value), by.as_ref().and_then(whole).filter(|by| *by != 0));
                let (Some(n), Some(by)) = (n, by) else {
                    return Err("divisibleby needs whole numbers".into());
                };
                n.checked_rem(by).is_none_or(|rest| rest == 0)
            }
            "lower" | "upper" => {
                let text = self.heap.string(value)?;
                self.heap.meter.step(1 + text.len() as u64 / 8)?;
                let cased = text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
                let other = |c: char| if name == "lower" { c.is_uppercase() } else { c.is_lowercase() };
                cased && !text.chars().any(other)
            }
            "sameas" => {
                let [other] = given.bind(name, ["other"])?;
                match (value, &other) {
                    (Value::List(a), Some(Value::List(b))) | (Value::Dict(a), Some(Value::Dict(b))) => a == b,
                    (Value::Bool(a), Some(Value::Bool(b))) => a == b,
                    (Value::Bool(_), _) | (_, Some(Value::Bool(_)) | None) => false,
                    (_, Some(other)) => self.heap.equal(value, other)?,
                }
            }
            "escaped" => false,
            "filter" | "test" => matches!(value, Value::Str(_)),
            other => return Err(format!("the test {other:?} is unknown")),
        })
    }
}
