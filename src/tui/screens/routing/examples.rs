//! Prompts to begin with.

/// Used until the experts' own tasks are known.
pub fn defaults() -> Vec<String> {
    [
        "What is the plural of \"mouse\"?",
        "How many meters are 12 kilometers?",
        "Is this review positive or negative?\nThe food was cold and the waiter was rude.",
    ]
    .map(String::from)
    .to_vec()
}
