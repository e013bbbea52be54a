//! Every shape: the first whose columns are there is that of a file.

use super::Role::{Answer, Choices, Input, Instruction, Output, System};
use super::messages::{self, MESSAGES, SHAREGPT};
use super::{Shape, choice, may, needs, pair};

/// What numbers and labels of right choices are called.
const ANSWERS: &[&str] = &[
    "answer",
    "answerKey",
    "answer_key",
    "answer_index",
    "answer_idx",
    "label",
    "gold",
    "correct",
    "target",
];
/// What questions with choices are called.
const QUESTIONS: &[&str] =
    &["question", "question_stem", "query", "ctx", "prompt", "instruction", "input", "sentence", "premise"];

/// Every shape, in the order in which they are tried.
pub static SHAPES: &[Shape] = &[
    MESSAGES,
    SHAREGPT,
    Shape {
        name: "two_solutions",
        help: "PIQA: a goal and two ways to it, the right one counted from 0",
        fields: &[needs(Instruction, &["goal"]), needs(Choices, &["sol1+sol2"]), needs(Answer, &["label"])],
        base: 0,
        without: &[],
        build: choice::build,
    },
    Shape {
        name: "two_options",
        help: "WinoGrande: a sentence and two options, the right one counted from 1",
        fields: &[
            needs(Instruction, &["sentence"]),
            needs(Choices, &["option1+option2"]),
            needs(Answer, &["answer"]),
        ],
        base: 1,
        without: &[],
        build: choice::build,
    },
    Shape {
        name: "three_answers",
        help: "Social IQa: a context, a question and three answers, the right one counted from 1",
        fields: &[
            needs(Instruction, &["question"]),
            may(Input, &["context"]),
            needs(Choices, &["answerA+answerB+answerC"]),
            needs(Answer, &["label"]),
        ],
        base: 1,
        without: &[],
        build: choice::build,
    },
    Shape {
        name: "two_choices",
        help: "COPA: a premise and two choices, the right one counted from 0",
        fields: &[
            needs(Instruction, &["premise"]),
            may(Input, &["question"]),
            needs(Choices, &["choice1+choice2"]),
            needs(Answer, &["label"]),
        ],
        base: 0,
        without: &[],
        build: choice::build,
    },
    Shape {
        name: "choices",
        help: "A question with a list of choices (ARC, MMLU, HellaSwag, OpenBookQA, CommonsenseQA); the answer is a \
               number from 0, a letter, a label or a text",
        fields: &[
            needs(Instruction, QUESTIONS),
            may(Input, &["passage", "context", "support", "article"]),
            needs(Choices, &["choices", "options", "endings"]),
            needs(Answer, ANSWERS),
        ],
        base: 0,
        without: &[],
        build: choice::build,
    },
    Shape {
        name: "lettered",
        help: "A question with a column per choice, as MMLU's CSV and MedMCQA have them; the answer is a letter, a number \
               from 0 or a text",
        fields: &[
            needs(Instruction, QUESTIONS),
            may(Input, &["passage", "context", "support", "article"]),
            needs(
                Choices,
                &["A+B+C+D+E", "A+B+C+D", "opa+opb+opc+opd", "option_a+option_b+option_c+option_d"],
            ),
            needs(Answer, &["cop", "answer", "answerKey", "answer_key", "label", "correct", "target"]),
        ],
        base: 0,
        without: &[],
        build: choice::build,
    },
    Shape {
        name: "distractors",
        help: "SciQ: a question, the right answer and three wrong ones",
        fields: &[
            needs(Instruction, &["question"]),
            may(Input, &["support"]),
            needs(Choices, &["correct_answer+distractor1+distractor2+distractor3"]),
            needs(Answer, &["correct_answer"]),
        ],
        base: 0,
        without: &[],
        build: choice::build,
    },
    Shape {
        name: "alpaca",
        help: "Stanford Alpaca and Dolly",
        fields: &[
            needs(Instruction, &["instruction"]),
            may(Input, &["input", "context"]),
            needs(Output, &["output", "response"]),
            may(System, &["system"]),
        ],
        base: 0,
        without: &[],
        build: pair::build,
    },
    Shape {
        name: "source_target",
        help: "Flan and P3, as the paper's tasks are kept",
        fields: &[needs(Instruction, &["source", "inputs"]), needs(Output, &["target", "targets"])],
        base: 0,
        without: &[],
        build: pair::build,
    },
    Shape {
        name: "completion",
        help: "A prompt and its completion (OpenAI, mlx-lm, TRL, metharme), each a text or a list of turns",
        fields: &[
            needs(Instruction, &["prompt"]),
            needs(Output, &["completion", "response", "generation", "output"]),
            may(System, &["system", "system_prompt"]),
        ],
        base: 0,
        without: &[],
        build: messages::completion,
    },
    Shape {
        name: "question",
        help: "A question and its answer or answers, perhaps with a passage (SQuAD, BoolQ, OpenOrca)",
        fields: &[
            needs(Instruction, &["question"]),
            may(Input, &["context", "passage"]),
            needs(Output, &["answers", "answer", "response"]),
            may(System, &["system_prompt"]),
        ],
        base: 0,
        // Then it is one of several answers, of which some are wrong.
        without: &["label", "labels", "correct", "correct_answer_id"],
        build: pair::build,
    },
    Shape {
        name: "definition",
        help: "A definition with inputs and lists of right outputs (Natural Instructions, BIG-bench)",
        fields: &[
            needs(Instruction, &["input", "inputs", "query"]),
            needs(Output, &["output", "outputs", "target", "targets", "response"]),
            may(System, &["definition"]),
        ],
        base: 0,
        without: &[],
        build: pair::build,
    },
    Shape {
        name: "summary",
        help: "A text and its summary",
        fields: &[
            needs(Instruction, &["document", "article", "dialogue", "text"]),
            needs(Output, &["summary", "highlights"]),
        ],
        base: 0,
        without: &[],
        build: pair::build,
    },
    Shape {
        name: "entailment",
        help: "A premise, a hypothesis and a label",
        fields: &[needs(Instruction, &["premise"]), needs(Input, &["hypothesis"]), needs(Output, &["label"])],
        base: 0,
        without: &[],
        build: pair::build,
    },
    Shape {
        name: "label",
        help: "A text and its label; numbers of classes are written as their names where the file has them",
        fields: &[
            needs(Instruction, &["text", "sentence", "content", "review"]),
            needs(Output, &["label", "labels"]),
        ],
        base: 0,
        // Then the label is of both.
        without: &["question"],
        build: pair::build,
    },
];

/// The shape of columns that a person named.
pub(super) static NAMED_PAIR: Shape = OF_NAMES;
/// The same with choices.
pub(super) static NAMED_CHOICES: Shape = Shape { build: choice::build, ..OF_NAMES };
const OF_NAMES: Shape = Shape {
    name: "fields",
    help: "Columns that were named",
    fields: &[],
    base: 0,
    without: &[],
    build: pair::build,
};
