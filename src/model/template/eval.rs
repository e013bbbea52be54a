//! Running a template: scopes, expressions and calls. Statements, filters, tests and methods have files of their own.

use std::rc::Rc;

use super::ast::{Arguments, Expr, Macro, Node};
use super::names;
use super::value::{Heap, Value, number, too_large, type_name, unfit, whole};

pub(super) type Answer<T> = Result<T, String>;

/// How deep calls and expressions may go.
const NESTING: usize = 600;

/// Variables of one place, and the place around it.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub names: Vec<(Rc<str>, Value)>,
    pub around: Option<usize>,
}

/// A macro that was met, with the scope that it was met in.
#[derive(Debug)]
pub(super) struct Closure {
    pub code: Rc<Macro>,
    pub scope: usize,
}

/// Runs one template.
#[derive(Debug)]
pub(super) struct Interpreter {
    pub heap: Heap,
    pub scopes: Vec<Scope>,
    pub scope: usize,
    pub macros: Vec<Closure>,
    depth: usize,
}

/// Values of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub positional: Vec<Value>,
    pub named: Vec<(Rc<str>, Value)>,
}

impl Given {
    /// The values of these parameters, in their order.
    ///
    /// # Errors
    /// More or other arguments than `function` has.
    pub fn bind<const N: usize>(&self, function: &str, names: [&str; N]) -> Answer<[Option<Value>; N]> {
        let mut found = [const { None }; N];
        if self.positional.len() > N {
            return Err(format!("{function} takes at most {N} arguments, not {}", self.positional.len()));
        }
        for (slot, value) in found.iter_mut().zip(&self.positional) {
            *slot = Some(value.clone());
        }
        for (name, value) in &self.named {
            match names.iter().position(|n| **n == **name) {
                Some(at) if found[at].is_none() => found[at] = Some(value.clone()),
                Some(_) => return Err(format!("{function} got {name} twice")),
                None => return Err(format!("{function} has no argument {name}")),
            }
        }
        Ok(found)
    }
}

impl Interpreter {
    pub fn new(dialect: super::Dialect) -> Self {
        let scopes = vec![Scope::default(), Scope { names: Vec::new(), around: Some(0) }];
        Self { heap: Heap::new(dialect), scopes, scope: 1, macros: Vec::new(), depth: 0 }
    }

    /// The text of a template.
    pub fn run(mut self, template: &[Node], variables: &[(String, super::Input)]) -> Answer<String> {
        for (name, input) in variables {
            let value = self.taken(input)?;
            self.scopes[0].names.push((name.as_str().into(), value));
        }
        let mut out = String::new();
        self.nodes(template, &mut out)?;
        Ok(out)
    }

    /// A value from outside.
    fn taken(&mut self, input: &super::Input) -> Answer<Value> {
        use super::Input;
        Ok(match input {
            Input::None => Value::None,
            Input::Flag(flag) => Value::Bool(*flag),
            Input::Int(number) => Value::Int(*number),
            Input::Float(number) => Value::Float(*number),
            // The person's own text does not count as what the template makes.
            Input::Text(text) => Value::Str(text.as_str().into()),
            Input::List(items) => {
                let items = items.iter().map(|item| self.taken(item)).collect::<Answer<_>>()?;
                self.heap.list(items)?
            }
            Input::Fields(fields) => {
                let mut entries = Vec::new();
                for (name, input) in fields {
                    entries.push((Value::Str(name.as_str().into()), self.taken(input)?));
                }
                self.heap.dict(entries)?
            }
        })
    }

