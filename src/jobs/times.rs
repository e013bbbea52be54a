//! Times in files and JSON: RFC 3339, UTC, to the second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serializer};

use crate::clock::rfc3339;

/// Seconds since the epoch.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The time so many seconds after the epoch; `None` for times no clock shows.
pub fn time(seconds: f64) -> Option<SystemTime> {
    // The year 9999 is the last that the format can say.
    if !(0.0..253_402_300_800.0).contains(&seconds) {
        return None;
    }
    Some(UNIX_EPOCH + Duration::from_secs(seconds as u64))
}

/// As text, to the second; empty without a time.
pub fn text(time: Option<SystemTime>) -> String {
    time.map_or(String::new(), rfc3339)
}

/// Writes a time as text, or null.
pub fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(_) => serializer.serialize_some(&text(*time)),
        None => serializer.serialize_none(),
    }
}

/// Reads a time; one that makes no sense is none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| humantime::parse_rfc3339_weak(&text).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_clock_shows_are_left_out() {
        assert_eq!(text(time(0.5)), "1970-01-01T00:00:00Z");
        assert!([f64::NAN, -1.0, 1e300].iter().all(|&seconds| time(seconds).is_none()));
        assert_eq!(text(Some(UNIX_EPOCH - Duration::from_secs(9))), "1970-01-01T00:00:00Z");
        assert_eq!(text(None), "");
    }
}
