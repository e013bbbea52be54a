//! One item's result, as a line of a file.

use sha2::{Digest, Sha256};

use crate::outside::hex;

/// What a method made of one item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// 0 to 1, or a loss in nats.
    pub score: f64,
    /// Log-probability in nats of the reference, where it was computed.
    pub log_probability: Option<f64>,
    /// What was answered, where it had to be known; untrusted.
    pub answer: Option<String>,
}

/// Characters of a checksum.
const SUM: usize = 8;
/// Stands for what is not known.
const NONE: &str = "-";

fn checksum(text: &str) -> String {
    let mut sum = hex(&Sha256::digest(text));
    sum.truncate(SUM);
    sum
}

impl Record {
    /// The line of an item: a checksum, then, between tabs, its number, the score, the log-probability and the answer
    /// as JSON. Numbers are written so that they are read back bit for bit.
    pub(super) fn line(&self, item: usize) -> String {
        let number = |value: Option<f64>| value.map_or(NONE.into(), |value| format!("{value:?}"));
        let answer = self
            .answer
            .as_ref()
            .map_or(NONE.into(), |answer| serde_json::to_string(answer).unwrap_or_else(|_| NONE.into()));
        let rest = format!("{item}\t{:?}\t{}\t{answer}", self.score, number(self.log_probability));
        format!("{}\t{rest}", checksum(&rest))
    }

    /// The item and its record; `None` where the line is no such, or is damaged.
    pub(super) fn read(line: &str) -> Option<(usize, Self)> {
        let (sum, rest) = line.split_once('\t')?;
        if sum != checksum(rest) {
            return None;
        }
        let mut fields = rest.split('\t');
        let mut next = || fields.next();
        let item = next()?.parse().ok()?;
        let score = next()?.parse().ok()?;
        let log_probability = match next()? {
            NONE => None,
            number => Some(number.parse().ok()?),
        };
        let answer = match next()? {
            NONE => None,
            text => Some(serde_json::from_str(text).ok()?),
        };
        Some((item, Self { score, log_probability, answer }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_read_back_bit_for_bit(
            item in 0usize..1_000_000,
            score in -1e3f64..1e3,
            log_probability in proptest::option::of(-1e6f64..0.0),
            answer in proptest::option::of(".*"),
        ) {
            let record = Record { score, log_probability, answer };
            let line = record.line(item);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(Record::read(&line), Some((item, record)));
        }

        #[test]
        fn a_damaged_line_is_none(at in 0usize..40, byte in 0u8..128) {
            let record = Record { score: 0.25, log_probability: Some(-3.5), answer: Some("a\tb\n".into()) };
            let line = record.line(17);
            let mut bytes = line.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let damaged = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(Record::read(&damaged).is_some(), damaged == line);
        }

        #[test]
        fn a_torn_line_is_none(cut in 0usize..60) {
            let line = Record { score: 1.0, ..Record::default() }.line(3);
            if cut < line.len() {
                prop_assert_eq!(Record::read(&line[..cut]), None);
            }
        }
    }
}
