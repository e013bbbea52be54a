//! Times as texts have them, whatever the clock says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second that four digits of a year can say: the end of 9999.
const LAST: u64 = 253_402_300_799;

/// A time in UTC to the second, as RFC 3339 has it. What lies before 1970 or after 9999, as clocks without a battery
/// do, is said as the first or last second between.
pub fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST);
    #[allow(clippy::disallowed_methods, reason = "within what it can say, as looked at above")]
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// Now, as [`rfc3339`] has it.
pub fn now_rfc3339() -> String {
    rfc3339(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_calendar_has_are_said_without_a_panic() {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(1_795_508_130)), "2026-11-24T08:15:30Z");
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(1 << 40)), "9999-12-31T23:59:59Z");
        assert!(now_rfc3339().ends_with('Z'));
    }
}
