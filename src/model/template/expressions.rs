//! Expressions, by their precedence.

use std::rc::Rc;

use super::ast::{Arguments, Comparison, Expr, Operator};
use super::lexer::Token;
use super::parser::{Answer, NESTING, Parser};

impl Parser {
    /// One expression.
    pub(super) fn expression(&mut self) -> Answer<Expr> {
        self.deeper(Self::condition)
    }

    /// An expression, or several that make a tuple.
    pub(super) fn tuple_expression(&mut self, conditions: bool) -> Answer<Expr> {
        let one = |p: &mut Self| if conditions { p.expression() } else { p.deeper(Self::or) };
        let first = one(self)?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.pass(",") {
            let ends = match self.peek() {
                None | Some(Token::PrintEnd | Token::BlockEnd) => true,
                _ => self.is_sign(")"),
            };
            if ends {
                break;
            }
            all.push(one(self)?);
        }
        Ok(Expr::Tuple(all))
    }

    fn condition(&mut self) -> Answer<Expr> {
        let mut value = self.or()?;
        let mut links = 0;
        while self.pass_name("if") {
            self.link(&mut links)?;
            let test = self.or()?;
            let otherwise = if self.pass_name("else") { Some(Box::new(self.expression()?)) } else { None };
            value = Expr::Condition(Box::new(value), Box::new(test), otherwise);
        }
        Ok(value)
    }

    /// Counts the links of a chain, which makes a tree as deep as it is long.
    fn link(&self, links: &mut usize) -> Answer<()> {
        *links += 1;
        if *links > NESTING { Err(self.error("a chain of operators is too long")) } else { Ok(()) }
    }

