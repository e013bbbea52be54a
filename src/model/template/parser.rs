//! A template's tokens as what they say. The grammar is Jinja's, with the tags that transformers has.

use std::rc::Rc;

use super::Dialect;
use super::ast::{Arguments, Loop, Macro, Node, Target};
use super::lexer::{Token, Tokens, tokens};

/// How deep brackets, blocks and chains of operators may go.
pub(super) const NESTING: usize = 200;

pub(super) struct Parser {
    tokens: Tokens,
    at: usize,
    pub(super) depth: usize,
    /// Loops and macros around the present place.
    loops: usize,
}

pub(super) type Answer<T> = Result<T, String>;

/// What a template says.
///
/// # Errors
/// What it says that is no Jinja, with the line.
pub(super) fn parse(source: &str, dialect: Dialect) -> Answer<Vec<Node>> {
    let mut parser = Parser { tokens: tokens(source, dialect)?, at: 0, depth: 0, loops: 0 };
    let (body, end) = parser.body(&[])?;
    match end {
        None => Ok(body),
        Some(name) => Err(parser.error(&format!("nothing is open for {name} to end"))),
    }
}

impl Parser {
    pub(super) fn error(&self, problem: &str) -> String {
        let line = self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(_, line)| *line);
        format!("line {line}: {problem}")
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    pub(super) fn peek_second(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1).map(|(token, _)| token)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(token, _)| token.clone());
        self.at += 1;
        token
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    /// Passes a sign, if it stands here.
    pub(super) fn pass(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Answer<()> {
        if self.pass(sign) { Ok(()) } else { Err(self.error(&format!("{sign:?} is missing"))) }
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(found)) if **found == *name)
    }

    pub(super) fn pass_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    pub(super) fn name(&mut self) -> Answer<Rc<str>> {
        match self.next() {
            Some(Token::Name(name)) => Ok(name),
            _ => {
                self.at -= 1;
                Err(self.error("a name is missing"))
            }
        }
    }

    /// Goes one level deeper for `work`.
    pub(super) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Answer<T>) -> Answer<T> {
        self.depth += 1;
        if self.depth > NESTING {
            return Err(self.error("it is nested too deeply"));
        }
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn block_end(&mut self) -> Answer<()> {
        match self.next() {
            Some(Token::BlockEnd) => Ok(()),
            _ => {
                self.at -= 1;
                Err(self.error("a tag has more than it should"))
            }
        }
    }

    /// Nodes up to a tag of one of these names, which is passed but for its end; its name.
    fn body(&mut self, ends: &[&str]) -> Answer<(Vec<Node>, Option<Rc<str>>)> {
        self.deeper(|p| {
            let mut nodes = Vec::new();
            loop {
                match p.next() {
                    None if ends.is_empty() => return Ok((nodes, None)),
                    None => return Err(p.error(&format!("the template ends before {}", ends.join(" or ")))),
                    Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                    Some(Token::PrintBegin) => {
                        let value = p.tuple_expression(true)?;
                        match p.next() {
                            Some(Token::PrintEnd) => nodes.push(Node::Print(value)),
                            _ => {
                                p.at -= 1;
                                return Err(p.error("an expression has more than it should"));
                            }
                        }
                    }
                    Some(Token::BlockBegin) => {
                        let name = p.name()?;
                        if ends.contains(&&*name) {
                            return Ok((nodes, Some(name)));
                        }
                        if ends.is_empty() && name.starts_with("end") {
                            return Ok((nodes, Some(name)));
                        }
                        nodes.push(p.statement(&name)?);
                    }
                    Some(_) => return Err(p.error("a tag stands where none can")),
                }
            }
        })
    }

    /// A body up to `end`, and the end of that tag.
    fn body_until(&mut self, end: &str) -> Answer<Vec<Node>> {
        let (body, _) = self.body(&[end])?;
        self.block_end()?;
        Ok(body)
    }

    fn statement(&mut self, name: &str) -> Answer<Node> {
        match name {
            "if" => self.conditional(),
            "for" => self.loop_(),
            "set" => self.set(),
            "with" => self.with(),
            "macro" => self.macro_(),
            "call" => self.call_block(),
            "filter" => {
                let filter = self.filter_chain(None)?;
                self.block_end()?;
                Ok(Node::Filtered(filter, self.body_until("endfilter")?))
            }
            // What an assistant says is marked for trainings; it prints as it is.
            "generation" => {
                self.block_end()?;
                Ok(Node::Scope(self.body_until("endgeneration")?))
            }
            "autoescape" => {
                self.expression()?;
                self.block_end()?;
                Ok(Node::Scope(self.body_until("endautoescape")?))
            }
            "block" => {
                self.name()?;
                while self.pass_name("scoped") || self.pass_name("required") {}
                self.block_end()?;
                let (body, _) = self.body(&["endblock"])?;
                if matches!(self.peek(), Some(Token::Name(_))) {
                    self.at += 1;
                }
                self.block_end()?;
                Ok(Node::Scope(body))
            }
            "print" => {
                let mut values = vec![self.expression()?];
                while self.pass(",") {
                    values.push(self.expression()?);
                }
                self.block_end()?;
                Ok(Node::Print(super::ast::Expr::Concat(values)))
            }
            "break" | "continue" => {
                if self.loops == 0 {
                    return Err(self.error(&format!("{name} stands outside of a loop")));
                }
                self.block_end()?;
                Ok(if name == "break" { Node::Break } else { Node::Continue })
            }
            "include" | "import" | "from" | "extends" => {
                Err(self.error(&format!("{name} would need another template, and there is none")))
            }
            _ => Err(self.error(&format!("the tag {name:?} is unknown"))),
        }
    }

    fn conditional(&mut self) -> Answer<Node> {
        let (mut cases, mut otherwise) = (Vec::new(), Vec::new());
        let mut condition = self.tuple_expression(false)?;
        self.block_end()?;
        loop {
            let (body, end) = self.body(&["elif", "else", "endif"])?;
            cases.push((condition, body));
            match end.as_deref() {
                Some("elif") => {
                    condition = self.tuple_expression(false)?;
                    self.block_end()?;
                    continue;
                }
                Some("else") => {
                    self.block_end()?;
                    otherwise = self.body_until("endif")?;
                }
                _ => self.block_end()?,
            }
            return Ok(Node::If(cases, otherwise));
        }
    }

    fn loop_(&mut self) -> Answer<Node> {
        let target = self.targets("in", false)?;
        if !self.pass_name("in") {
            return Err(self.error("\"in\" is missing"));
        }
        let over = self.tuple_expression(false)?;
        let only = if self.pass_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.pass_name("recursive");
        self.block_end()?;
        self.loops += 1;
        let (body, end) = self.body(&["endfor", "else"])?;
        self.loops -= 1;
        self.block_end()?;
        let otherwise = if end.as_deref() == Some("else") { self.body_until("endfor")? } else { Vec::new() };
        Ok(Node::For(Rc::new(Loop { target, over, only, body, otherwise, recursive })))
    }

    /// What values are assigned to, separated by commas.
    fn targets(&mut self, end: &str, fields: bool) -> Answer<Target> {
        let mut all = Vec::new();
        let mut comma = false;
        loop {
            if self.is_sign("=")
                || self.is_sign(")")
                || self.is_name(end)
                || self.peek() == Some(&Token::BlockEnd)
            {
                break;
            }
            all.push(self.target(fields)?);
            comma = self.pass(",");
            if !comma {
                break;
            }
        }
        match all.len() {
            0 => Err(self.error("a name is missing")),
            1 if !comma => all.pop().ok_or_else(|| self.error("a name is missing")),
            _ => Ok(Target::Tuple(all)),
        }
    }

    fn target(&mut self, fields: bool) -> Answer<Target> {
        self.deeper(|p| {
            if p.pass("(") {
                let inner = p.targets("", fields)?;
                p.expect(")")?;
                return Ok(inner);
            }
            let name = p.name()?;
            if matches!(&*name, "true" | "false" | "none" | "True" | "False" | "None") {
                return Err(p.error(&format!("{name} cannot be assigned")));
            }
            if fields && p.pass(".") {
                return Ok(Target::Field(name, p.name()?));
            }
            Ok(Target::Name(name))
        })
    }

    fn set(&mut self) -> Answer<Node> {
        let target = self.targets("", true)?;
        if self.pass("=") {
            let value = self.tuple_expression(true)?;
            self.block_end()?;
            return Ok(Node::Set(target, value));
        }
        let filter = if self.is_sign("|") {
            self.at += 1;
            Some(self.filter_chain(None)?)
        } else {
            None
        };
        self.block_end()?;
        Ok(Node::SetBlock(target, filter, self.body_until("endset")?))
    }

    fn with(&mut self) -> Answer<Node> {
        let mut values = Vec::new();
        while self.peek() != Some(&Token::BlockEnd) {
            if !values.is_empty() {
                self.expect(",")?;
            }
            let target = self.target(false)?;
            self.expect("=")?;
            values.push((target, self.expression()?));
        }
        self.block_end()?;
        Ok(Node::With(values, self.body_until("endwith")?))
    }

    /// Parameters of a macro, up to the closing bracket.
    fn parameters(&mut self) -> Answer<Vec<(Rc<str>, Option<super::ast::Expr>)>> {
        let mut all = Vec::new();
        while !self.pass(")") {
            if !all.is_empty() {
                self.expect(",")?;
            }
            let name = self.name()?;
            let default = if self.pass("=") { Some(self.expression()?) } else { None };
            all.push((name, default));
        }
        Ok(all)
    }

    fn macro_(&mut self) -> Answer<Node> {
        let name = self.name()?;
        self.expect("(")?;
        let parameters = self.parameters()?;
        self.block_end()?;
        Ok(Node::Macro(self.made(name, parameters, "endmacro")?))
    }

    fn made(
        &mut self,
        name: Rc<str>,
        parameters: Vec<(Rc<str>, Option<super::ast::Expr>)>,
        end: &str,
    ) -> Answer<Rc<Macro>> {
        let first = self.at;
        // A loop around a macro is none inside of it.
        let loops = std::mem::take(&mut self.loops);
        let body = self.body_until(end)?;
        self.loops = loops;
        let names = |name: &str| {
            self.tokens[first..self.at]
                .iter()
                .any(|(token, _)| matches!(token, Token::Name(n) if **n == *name))
        };
        let (takes_rest, takes_named_rest) = (names("varargs"), names("kwargs"));
        Ok(Rc::new(Macro { name, parameters, body, takes_rest, takes_named_rest }))
    }

    fn call_block(&mut self) -> Answer<Node> {
        let parameters = if self.pass("(") { self.parameters()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call, super::ast::Expr::Call(..)) {
            return Err(self.error("a call block calls nothing"));
        }
        self.block_end()?;
        Ok(Node::Call(call, self.made("caller".into(), parameters, "endcall")?))
    }

    /// Arguments, after the opening bracket.
    pub(super) fn arguments(&mut self) -> Answer<Arguments> {
        let mut found = Arguments::default();
        let mut first = true;
        while !self.pass(")") {
            if !first {
                self.expect(",")?;
                if self.pass(")") {
                    break;
                }
            }
            first = false;
            if self.pass("**") {
                found.named_rest = Some(Box::new(self.expression()?));
            } else if self.pass("*") {
                found.rest = Some(Box::new(self.expression()?));
            } else if matches!(self.peek(), Some(Token::Name(_)))
                && self.peek_second() == Some(&Token::Sign("="))
            {
                let name = self.name()?;
                self.at += 1;
                found.named.push((name, self.expression()?));
            } else if found.named.is_empty() {
                found.positional.push(self.expression()?);
            } else {
                return Err(self.error("an argument without a name follows one with a name"));
            }
        }
        Ok(found)
    }
}
