//! Members of a closed set as values of an option.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::named::Named;

/// A value parser for the members of a set: `--help`, completions and errors list them.
///
/// `#[arg(long, value_parser = choice::<Metric>(), default_value_t)]`
pub fn choice<T: Named + Clone>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(possible::<T>()).try_map(|name: String| T::named(&name).cloned())
}

/// The members with their help lines.
fn possible<T: Named>() -> Vec<PossibleValue> {
    T::all().iter().map(|member| PossibleValue::new(member.name()).help(member.help())).collect()
}
