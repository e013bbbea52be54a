//! The local time, written by the directives of C's `strftime`.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time of a day of a year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub year: i64,
    /// From 1.
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub microsecond: u32,
}

/// Now, where this machine is.
pub(super) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let mut time = Time::at(seconds.saturating_add(offset(seconds)));
    time.microsecond = since.subsec_micros();
    time
}

/// Seconds that the local time is ahead of UTC.
#[cfg(unix)]
#[allow(clippy::unnecessary_cast, reason = "the types of C have 32 bits on some machines")]
fn offset(seconds: i64) -> i64 {
    let clock = seconds as libc::time_t;
    let mut local = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are of values that live through the call, and it keeps neither.
    let found = unsafe { libc::localtime_r(&clock, local.as_mut_ptr()) };
    if found.is_null() {
        return 0;
    }
    // SAFETY: every field of `tm` may be zero, and the call has filled it in.
    let local = unsafe { local.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "narrower on some systems")]
    let offset = local.tm_gmtoff as i64;
    offset
}

/// Seconds that the local time is ahead of UTC: not known here.
#[cfg(not(unix))]
fn offset(_seconds: i64) -> i64 {
    0
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Time {
    /// The time of so many seconds after 1970.
    fn at(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u32);
        // Years that begin in March have their leap day at the end.
        let shifted = days + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month + 2) / 5 + 1) as u32;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Self {
            year: year + era * 400 + i64::from(month <= 2),
            month: month as u32,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            microsecond: 0,
        }
    }

    /// Days since the year's first.
    fn day_of_year(&self) -> u32 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let month = self.month.clamp(1, 12) as usize - 1;
        before[month] + self.day - 1 + u32::from(leap && month > 1)
    }

    /// From Sunday, 0.
    fn weekday(&self) -> usize {
        let year = self.year - 1;
        let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        (days + i64::from(self.day_of_year()) + 1).rem_euclid(7) as usize
    }

    /// The time by a format; directives that are not known stay as they are.
    pub fn written(&self, format: &str) -> String {
        let mut out = String::new();
        let mut letters = format.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            // Signs of glibc: no filling, spaces, zeros, capitals.
            let flag = letters.next_if(|c| "-_0^".contains(*c));
            let Some(directive) = letters.next() else {
                out.push('%');
                break;
            };
            match self.directive(directive, flag) {
                Some(text) if flag == Some('^') => out.push_str(&text.to_uppercase()),
                Some(text) => out.push_str(&text),
                None => {
                    out.push('%');
                    out.extend(flag);
                    out.push(directive);
                }
            }
        }
        out
    }

    fn directive(&self, directive: char, flag: Option<char>) -> Option<String> {
        let filled = |n: i64, width: usize, zeros: bool| match flag {
            Some('-') => n.to_string(),
            Some('_') => format!("{n:width$}"),
            Some('0') => format!("{n:0width$}"),
            _ if zeros => format!("{n:0width$}"),
            _ => format!("{n:width$}"),
        };
        let two = |n: u32| filled(i64::from(n), 2, true);
        let twelve = if self.hour.is_multiple_of(12) { 12 } else { self.hour % 12 };
        let weekday = self.weekday();
        let month = MONTHS[self.month.clamp(1, 12) as usize - 1];
        let half = if self.hour < 12 { "AM" } else { "PM" };
        Some(match directive {
            'a' => DAYS[weekday][..3].into(),
            'A' => DAYS[weekday].into(),
            'b' | 'h' => month[..3].into(),
            'B' => month.into(),
            'c' => self.written("%a %b %e %H:%M:%S %Y"),
            'C' => two(self.year.div_euclid(100) as u32),
            'd' => two(self.day),
            'D' | 'x' => self.written("%m/%d/%y"),
            'e' => filled(i64::from(self.day), 2, false),
            'f' => format!("{:06}", self.microsecond),
            'F' => self.written("%Y-%m-%d"),
            'H' => two(self.hour),
            'I' => two(twelve),
            'j' => filled(i64::from(self.day_of_year()) + 1, 3, true),
            'k' => filled(i64::from(self.hour), 2, false),
            'l' => filled(i64::from(twelve), 2, false),
            'm' => two(self.month),
            'M' => two(self.minute),
            'n' => "\n".into(),
            'p' => half.into(),
            'P' => half.to_lowercase(),
            'r' => self.written("%I:%M:%S %p"),
            'R' => self.written("%H:%M"),
            'S' => two(self.second),
            't' => "\t".into(),
            'T' | 'X' => self.written("%H:%M:%S"),
            'u' => if weekday == 0 { 7 } else { weekday }.to_string(),
            'w' => weekday.to_string(),
            'U' => two((self.day_of_year() + 7 - weekday as u32) / 7),
            'W' => two((self.day_of_year() + 7 - (weekday as u32 + 6) % 7) / 7),
            'y' => two(self.year.rem_euclid(100) as u32),
            'Y' => self.year.to_string(),
            // A time without a zone has none.
            'z' | 'Z' => String::new(),
            '%' => "%".into(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_python_writes_them() {
        // 2024-02-29 15:04:05, a Thursday.
        let leap = Time::at(1_709_219_045);
        assert_eq!(leap.written("%Y-%m-%d %H:%M:%S"), "2024-02-29 15:04:05");
        assert_eq!(
            leap.written("%A %a %d %B %b %-d %e %j %U %W %w %u"),
            "Thursday Thu 29 February Feb 29 29 060 08 09 4 4"
        );
        assert_eq!(leap.written("%I:%M %p|%y|%D|%%|%Q|%"), "03:04 PM|24|02/29/24|%|%Q|%");
        assert_eq!(Time::at(0).written("%c %-m/%-d"), "Thu Jan  1 00:00:00 1970 1/1");
        assert_eq!(Time::at(-1).written("%F %T"), "1969-12-31 23:59:59");
        assert!(now().year >= 1970);
    }
}
