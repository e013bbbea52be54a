//! What a template says, parsed.

use std::rc::Rc;

/// An expression.
#[derive(Debug)]
pub(super) enum Expr {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    Name(Rc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// `a.b`.
    Attribute(Box<Expr>, Rc<str>),
    /// `a[b]`.
    Item(Box<Expr>, Box<Expr>),
    /// `a[start:stop:step]`.
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Arguments),
    /// A filter; of the text of a block where there is no value.
    Filter(Option<Box<Expr>>, Rc<str>, Arguments),
    Test(Box<Expr>, Rc<str>, Arguments),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `a ~ b ~ c`.
    Concat(Vec<Expr>),
    /// `a < b <= c`.
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    /// Value, condition, otherwise.
    Condition(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// What stands between the parentheses of a call.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub positional: Vec<Expr>,
    pub named: Vec<(Rc<str>, Expr)>,
    /// `*a`.
    pub rest: Option<Box<Expr>>,
    /// `**a`.
    pub named_rest: Option<Box<Expr>>,
}

/// What a value is assigned to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Rc<str>),
    Tuple(Vec<Target>),
    /// A field of a namespace.
    Field(Rc<str>, Rc<str>),
}

/// A macro, or what a `call` block passes on.
#[derive(Debug)]
pub(super) struct Macro {
    pub name: Rc<str>,
    /// With their defaults.
    pub parameters: Vec<(Rc<str>, Option<Expr>)>,
    pub body: Vec<Node>,
    /// Whether it names `varargs`, `kwargs` or `caller`.
    pub takes_rest: bool,
    pub takes_named_rest: bool,
}

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(Rc<str>),
    Print(Expr),
    /// Conditions with their bodies, and what else.
    If(Vec<(Expr, Vec<Node>)>, Vec<Node>),
    For(Rc<Loop>),
    Set(Target, Expr),
    /// The text of a body, through filters.
    SetBlock(Target, Option<Expr>, Vec<Node>),
    With(Vec<(Target, Expr)>, Vec<Node>),
    /// A body with variables of its own.
    Scope(Vec<Node>),
    Filtered(Expr, Vec<Node>),
    Macro(Rc<Macro>),
    /// A call of a macro that may call the body.
    Call(Expr, Rc<Macro>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct Loop {
    pub target: Target,
    pub over: Expr,
    pub only: Option<Expr>,
    pub body: Vec<Node>,
    pub otherwise: Vec<Node>,
    pub recursive: bool,
}
