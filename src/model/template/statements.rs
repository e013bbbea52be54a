//! Statements: conditions, loops, assignments and macros.

use std::rc::Rc;

use super::ast::{Loop, Macro, Node, Target};
use super::eval::{Answer, Closure, Given, Interpreter};
use super::value::{LoopState, Value, type_name};

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

impl Interpreter {
    /// Runs nodes, which add to `out`.
    pub fn nodes(&mut self, nodes: &[Node], out: &mut String) -> Answer<Flow> {
        self.deeper(|i| {
            for node in nodes {
                i.heap.meter.step(1)?;
                let flow = i.node(node, out)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
            }
            Ok(Flow::On)
        })
    }

    fn print(&mut self, text: &str, out: &mut String) -> Answer<Flow> {
        self.heap.meter.take(text.len() as u64)?;
        out.push_str(text);
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, out: &mut String) -> Answer<Flow> {
        match node {
            Node::Text(text) => self.print(text, out),
            Node::Print(expr) => {
                let value = self.value(expr)?;
                let text = self.heap.string(&value)?;
                self.print(&text, out)
            }
            Node::If(cases, otherwise) => {
                for (condition, body) in cases {
                    let condition = self.value(condition)?;
                    if self.heap.truth(&condition) {
                        return self.nodes(body, out);
                    }
                }
                self.nodes(otherwise, out)
            }
            Node::For(code) => {
                let over = self.value(&code.over)?;
                self.loop_over(code, &over, 0, self.scope, out)
            }
            Node::Set(target, expr) => {
                let value = self.value(expr)?;
                self.set(target, value).map(|()| Flow::On)
            }
            Node::SetBlock(target, filter, body) => {
                let text = self.captured(body)?;
                let mut value = self.heap.text(text)?;
                if let Some(filter) = filter {
                    value = self.through(filter, value)?;
                }
                self.set(target, value).map(|()| Flow::On)
            }
            Node::With(values, body) => {
                let mut given = Vec::new();
                for (target, expr) in values {
                    given.push((target, self.value(expr)?));
                }
                self.inside(self.scope, |i| {
                    for (target, value) in given {
                        i.set(target, value)?;
                    }
                    i.nodes(body, out)
                })
            }
            Node::Scope(body) => self.inside(self.scope, |i| i.nodes(body, out)),
            Node::Filtered(filter, body) => {
                let text = self.captured(body)?;
                let value = self.heap.text(text)?;
                let value = self.through(filter, value)?;
                let text = self.heap.string(&value)?;
                self.print(&text, out)
            }
            Node::Macro(code) => {
                let value = self.closure(code)?;
                self.assign(&code.name, value).map(|()| Flow::On)
            }
            Node::Call(call, code) => {
                let super::ast::Expr::Call(of, arguments) = call else {
                    return Err("a call block calls nothing".into());
                };
                let caller = self.closure(code)?;
                let of = self.value(of)?;
                let mut given = self.given(arguments)?;
                let value = match of {
                    Value::Macro(id) => self.call_macro(id, given, Some(caller))?,
                    of => {
                        given.named.push(("caller".into(), caller));
                        self.call(&of, given)?
                    }
                };
                let text = self.heap.string(&value)?;
                self.print(&text, out)
            }
            Node::Break => Ok(Flow::Break),
            Node::Continue => Ok(Flow::Continue),
        }
    }

    /// The text that a body makes, in a scope of its own.
    fn captured(&mut self, body: &[Node]) -> Answer<String> {
        let mut text = String::new();
        self.inside(self.scope, |i| i.nodes(body, &mut text))?;
        Ok(text)
    }

    /// A value through a chain of filters whose innermost has none.
    fn through(&mut self, filter: &super::ast::Expr, value: Value) -> Answer<Value> {
        let super::ast::Expr::Filter(inner, name, arguments) = filter else {
            return Err("a filter is missing".into());
        };
        let value = match inner {
            Some(inner) => self.through(inner, value)?,
            None => value,
        };
        let given = self.given(arguments)?;
        self.filter(name, value, given)
    }

    fn set(&mut self, target: &Target, value: Value) -> Answer<()> {
        match target {
            Target::Name(name) => self.assign(name, value),
            Target::Tuple(targets) => {
                let values = self.heap.iterate(&value)?;
                if values.len() != targets.len() {
                    return Err(format!("{} names cannot take {} values", targets.len(), values.len()));
                }
                targets
                    .iter()
                    .zip(values.iter())
                    .try_for_each(|(target, value)| self.set(target, value.clone()))
            }
            Target::Field(name, field) => {
                let Value::Namespace(id) = self.look(name)? else {
                    return Err(format!("{name} is no namespace, so that {name}.{field} cannot be assigned"));
                };
                check_field(field)?;
                if let Some(known) = self.heap.field(id, field)? {
                    *known = value;
                    return Ok(());
                }
                self.heap.meter.take(48)?;
                if let Some(fields) = self.heap.namespaces.get_mut(id) {
                    fields.push((Rc::clone(field), value));
                }
                Ok(())
            }
        }
    }