    /// Goes one level deeper for `work`.
    pub fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Answer<T>) -> Answer<T> {
        self.depth += 1;
        if self.depth > NESTING {
            return Err("it calls itself too deeply".into());
        }
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// Does `work` with variables of its own. What no macro can see any more is forgotten.
    pub fn inside<T>(&mut self, around: usize, work: impl FnOnce(&mut Self) -> Answer<T>) -> Answer<T> {
        let (before, macros, first) = (self.scope, self.macros.len(), self.scopes.len());
        self.heap.meter.take(64)?;
        self.scopes.push(Scope { names: Vec::new(), around: Some(around) });
        self.scope = first;
        let result = work(self);
        self.scope = before;
        if self.macros.len() == macros {
            self.scopes.truncate(first);
        }
        result
    }

    /// What a name stands for.
    pub fn look(&mut self, name: &Rc<str>) -> Answer<Value> {
        let mut place = Some(self.scope);
        while let Some(scope) = place.and_then(|id| self.scopes.get(id)) {
            self.heap.meter.step(1 + scope.names.len() as u64 / 8)?;
            if let Some((_, value)) = scope.names.iter().rev().find(|(n, _)| n == name) {
                return Ok(value.clone());
            }
            place = scope.around;
        }
        Ok(match names::function(name) {
            Some(function) => Value::Function(function),
            None => Value::Undefined(Rc::clone(name)),
        })
    }

    /// Gives a name a value in the present scope.
    pub fn assign(&mut self, name: &Rc<str>, value: Value) -> Answer<()> {
        let scope = self.scope;
        let names = &mut self.scopes[scope].names;
        self.heap.meter.step(1 + names.len() as u64 / 8)?;
        match names.iter_mut().find(|(n, _)| n == name) {
            Some((_, known)) => *known = value,
            None => {
                self.heap.meter.take(48)?;
                names.push((Rc::clone(name), value));
            }
        }
        Ok(())
    }

    /// The value of an expression.
    pub fn value(&mut self, expr: &Expr) -> Answer<Value> {
        self.heap.meter.step(1)?;
        self.deeper(|i| i.value_of(expr))
    }

    fn values(&mut self, all: &[Expr]) -> Answer<Vec<Value>> {
        all.iter().map(|expr| self.value(expr)).collect()
    }

    fn value_of(&mut self, expr: &Expr) -> Answer<Value> {
        match expr {
            Expr::None => Ok(Value::None),
            Expr::Bool(b) => Ok(Value::Bool(*b)),
            Expr::Int(n) => Ok(Value::Int(*n)),
            Expr::Float(x) => Ok(Value::Float(*x)),
            Expr::Str(text) => Ok(Value::Str(Rc::clone(text))),
            Expr::Name(name) => self.look(name),
            Expr::List(all) => {
                let items = self.values(all)?;
                self.heap.list(items)
            }
            Expr::Tuple(all) => {
                let items = self.values(all)?;
                self.heap.tuple(items)
            }
            Expr::Dict(all) => {
                let mut entries = Vec::with_capacity(all.len());
                for (key, value) in all {
                    let key = self.value(key)?;
                    self.check_key(&key)?;
                    entries.push((key, self.value(value)?));
                }
                self.heap.dict(entries)
            }
            Expr::Attribute(of, name) => {
                let of = self.value(of)?;
                self.attribute(&of, name)
            }
            Expr::Item(of, index) => {
                let (of, index) = (self.value(of)?, self.value(index)?);
                self.item(&of, &index)
            }
            Expr::Slice(of, parts) => self.slice(of, parts),
            Expr::Call(of, arguments) => {
                let of = self.value(of)?;
                let given = self.given(arguments)?;
                self.call(&of, given)
            }
            Expr::Filter(value, name, arguments) => {
                let value = match value {
                    Some(value) => self.value(value)?,
                    None => Value::None,
                };
                let given = self.given(arguments)?;
                self.filter(name, value, given)
            }
            Expr::Test(value, name, arguments) => {
                let value = self.value(value)?;
                let given = self.given(arguments)?;
                self.test(name, &value, &given).map(Value::Bool)
            }
            Expr::Not(value) => {
                let value = self.value(value)?;
                Ok(Value::Bool(!self.heap.truth(&value)))
            }
            Expr::Negative(value) => match self.value(value)? {
                Value::Float(x) => Ok(Value::Float(-x)),
                value => {
                    let n = whole(&value).ok_or_else(|| unfit("unary -", &value, None))?;
                    n.checked_neg().map(Value::Int).ok_or_else(too_large)
                }
            },
            Expr::Positive(value) => {
                let value = self.value(value)?;
                number(&value).map(|_| value.clone()).ok_or_else(|| unfit("unary +", &value, None))
            }
            Expr::And(left, right) => {
                let left = self.value(left)?;
                if self.heap.truth(&left) { self.value(right) } else { Ok(left) }
            }
            Expr::Or(left, right) => {
                let left = self.value(left)?;
                if self.heap.truth(&left) { Ok(left) } else { self.value(right) }
            }
            Expr::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.binary(*operator, &left, &right)
            }
            Expr::Concat(all) => {
                let mut text = String::new();
                for expr in all {
                    let value = self.value(expr)?;
                    let part = self.heap.string(&value)?;
                    self.heap.meter.take(part.len() as u64)?;
                    text.push_str(&part);
                }
                self.heap.text(text)
            }
            Expr::Compare(first, links) => {
                let mut left = self.value(first)?;
                for (comparison, right) in links {
                    let right = self.value(right)?;
                    if !self.compare(*comparison, &left, &right)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Ok(Value::Bool(true))
            }
            Expr::Condition(value, test, otherwise) => {
                let test = self.value(test)?;
                match otherwise {
                    _ if self.heap.truth(&test) => self.value(value),
                    Some(otherwise) => self.value(otherwise),
                    None => Ok(Value::Undefined("the inline if without an else".into())),
                }
            }
        }
    }

    /// What a call passes on.
    pub fn given(&mut self, arguments: &Arguments) -> Answer<Given> {
        let mut given = Given { positional: self.values(&arguments.positional)?, named: Vec::new() };
        if let Some(rest) = &arguments.rest {
            let rest = self.value(rest)?;
            given.positional.extend(self.heap.iterate(&rest)?.iter().cloned());
        }
        for (name, value) in &arguments.named {
            given.named.push((Rc::clone(name), self.value(value)?));
        }
        if let Some(rest) = &arguments.named_rest {
            let rest = self.value(rest)?;
            let Some(entries) = self.heap.entries(&rest) else {
                return Err(format!("** needs a dictionary, not a {}", type_name(&rest)));
            };
            for (key, value) in entries.iter() {
                given.named.push((self.heap.string(key)?, value.clone()));
            }
        }
        Ok(given)
    }

    fn check_key(&self, key: &Value) -> Answer<()> {
        match key {
            Value::Str(_) | Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => Ok(()),
            other => Err(format!("a {} is no key of a dictionary here", type_name(other))),
        }
    }

    /// `of.name`: an attribute, else an item.
    pub fn attribute(&mut self, of: &Value, name: &Rc<str>) -> Answer<Value> {
        if let Value::Undefined(missing) = of {
            return Err(format!("{missing} is undefined, and has no {name}"));
        }
        if let Some(value) = self.own_attribute(of, name)? {
            return Ok(value);
        }
        match self.heap.lookup(of, &Value::Str(Rc::clone(name)))? {
            Some(value) => Ok(value),
            None => Ok(Value::Undefined(Rc::clone(name))),
        }
    }

    /// What Python's `getattr` finds.
    fn own_attribute(&mut self, of: &Value, name: &str) -> Answer<Option<Value>> {
        if let Value::Namespace(id) = of {
            return Ok(self.heap.field(*id, name)?.map(|value| value.clone()));
        }
        if let Value::Loop(id) = of {
            return self.loop_attribute(*id, name);
        }
        if let Value::Macro(id) = of
            && name == "name"
        {
            return Ok(self.macros.get(*id).map(|m| Value::Str(Rc::clone(&m.code.name))));
        }
        if let (Value::Cycler(id), "current") = (of, name) {
            return Ok(self.cycled(*id));
        }
        if names::has_method(of, name) { self.heap.method(of.clone(), name).map(Some) } else { Ok(None) }
    }

    /// `of[index]`: an item, else an attribute.
    pub fn item(&mut self, of: &Value, index: &Value) -> Answer<Value> {
        match of {
            Value::Undefined(missing) => return Err(format!("{missing} is undefined, and has no items")),
            Value::Dict(_) => {
                if let Some(value) = self.heap.lookup(of, index)? {
                    return Ok(value);
                }
            }
            Value::List(_) | Value::Tuple(_) => {
                if let (Some(at), Some(items)) = (whole(index), self.heap.items(of)) {
                    let at = if at < 0 { at + items.len() as i64 } else { at };
                    let found = usize::try_from(at).ok().and_then(|at| items.get(at));
                    return Ok(found.cloned().unwrap_or(Value::Undefined("the item".into())));
                }
            }
            Value::Str(text) => {
                if let Some(at) = whole(index) {
                    self.heap.meter.step(1 + text.len() as u64 / 8)?;
                    let at = if at < 0 { at + text.chars().count() as i64 } else { at };
                    let found = usize::try_from(at).ok().and_then(|at| text.chars().nth(at));
                    return Ok(found
                        .map_or(Value::Undefined("the item".into()), |c| Value::Str(c.to_string().into())));
                }
            }
            _ => {}
        }
        if let Value::Str(name) = index
            && let Some(value) = self.own_attribute(of, name)?
        {
            return Ok(value);
        }
        let name = self.heap.string(index)?;
        Ok(Value::Undefined(name))
    }

    fn slice(&mut self, of: &Expr, parts: &[Option<Box<Expr>>; 3]) -> Answer<Value> {
        let of = self.value(of)?;
        let mut bounds = [None; 3];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            if let Some(part) = part {
                *bound = match self.value(part)? {
                    Value::None => None,
                    value => Some(whole(&value).ok_or("slices need whole numbers")?),
                };
            }
        }
        let [start, stop, step] = bounds;
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err("a slice's step is 0".into());
        }
        match &of {
            Value::Str(text) => {
                self.heap.meter.take(5 * text.len() as u64)?;
                let letters: Vec<char> = text.chars().collect();
                let made: String = places(letters.len(), start, stop, step).map(|at| letters[at]).collect();
                self.heap.text(made)
            }
            Value::List(_) | Value::Tuple(_) => {
                let items = self.heap.items(&of).unwrap_or_default();
                self.heap.meter.step(items.len() as u64)?;
                let made = places(items.len(), start, stop, step).map(|at| items[at].clone()).collect();
                if matches!(of, Value::List(_)) { self.heap.list(made) } else { self.heap.tuple(made) }
            }
            other => Err(format!("'{}' object has no slices", type_name(other))),
        }
    }

    /// Calls a value.
    pub fn call(&mut self, of: &Value, given: Given) -> Answer<Value> {
        self.heap.meter.step(1)?;
        match of {
            Value::Function(name) => self.function(name, given),
            Value::Method(id) => {
                let (of, name) = self.heap.methods.get(*id).cloned().ok_or("a method is gone")?;
                self.method(&of, &name, given)
            }
            Value::Macro(id) => self.call_macro(*id, given, None),
            Value::Loop(id) => self.call_loop(*id, given),
            Value::Joiner(id) => self.joined(*id),
            Value::Undefined(name) => Err(format!("{name} is undefined")),
            other => Err(format!("'{}' object is not callable", type_name(other))),
        }
    }
}

/// The places that a slice takes, as in Python.
fn places(len: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let len = len as i64;
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let bound = |value: Option<i64>, default: i64| match value {
        None => default,
        Some(at) if at < 0 => at.saturating_add(len).clamp(low, high),
        Some(at) => at.clamp(low, high),
    };
    let (first, last) =
        if step > 0 { (bound(start, 0), bound(stop, len)) } else { (bound(start, len - 1), bound(stop, -1)) };
    let mut at = first;
    std::iter::from_fn(move || {
        let inside = if step > 0 { at < last } else { at > last };
        let found = inside.then_some(at as usize);
        at = at.saturating_add(step);
        found
    })
}
