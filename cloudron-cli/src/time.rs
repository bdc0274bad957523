//! Times as people write them.

use std::time::Duration;

/// A number and a unit, as in `30d`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(parse("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
        assert_eq!(parse("2w"), Ok(Duration::from_secs(14 * 86_400)));
        for bad in ["", "d", "30", "-1d", "1.5h", "99999999999999999999d", "18446744073709551615w", "3 d"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
