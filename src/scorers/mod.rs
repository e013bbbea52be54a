//! How a task's answers are scored. A new scorer is a file here and a line in [`SCORERS`].

mod accuracy;
mod choice;
mod choice_norm;
mod exact_match;
mod loss;
mod porter;
mod rouge_l;
mod scorer;
mod scorings;
mod suited;
mod token_f1;

pub use scorer::{Asks, Likelihood, Scorer, likeliest};
pub use scorings::{Answers, SCORINGS, Scoring};
pub use suited::Answered;

use crate::named::{Named, by_name};

/// Every scorer. The first is that of a task that names none.
pub static SCORERS: &[Scorer] = &[
    exact_match::SCORER,
    accuracy::SCORER,
    choice::SCORER,
    choice_norm::SCORER,
    rouge_l::SCORER,
    token_f1::SCORER,
    loss::SCORER,
];

impl Named for Scorer {
    const KIND: &'static str = "metric";

    fn all() -> &'static [Self] {
        SCORERS
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}
by_name!(Scorer);

impl Default for Scorer {
    fn default() -> Self {
        SCORERS[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_match_is_strict_and_labels_forgive_form() {
        let right = |name: &str, answer: &str, reference: &str| match Scorer::named(name).unwrap().asks {
            Asks::Answer { score, .. } => score(answer, reference) == 1.0,
            asks => panic!("{name} asks for {asks:?}"),
        };
        assert!(right("exact_match", " 3:00 pm\n", "3:00 pm"));
        assert!(!right("exact_match", "3:00 PM", "3:00 pm"));
        assert!(right("accuracy", "Positive.", "positive"));
        assert!(!right("accuracy", "It is positive", "positive"));
    }

    #[test]
    fn options_compare_by_their_sums_or_per_character() {
        let option = |text, log_probability| Likelihood { text, tokens: 2, log_probability };
        let options = [option("no", -4.0), option("ÿes, of course", -7.0), option("ab", -4.0)];
        let chosen = |name: &str| match Scorer::named(name).unwrap().asks {
            Asks::Options(value) => likeliest(&options.iter().map(value).collect::<Vec<_>>()),
            _ => None,
        };
        assert_eq!((chosen("choice"), chosen("choice_norm")), (Some(0), Some(1)));
        assert_eq!(likeliest(&[f64::NAN, -3.0, f64::NEG_INFINITY]), Some(1));
        assert_eq!(likeliest(&[f64::NAN]), None);
        let Asks::Reference(loss) = Scorer::named("loss").unwrap().asks else { panic!("no loss") };
        assert_eq!(loss(&option("x", -3.0)), 1.5);
    }

    #[test]
    fn there_is_hope_for_every_beginning_of_a_right_answer() {
        let answers = |name: &str| match Scorer::named(name).unwrap().asks {
            Asks::Answer { score, hope: Some(hope) } => (score, hope),
            asks => panic!("{name} asks for {asks:?}"),
        };
        for (name, answer, reference) in [
            ("exact_match", "3:00 pm \n", " 3:00 pm"),
            ("accuracy", "PosItive. ", "positive"),
            ("accuracy", "İ.", "i\u{307}"),
            ("accuracy", "ΟΔΟΣ ΟΔΟΣ", "οδος οδος"),
        ] {
            let (score, hope) = answers(name);
            assert_eq!(score(answer, reference), 1.0, "{answer}");
            for (end, _) in answer.char_indices().chain([(answer.len(), ' ')]) {
                assert!(hope(answer[..end].trim_start(), reference), "{name}: {:?}", &answer[..end]);
            }
        }
        let (_, hope) = answers("exact_match");
        assert!(!hope("3:00 P", "3:00 pm") && !hope("3:00 pm x", "3:00 pm"));
        let (_, hope) = answers("accuracy");
        assert!(!hope("It", "positive") && !hope("positive, ", "positive"));
    }
}
