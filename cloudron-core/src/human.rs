//! Sizes and times as people read and write them.

use std::time::{Duration, SystemTime};

use jiff::fmt::friendly::{Designator, Direction, Spacing, SpanParser, SpanPrinter};
use jiff::{Span, SpanRelativeTo};

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
    const PRINTER: SpanPrinter = SpanPrinter::new()
        .designator(Designator::Verbose)
        .spacing(Spacing::BetweenUnitsAndDesignators)
        .direction(Direction::Suffix);
    let passed = now.duration_since(time).unwrap_or_default();
    let seconds = i64::try_from(passed.as_secs()).unwrap_or(i64::MAX);
    let span = match seconds {
        0..60 => return "just now".into(),
        60..3600 => Span::new().try_minutes(-(seconds / 60)),
        3600..86_400 => Span::new().try_hours(-(seconds / 3600)),
        _ => Span::new().try_days(-(seconds / 86_400)),
    };
    span.map_or_else(|_| "long ago".into(), |span| PRINTER.span_to_string(&span))
}

/// Parses a length of time, such as `30d` or `1h 30m`. A day has 24 hours. Of numbers without a unit, only 0 is accepted.
///
/// # Errors
/// A `String` that names the expected form, as a parser of command line arguments returns it.
pub fn duration(text: &str) -> std::result::Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let span = SpanParser::new().parse_span(text);
    let time = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let time = time.ok().and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| "a time is a number and s, m, h, d or w, as in 30d".into())
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
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("2w"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(duration("90m"), duration("1h 30m"));
        assert_eq!(duration("3 days"), Ok(Duration::from_secs(3 * 86_400)));
        for bad in [
            "",
            "d",
            "30",
            "-1d",
            "1d ago",
            "2 months",
            "1y",
            "1.5d",
            "99999999999999999999d",
            "18446744073709551615w",
        ] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_moment_ago_is_said_in_its_largest_unit() {
        let time = SystemTime::UNIX_EPOCH;
        for (seconds, text) in [
            (5, "just now"),
            (60, "1 minute ago"),
            (3599, "59 minutes ago"),
            (7300, "2 hours ago"),
            (86_400, "1 day ago"),
            (400 * 86_400, "400 days ago"),
        ] {
            assert_eq!(ago(time, time + Duration::from_secs(seconds)), text);
        }
        assert_eq!(ago(time + Duration::from_secs(9), time), "just now");
    }

    #[test]
    fn a_text_is_broken_at_blanks() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("incomprehensible", 4), "incomprehensible");
    }
}
