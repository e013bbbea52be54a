//! Operators and comparisons, as Python has them.

use super::ast::{Comparison, Operator};
use super::eval::{Answer, Interpreter};
use super::value::{Value, number, too_large, type_name, unfit, whole};

impl Interpreter {
    /// What an operator makes of two values.
    pub fn binary(&mut self, operator: Operator, left: &Value, right: &Value) -> Answer<Value> {
        use Operator::{Add, Divide, FloorDivide, Modulo, Multiply, Power, Subtract};
        if let Value::Undefined(name) = if matches!(left, Value::Undefined(_)) { left } else { right }
            && !matches!((operator, left), (Modulo, Value::Str(_)))
        {
            return Err(format!("{name} is undefined"));
        }
        match (operator, left, right) {
            (Modulo, Value::Str(format), _) => {
                let made = self.percent(format, right)?;
                return self.heap.text(made);
            }
            (Add, Value::Str(a), Value::Str(b)) => {
                self.heap.meter.take((a.len() + b.len()) as u64)?;
                return self.heap.text(format!("{a}{b}"));
            }
            (Add, Value::List(_), Value::List(_)) | (Add, Value::Tuple(_), Value::Tuple(_)) => {
                let (a, b) =
                    (self.heap.items(left).unwrap_or_default(), self.heap.items(right).unwrap_or_default());
                self.heap.meter.take(16 * (a.len() + b.len()) as u64)?;
                let all = a.iter().chain(&*b).cloned().collect();
                return if matches!(left, Value::List(_)) {
                    self.heap.list(all)
                } else {
                    self.heap.tuple(all)
                };
            }
            (Multiply, Value::Str(_) | Value::List(_) | Value::Tuple(_), _) if whole(right).is_some() => {
                return self.repeated(left, whole(right).unwrap_or(0));
            }
            (Multiply, _, Value::Str(_) | Value::List(_) | Value::Tuple(_)) if whole(left).is_some() => {
                return self.repeated(right, whole(left).unwrap_or(0));
            }
            _ => {}
        }
        let sign = match operator {
            Add => "+",
            Subtract => "-",
            Multiply => "*",
            Divide => "/",
            FloorDivide => "//",
            Modulo => "%",
            Power => "**",
        };
        let zero = || Err("division by zero".to_string());
        if let (Some(a), Some(b)) = (whole(left), whole(right)) {
            let floor = |a: i64, b: i64| {
                a.checked_div_euclid(b).map(|q| if b < 0 && a.rem_euclid(b) != 0 { q - 1 } else { q })
            };
            return match operator {
                Add => a.checked_add(b),
                Subtract => a.checked_sub(b),
                Multiply => a.checked_mul(b),
                Divide | FloorDivide | Modulo if b == 0 => return zero(),
                Divide => return Ok(Value::Float(a as f64 / b as f64)),
                FloorDivide => floor(a, b),
                Modulo => floor(a, b).and_then(|q| a.checked_sub(q.checked_mul(b)?)),
                Power if b < 0 => return Ok(Value::Float((a as f64).powf(b as f64))),
                Power => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            }
            .map(Value::Int)
            .ok_or_else(too_large);
        }
        let (Some(a), Some(b)) = (number(left), number(right)) else {
            return Err(unfit(sign, left, Some(right)));
        };
        Ok(Value::Float(match operator {
            Add => a + b,
            Subtract => a - b,
            Multiply => a * b,
            Divide | FloorDivide | Modulo if b == 0.0 => return zero(),
            Divide => a / b,
            FloorDivide => (a / b).floor(),
            Modulo => a - b * (a / b).floor(),
            Power => a.powf(b),
        }))
    }

    fn repeated(&mut self, value: &Value, times: i64) -> Answer<Value> {
        let times = usize::try_from(times).unwrap_or(0);
        if let Value::Str(text) = value {
            self.heap.meter.take((text.len() as u64).saturating_mul(times as u64))?;
            return self.heap.text(text.repeat(times));
        }
        let items = self.heap.items(value).unwrap_or_default();
        self.heap.meter.take((16 * items.len() as u64).saturating_mul(times as u64))?;
        let all: Vec<Value> =
            (0..if items.is_empty() { 0 } else { times }).flat_map(|_| items.iter().cloned()).collect();
        if matches!(value, Value::List(_)) { self.heap.list(all) } else { self.heap.tuple(all) }
    }

    /// Whether a comparison holds.
    pub fn compare(&mut self, comparison: Comparison, left: &Value, right: &Value) -> Answer<bool> {
        use Comparison::{Equal, Greater, GreaterOrEqual, In, Less, LessOrEqual, NotEqual, NotIn};
        match comparison {
            Equal => self.heap.equal(left, right),
            NotEqual => Ok(!self.heap.equal(left, right)?),
            In => self.contains(right, left),
            NotIn => Ok(!self.contains(right, left)?),
            _ => {
                if let Value::Undefined(name) = if matches!(left, Value::Undefined(_)) { left } else { right }
                {
                    return Err(format!("{name} is undefined"));
                }
                // What is no number is in no order to anything.
                if [left, right].iter().any(|v| number(v).is_some_and(f64::is_nan)) {
                    return Ok(false);
                }
                let order = self.heap.order(left, right)?;
                Ok(match comparison {
                    Less => order.is_lt(),
                    LessOrEqual => order.is_le(),
                    Greater => order.is_gt(),
                    GreaterOrEqual => order.is_ge(),
                    _ => false,
                })
            }
        }
    }

    /// Python's `in`.
    pub fn contains(&mut self, all: &Value, value: &Value) -> Answer<bool> {
        match (all, value) {
            (Value::Str(text), Value::Str(part)) => {
                self.heap.meter.step(1 + text.len() as u64 / 64)?;
                Ok(text.contains(&**part))
            }
            (Value::Str(_), other) => {
                Err(format!("'in <string>' requires string as left operand, not {}", type_name(other)))
            }
            (Value::Dict(_), _) => Ok(self.heap.lookup(all, value)?.is_some()),
            _ => {
                for item in self.heap.iterate(all)?.iter() {
                    if self.heap.equal(item, value)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}
