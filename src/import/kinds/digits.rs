//! Whole numbers of JSON that no type of number has room for: read as ones with a fraction, they lose digits.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use serde_json::Value;

/// Fewest digits of a whole number that neither `u64` nor `i64` has room for.
const FEWEST: usize = 19;

/// Whether a value, or one in it, may be such a number.
pub(super) fn may_lack(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_f64() && number.as_f64().is_some_and(|number| number.abs() >= 9.2e18)
        }
        Value::Array(values) => values.iter().any(may_lack),
        Value::Object(fields) => fields.values().any(may_lack),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Looks for whole numbers of many digits in JSON that comes in parts.
#[derive(Debug, Default)]
pub(super) struct Digits {
    in_text: bool,
    escaped: bool,
    digits: usize,
    has_fraction: bool,
    found: bool,
}

impl Digits {
    /// Whether a text has one.
    pub fn are_in(text: &str) -> bool {
        let mut digits = Self::default();
        digits.take(text.as_bytes());
        digits.end();
        digits.found
    }

    /// The next part.
    pub fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => {
                    self.end();
                    self.in_text = !self.in_text;
                }
                _ if self.in_text => {}
                b'0'..=b'9' => self.digits += 1,
                b'.' | b'e' | b'E' => self.has_fraction = true,
                _ => self.end(),
            }
        }
    }

    /// A number, if there was one, has ended.
    fn end(&mut self) {
        self.found |= self.digits >= FEWEST && !self.has_fraction;
        (self.digits, self.has_fraction) = (0, false);
    }
}

/// What passes from a reader, looked at.
pub(super) struct Watched<R> {
    pub inner: R,
    pub digits: Rc<RefCell<Digits>>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digits.borrow_mut().take(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Whether such a number has passed.
pub(super) fn have_passed(digits: &RefCell<Digits>) -> bool {
    digits.borrow().found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_lose_digits_are_found() {
        for (text, found) in [
            ("{\"a\": 12345678901234567890123456780}", true),
            ("[-9223372036854775809]", true),
            ("18446744073709551616", true),
            ("[1e30, 12345678901234567890.5, 1234567890123456789e2, 123456789012345678]", false),
            ("{\"12345678901234567890123\": \"\\\"12345678901234567890123\", \"b\": true}", false),
        ] {
            assert_eq!(Digits::are_in(text), found, "{text}");
            // In parts of one byte.
            let mut digits = Digits::default();
            text.bytes().for_each(|byte| digits.take(&[byte]));
            digits.end();
            assert_eq!(digits.found, found, "{text}");
        }
        let of = |text: &str| may_lack(&serde_json::from_str(text).unwrap());
        assert!(of("[{\"a\": 18446744073709551616}]") && of("-9223372036854775809"));
        assert!(!of("18446744073709551615") && !of("-9223372036854775808") && !of("1e18"));
    }
}
