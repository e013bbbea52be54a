//! Filling a prompt template.

use super::Template;

/// A stretch of a filled template: what a person wrote, or what the template adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Part of the filled template.
    pub text: String,
    /// Whether a person wrote it.
    pub typed: bool,
}

impl Template {
    /// The prompt for an instruction and an input, in stretches. An empty input takes the line break before
    /// it along. Braces in the instruction or input are not looked at again.
    pub fn fill(&self, instruction: &str, input: &str) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut push = |text: &str, typed: bool| {
            if !text.is_empty() {
                stretches.push(Stretch { text: text.to_string(), typed });
            }
        };
        let mut rest = self.prompt.as_str();
        loop {
            let next = ["{instruction}", "{input}"]
                .into_iter()
                .filter_map(|mark| rest.find(mark).map(|at| (at, mark)))
                .min();
            let Some((at, mark)) = next else { break };
            let (value, mut before) = match mark {
                "{input}" => (input, &rest[..at]),
                _ => (instruction, &rest[..at]),
            };
            if mark == "{input}" && input.is_empty() {
                before = before.strip_suffix('\n').unwrap_or(before);
            }
            push(before, false);
            push(value, true);
            rest = &rest[at + mark.len()..];
        }
        push(rest, false);
        stretches
    }

    /// Instruction and input as a person would type them into a chat: on lines of their own.
    pub fn content(&self, instruction: &str, input: &str) -> String {
        match input {
            "" => instruction.to_string(),
            input => format!("{instruction}\n{input}"),
        }
    }

    /// The prompt as one text.
    pub fn render(&self, instruction: &str, input: &str) -> String {
        self.fill(instruction, input).into_iter().map(|s| s.text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_marks_once_and_drops_the_line_of_an_empty_input() {
        let template = Template { prompt: "<u>{instruction}\n{input}</u>".into(), end: "</s>".into() };
        assert_eq!(template.render("Say {input}", "x"), "<u>Say {input}\nx</u>");
        assert_eq!(template.render("Say hi", ""), "<u>Say hi</u>");
        let typed: Vec<bool> = template.fill("a", "b").iter().map(|s| s.typed).collect();
        assert_eq!(typed, [false, true, false, true, false]);
    }
}
