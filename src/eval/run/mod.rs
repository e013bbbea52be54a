//! Answers to items, methods × tasks: what is known is read, and only the rest is computed.

mod judge;
mod pass;
mod plan;
mod request;
mod shared;
mod work;

pub(super) use plan::split_of;
pub use plan::{Answered, Order, Progress};
pub(super) use request::{in_template, with_its_answer};