    fn or(&mut self) -> Answer<Expr> {
        let mut left = self.and()?;
        let mut links = 0;
        while self.pass_name("or") {
            self.link(&mut links)?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Answer<Expr> {
        let mut left = self.not()?;
        let mut links = 0;
        while self.pass_name("and") {
            self.link(&mut links)?;
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Answer<Expr> {
        if self.pass_name("not") {
            return Ok(Expr::Not(Box::new(self.deeper(Self::not)?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Answer<Expr> {
        let first = self.sum()?;
        let mut links = Vec::new();
        loop {
            let not_in =
                self.is_name("not") && matches!(self.peek_second(), Some(Token::Name(n)) if **n == *"in");
            let comparison = match self.peek() {
                Some(Token::Sign("==")) => Comparison::Equal,
                Some(Token::Sign("!=")) => Comparison::NotEqual,
                Some(Token::Sign("<")) => Comparison::Less,
                Some(Token::Sign("<=")) => Comparison::LessOrEqual,
                Some(Token::Sign(">")) => Comparison::Greater,
                Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
                Some(Token::Name(name)) if **name == *"in" => Comparison::In,
                _ if not_in => {
                    self.next();
                    Comparison::NotIn
                }
                _ if links.is_empty() => return Ok(first),
                _ => return Ok(Expr::Compare(Box::new(first), links)),
            };
            self.next();
            links.push((comparison, self.sum()?));
        }
    }

    fn chain(&mut self, signs: &[(&str, Operator)], part: fn(&mut Self) -> Answer<Expr>) -> Answer<Expr> {
        let mut left = part(self)?;
        let mut links = 0;
        while let Some((_, operator)) = signs.iter().find(|(sign, _)| self.is_sign(sign)) {
            self.link(&mut links)?;
            self.next();
            left = Expr::Binary(*operator, Box::new(left), Box::new(part(self)?));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Answer<Expr> {
        self.chain(&[("+", Operator::Add), ("-", Operator::Subtract)], Self::concatenation)
    }

    fn concatenation(&mut self) -> Answer<Expr> {
        let first = self.product()?;
        if !self.is_sign("~") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.pass("~") {
            all.push(self.product()?);
        }
        Ok(Expr::Concat(all))
    }

    fn product(&mut self) -> Answer<Expr> {
        let signs = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("//", Operator::FloorDivide),
            ("%", Operator::Modulo),
        ];
        self.chain(&signs, Self::power)
    }

    fn power(&mut self) -> Answer<Expr> {
        self.chain(&[("**", Operator::Power)], |p| p.unary(true))
    }

    fn unary(&mut self, filters: bool) -> Answer<Expr> {
        let value = if self.pass("-") {
            Expr::Negative(Box::new(self.deeper(|p| p.unary(false))?))
        } else if self.pass("+") {
            Expr::Positive(Box::new(self.deeper(|p| p.unary(false))?))
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        if filters { self.filters_and_tests(value) } else { Ok(value) }
    }

    fn primary(&mut self) -> Answer<Expr> {
        match self.next() {
            Some(Token::Name(name)) => Ok(match &*name {
                "true" | "True" => Expr::Bool(true),
                "false" | "False" => Expr::Bool(false),
                "none" | "None" => Expr::None,
                _ => Expr::Name(name),
            }),
            Some(Token::Str(mut text)) => {
                // Texts side by side are one.
                while let Some(Token::Str(more)) = self.peek() {
                    text = format!("{text}{more}").into();
                    self.next();
                }
                Ok(Expr::Str(text))
            }
            Some(Token::Int(number)) => Ok(Expr::Int(number)),
            Some(Token::Float(number)) => Ok(Expr::Float(number)),
            Some(Token::Sign("(")) => {
                if self.pass(")") {
                    return Ok(Expr::Tuple(Vec::new()));
                }
                let inner = self.tuple_expression(true)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Sign("[")) => {
                let mut items = Vec::new();
                while !self.pass("]") {
                    if !items.is_empty() {
                        self.expect(",")?;
                        if self.pass("]") {
                            break;
                        }
                    }
                    items.push(self.expression()?);
                }
                Ok(Expr::List(items))
            }
            Some(Token::Sign("{")) => {
                let mut entries = Vec::new();
                while !self.pass("}") {
                    if !entries.is_empty() {
                        self.expect(",")?;
                        if self.pass("}") {
                            break;
                        }
                    }
                    let key = self.expression()?;
                    self.expect(":")?;
                    entries.push((key, self.expression()?));
                }
                Ok(Expr::Dict(entries))
            }
            _ => Err(self.error("an expression is missing")),
        }
    }

    fn postfix(&mut self, mut value: Expr) -> Answer<Expr> {
        let mut links = 0;
        loop {
            self.link(&mut links)?;
            if self.pass(".") {
                value = match self.next() {
                    Some(Token::Name(name)) => Expr::Attribute(Box::new(value), name),
                    Some(Token::Int(index)) => Expr::Item(Box::new(value), Box::new(Expr::Int(index))),
                    _ => return Err(self.error("a name is missing after a dot")),
                };
            } else if self.pass("[") {
                value = self.subscript(value)?;
            } else if self.pass("(") {
                value = Expr::Call(Box::new(value), self.arguments()?);
            } else {
                return Ok(value);
            }
        }
    }

    fn subscript(&mut self, value: Expr) -> Answer<Expr> {
        let mut parts = [None, None, None];
        let mut at = 0;
        let mut is_slice = false;
        while !self.pass("]") {
            if self.pass(":") {
                is_slice = true;
                at += 1;
            } else if at < 3 && parts[at].is_none() {
                parts[at] = Some(Box::new(self.expression()?));
            } else {
                return Err(self.error("\"]\" is missing"));
            }
        }
        match parts {
            _ if is_slice => Ok(Expr::Slice(Box::new(value), parts)),
            [Some(index), ..] => Ok(Expr::Item(Box::new(value), index)),
            _ => Err(self.error("brackets are empty")),
        }
    }

    fn filters_and_tests(&mut self, mut value: Expr) -> Answer<Expr> {
        let mut links = 0;
        loop {
            self.link(&mut links)?;
            if self.pass("|") {
                value = self.one_filter(Some(value))?;
            } else if self.pass_name("is") {
                value = self.test(value)?;
            } else if self.pass("(") {
                value = Expr::Call(Box::new(value), self.arguments()?);
            } else {
                return Ok(value);
            }
        }
    }

    /// A name with dots.
    fn dotted(&mut self) -> Answer<Rc<str>> {
        let mut name = self.name()?.to_string();
        while self.pass(".") {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(name.into())
    }

    fn one_filter(&mut self, value: Option<Expr>) -> Answer<Expr> {
        let name = self.dotted()?;
        let arguments = if self.pass("(") { self.arguments()? } else { Arguments::default() };
        Ok(Expr::Filter(value.map(Box::new), name, arguments))
    }

    /// Filters one after another, the first of them named here.
    pub(super) fn filter_chain(&mut self, value: Option<Expr>) -> Answer<Expr> {
        let mut filter = self.one_filter(value)?;
        let mut links = 0;
        while self.pass("|") {
            self.link(&mut links)?;
            filter = self.one_filter(Some(filter))?;
        }
        Ok(filter)
    }

    fn test(&mut self, value: Expr) -> Answer<Expr> {
        let negated = self.pass_name("not");
        let name = self.dotted()?;
        let mut arguments = Arguments::default();
        if self.pass("(") {
            arguments = self.arguments()?;
        } else {
            let begins = match self.peek() {
                Some(Token::Name(name)) => !matches!(&**name, "else" | "or" | "and" | "is"),
                Some(Token::Str(_) | Token::Int(_) | Token::Float(_)) => true,
                Some(Token::Sign(sign)) => matches!(*sign, "(" | "[" | "{"),
                _ => false,
            };
            // What follows "if" belongs to a condition around it.
            if begins && !self.is_name("if") && !self.is_name("in") && !self.is_name("not") {
                let argument = self.primary()?;
                arguments.positional.push(self.postfix(argument)?);
            }
        }
        let test = Expr::Test(Box::new(value), name, arguments);
        Ok(if negated { Expr::Not(Box::new(test)) } else { test })
    }
}
