//! The functions that a template may call.

use super::clock;
use super::eval::{Answer, Given, Interpreter};
use super::statements::check_field;
use super::value::{Value, whole};

/// The longest range that Jinja's sandbox allows.
const LONGEST_RANGE: i64 = 100_000;

impl Interpreter {
    /// Calls a function by its name.
    pub fn function(&mut self, name: &str, given: Given) -> Answer<Value> {
        match name {
            "range" => self.range(&given),
            "dict" => {
                let mut entries = Vec::new();
                if let Some(first) = given.positional.first() {
                    match self.heap.entries(first) {
                        Some(known) => entries.extend(known.iter().cloned()),
                        None => {
                            for pair in self.heap.iterate(first)?.iter() {
                                let pair = self.heap.iterate(pair)?;
                                let [key, value] = &pair[..] else { return Err("dict needs pairs".into()) };
                                entries.push((key.clone(), value.clone()));
                            }
                        }
                    }
                }
                entries.extend(given.named.into_iter().map(|(name, value)| (Value::Str(name), value)));
                self.heap.dict(entries)
            }
            "namespace" => {
                let dict = self.function("dict", given)?;
                let mut fields = Vec::new();
                for (key, value) in self.heap.entries(&dict).unwrap_or_default().iter() {
                    let key = self.heap.string(key)?;
                    check_field(&key)?;
                    fields.push((key, value.clone()));
                }
                self.heap.meter.take(48 * (1 + fields.len() as u64))?;
                self.heap.namespaces.push(fields);
                Ok(Value::Namespace(self.heap.namespaces.len() - 1))
            }
            "cycler" => {
                let items = self.heap.tuple(given.positional)?;
                self.heap.calls.push((items, 0));
                Ok(Value::Cycler(self.heap.calls.len() - 1))
            }
            "joiner" => {
                let [separator] = given.bind(name, ["sep"])?;
                self.heap.meter.take(48)?;
                self.heap.calls.push((separator.unwrap_or(Value::Str(", ".into())), 0));
                Ok(Value::Joiner(self.heap.calls.len() - 1))
            }
            "raise_exception" => {
                let [message] = given.bind(name, ["message"])?;
                let message = message.unwrap_or(Value::None);
                Err(self.heap.string(&message)?.to_string())
            }
            "strftime_now" => {
                let [format] = given.bind(name, ["format"])?;
                let format = self.heap.string(&format.ok_or("strftime_now needs a format")?)?;
                self.heap.meter.take(32 * format.len() as u64)?;
                let text = clock::now().written(&format);
                self.heap.text(text)
            }
            other => Err(format!("the function {other} is not supported")),
        }
    }

    fn range(&mut self, given: &Given) -> Answer<Value> {
        let numbers: Option<Vec<i64>> = given.positional.iter().map(whole).collect();
        let (start, stop, step) = match numbers.as_deref() {
            Some([stop]) => (0, *stop, 1),
            Some([start, stop]) => (*start, *stop, 1),
            Some([_, _, 0]) => return Err("range needs a step that is not 0".into()),
            Some([start, stop, step]) => (*start, *stop, *step),
            _ => return Err("range needs one to three whole numbers".into()),
        };
        let span = i128::from(stop) - i128::from(start);
        let step = i128::from(step);
        let count =
            if span.signum() == step.signum() { (span.abs() + step.abs() - 1) / step.abs() } else { 0 };
        if count > i128::from(LONGEST_RANGE) {
            return Err(format!(
                "a range of {count} numbers is too long: at most {LONGEST_RANGE} are allowed"
            ));
        }
        let items = (0..count).map(|i| Value::Int((i128::from(start) + i * step) as i64)).collect();
        self.heap.list(items)
    }
}
