//! Times as people write them.

use std::time::{Duration, SystemTime};

use jiff::fmt::friendly::{Designator, Direction, Spacing, SpanParser, SpanPrinter};
use jiff::{Span, SpanRelativeTo};

/// Parses a duration such as `30d` or `1h 30m`. A day has 24 hours.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let span = SpanParser::new().parse_span(text);
    let time = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let time = time.ok().and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| "a time is a number and s, m, h, d or w, as in 30d".into())
}

/// Says how long ago a moment was, in the largest unit.
pub(crate) fn ago(time: SystemTime, now: SystemTime) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(parse("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
        assert_eq!(parse("2w"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(parse("90m"), parse("1h 30m"));
        assert_eq!(parse("3 days"), Ok(Duration::from_secs(3 * 86_400)));
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
            assert!(parse(bad).is_err(), "{bad:?}");
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
}
