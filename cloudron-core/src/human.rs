//! Sizes and times as people read and write them.

use std::time::{Duration, SystemTime};

/// Writes a number of bytes in powers of 1024 (IEC 80000-13), such as `1.5 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Says how long ago a moment was, in the largest unit, such as `2 hours ago`.
pub fn ago(time: SystemTime, now: SystemTime) -> String {
    let Ok(passed) = now.duration_since(time) else { return "just now".into() };
    let (count, unit) = match passed {
        p if p < Duration::from_secs(60) => return "just now".into(),
        p if p < Duration::from_secs(3600) => (p.as_secs() / 60, "minute"),
        p if p < Duration::from_secs(86_400) => (p.as_secs() / 3600, "hour"),
        p => (p.as_secs() / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// Parses a length of time: a number and one of the units s, m, h, d and w, as in `30d`. Of numbers without a unit, only 0
/// is accepted.
///
/// # Errors
/// What is expected instead, as text: this is the form of a parser of arguments.
pub fn duration(text: &str) -> std::result::Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ if text == "0" => 1,
        _ => return Err("a time is a number and s, m, h, d or w, as in 30d".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a time begins with a number, as in 30d".to_owned())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "the time is too long".into())
}

/// Breaks a text at blanks into lines of at most `width` characters. A longer word has a line of its own.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_to_the_unit_that_fits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(200 * 1024 * 1024), "200.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn a_moment_ago_is_said_in_its_largest_unit() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(ago(now - Duration::from_secs(5), now), "just now");
        assert_eq!(ago(now - Duration::from_secs(60), now), "1 minute ago");
        assert_eq!(ago(now - Duration::from_secs(7300), now), "2 hours ago");
        assert_eq!(ago(now + Duration::from_secs(9), now), "just now");
    }

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("2w"), Ok(Duration::from_secs(14 * 86_400)));
        for bad in ["", "d", "30", "-1d", "1.5h", "99999999999999999999d", "18446744073709551615w", "3 d"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_text_is_broken_at_blanks() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("incomprehensible", 4), "incomprehensible");
    }
}
