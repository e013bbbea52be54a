//! The functions and methods that there are. What would change a value is left out, as the sandbox refuses it.

use super::value::Value;

const FUNCTIONS: [&str; 9] =
    ["range", "dict", "namespace", "cycler", "joiner", "raise_exception", "strftime_now", "lipsum", "debug"];

const OF_TEXTS: [&str; 44] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

/// Methods that would change a list or dictionary.
pub(super) const CHANGING: [&str; 15] = [
    "append",
    "extend",
    "insert",
    "remove",
    "pop",
    "clear",
    "sort",
    "reverse",
    "update",
    "setdefault",
    "popitem",
    "add",
    "discard",
    "appendleft",
    "popleft",
];

/// The function of this name.
pub(super) fn function(name: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|known| **known == name).copied()
}

/// Whether a value has a method of this name.
pub(super) fn has_method(value: &Value, name: &str) -> bool {
    match value {
        Value::Str(_) => OF_TEXTS.contains(&name),
        Value::List(_) => matches!(
            name,
            "count"
                | "index"
                | "copy"
                | "append"
                | "extend"
                | "insert"
                | "remove"
                | "pop"
                | "clear"
                | "sort"
                | "reverse"
        ),
        Value::Tuple(_) => matches!(name, "count" | "index"),
        Value::Dict(_) => matches!(
            name,
            "get"
                | "items"
                | "keys"
                | "values"
                | "copy"
                | "pop"
                | "clear"
                | "update"
                | "setdefault"
                | "popitem"
        ),
        Value::Loop(_) => matches!(name, "cycle" | "changed"),
        Value::Cycler(_) => matches!(name, "next" | "reset"),
        Value::Int(_) => matches!(name, "bit_length"),
        Value::Float(_) => matches!(name, "is_integer"),
        _ => false,
    }
}
