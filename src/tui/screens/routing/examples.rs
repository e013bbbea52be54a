//! Prompts to begin with.

/// Used until the experts' own tasks are known.
pub fn defaults() -> Vec<String> {
    [
        "Convert the date to ISO 8601.\nJune 14, 1943",
        "Rewrite this snake_case identifier in camelCase.\nmain_batch_date",
        "Is this review positive or negative?\nThe soup was cold and the waiter was rude.",
    ]
    .map(String::from)
    .to_vec()
}