    /// Runs a loop over the items of a value. `scope` is what stands around it.
    fn loop_over(
        &mut self,
        code: &Rc<Loop>,
        over: &Value,
        depth: usize,
        scope: usize,
        out: &mut String,
    ) -> Answer<Flow> {
        let mut items = self.heap.iterate(over)?;
        if let Some(only) = &code.only {
            let mut kept = Vec::new();
            for item in items.iter() {
                let keeps = self.inside(scope, |i| {
                    i.set(&code.target, item.clone())?;
                    let value = i.value(only)?;
                    Ok(i.heap.truth(&value))
                })?;
                if keeps {
                    self.heap.meter.take(24)?;
                    kept.push(item.clone());
                }
            }
            items = Rc::new(kept);
        }
        if items.is_empty() {
            return self.inside(scope, |i| i.nodes(&code.otherwise, out));
        }
        self.heap.meter.take(96)?;
        let recursive = code.recursive.then(|| (Rc::clone(code), scope));
        let id = self.heap.loops.len();
        let state = LoopState { items: Rc::clone(&items), index: 0, depth, seen: None, recursive };
        self.heap.loops.push(state);
        let name: Rc<str> = "loop".into();
        for (index, item) in items.iter().enumerate() {
            if let Some(state) = self.heap.loops.get_mut(id) {
                state.index = index;
            }
            let flow = self.inside(scope, |i| {
                i.assign(&name, Value::Loop(id))?;
                i.set(&code.target, item.clone())?;
                i.nodes(&code.body, out)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// `loop(children)` in a recursive loop: its text.
    pub fn call_loop(&mut self, id: usize, given: Given) -> Answer<Value> {
        let [over] = given.bind("loop", ["iterable"])?;
        let state = self.heap.loops.get(id).cloned().ok_or("a loop is gone")?;
        let Some((code, scope)) = state.recursive else { return Err("the loop is not recursive".into()) };
        let mut text = String::new();
        let over = over.ok_or("loop needs what to go over")?;
        self.loop_over(&code, &over, state.depth + 1, scope, &mut text)?;
        self.heap.text(text)
    }

    /// What the variable `loop` knows.
    pub fn loop_attribute(&mut self, id: usize, name: &str) -> Answer<Option<Value>> {
        let Some(state) = self.heap.loops.get(id) else { return Ok(None) };
        let (at, len) = (state.index as i64, state.items.len() as i64);
        let neighbour = |at: Option<usize>| {
            let found = at.and_then(|at| state.items.get(at)).cloned();
            found.unwrap_or(Value::Undefined("there is no such item, which".into()))
        };
        Ok(Some(match name {
            "index" => Value::Int(at + 1),
            "index0" => Value::Int(at),
            "revindex" => Value::Int(len - at),
            "revindex0" => Value::Int(len - at - 1),
            "first" => Value::Bool(at == 0),
            "last" => Value::Bool(at + 1 == len),
            "length" => Value::Int(len),
            "depth" => Value::Int(state.depth as i64 + 1),
            "depth0" => Value::Int(state.depth as i64),
            "previtem" => neighbour(state.index.checked_sub(1)),
            "nextitem" => neighbour(Some(state.index + 1)),
            "cycle" | "changed" => return self.heap.method(Value::Loop(id), name).map(Some),
            _ => return Ok(None),
        }))
    }

    fn closure(&mut self, code: &Rc<Macro>) -> Answer<Value> {
        self.heap.meter.take(64)?;
        self.macros.push(Closure { code: Rc::clone(code), scope: self.scope });
        Ok(Value::Macro(self.macros.len() - 1))
    }

    /// The text that a macro makes.
    pub fn call_macro(&mut self, id: usize, mut given: Given, caller: Option<Value>) -> Answer<Value> {
        let Some(closure) = self.macros.get(id) else { return Err("a macro is gone".into()) };
        let (code, scope) = (Rc::clone(&closure.code), closure.scope);
        let mut text = String::new();
        let mut caller = caller;
        if let Some(at) = given.named.iter().position(|(name, _)| **name == *"caller") {
            caller = Some(given.named.remove(at).1);
        }
        self.deeper(|i| {
            i.inside(scope, |i| {
                i.parameters(&code, given)?;
                if let Some(caller) = caller {
                    i.assign(&"caller".into(), caller)?;
                }
                i.nodes(&code.body, &mut text)
            })
        })?;
        self.heap.text(text)
    }

    /// Gives a macro's parameters their values.
    fn parameters(&mut self, code: &Macro, given: Given) -> Answer<()> {
        let Given { positional, mut named } = given;
        let mut positional = positional.into_iter();
        for (name, default) in &code.parameters {
            let passed = named.iter().position(|(n, _)| n == name);
            let value = match (positional.next(), passed) {
                (Some(_), Some(_)) => return Err(format!("the macro {} got {name} twice", code.name)),
                (Some(value), None) => value,
                (None, Some(at)) => named.remove(at).1,
                (None, None) => match default {
                    Some(default) => self.value(default)?,
                    None => Value::Undefined(Rc::clone(name)),
                },
            };
            self.assign(name, value)?;
        }
        let rest: Vec<Value> = positional.collect();
        if code.takes_rest {
            let rest = self.heap.tuple(rest)?;
            self.assign(&"varargs".into(), rest)?;
        } else if !rest.is_empty() {
            return Err(format!("the macro {} takes {} arguments", code.name, code.parameters.len()));
        }
        if code.takes_named_rest {
            let entries = named.into_iter().map(|(name, value)| (Value::Str(name), value)).collect();
            let rest = self.heap.dict(entries)?;
            self.assign(&"kwargs".into(), rest)?;
        } else if let Some((name, value)) = named.first() {
            return Err(format!("the macro {} has no argument {name} (a {})", code.name, type_name(value)));
        }
        Ok(())
    }
}

/// Namespaces have no names of Python's own.
pub(super) fn check_field(name: &str) -> Answer<()> {
    match name.starts_with('_') {
        true => Err(format!("a namespace cannot have the field {name}")),
        false => Ok(()),
    }
}
