//! Data of a LOC record (RFC 1876): a location on Earth.

use crate::zone_file::Word;

/// The equator and the prime meridian, in thousandths of a second of arc (RFC 1876, section 2).
const MIDDLE: i64 = 1 << 31;
/// The reference altitude, in centimetres.
const GROUND: i64 = 10_000_000;

/// Parses `d [m [s]] N|S d [m [s]] E|W altitude [size [horizontal [vertical]]]`, with lengths in metres.
///
/// # Errors
/// The problem.
pub(super) fn read(words: &[Word]) -> Result<Vec<u8>, String> {
    let texts: Option<Vec<&str>> = words.iter().map(|word| std::str::from_utf8(&word.text).ok()).collect();
    let texts = texts.ok_or("it is not text")?;
    let mut rest = &texts[..];
    let latitude = angle(&mut rest, ["N", "S"], 90).ok_or("there is no latitude such as 52 22 23.5 N")?;
    let longitude = angle(&mut rest, ["E", "W"], 180).ok_or("there is no longitude such as 4 53 32 E")?;
    let mut lengths = rest.iter().map(|text| centimetres(text));
    let altitude = lengths.next().flatten().and_then(|cm| u32::try_from(cm + GROUND).ok());
    let altitude = altitude.ok_or("there is no altitude such as -2.00m")?;
    // One metre, ten kilometres, ten metres.
    let mut data = vec![0, 0x12, 0x16, 0x13];
    for (at, length) in lengths.enumerate() {
        let place = data.get_mut(at + 1).ok_or("there is too much")?;
        *place = length.and_then(power).ok_or("a size or precision is a length such as 10m")?;
    }
    for number in [latitude, longitude, altitude] {
        data.extend(number.to_be_bytes());
    }
    Ok(data)
}

/// Parses an angle with its direction.
fn angle(rest: &mut &[&str], [positive, negative]: [&str; 2], most: i64) -> Option<u32> {
    let end =
        rest.iter().position(|t| t.eq_ignore_ascii_case(positive) || t.eq_ignore_ascii_case(negative))?;
    let (parts, direction) = (&rest[..end], rest[end]);
    *rest = &rest[end + 1..];
    let whole =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    let part = |at: usize| parts.get(at).map_or(Some(0), |text| whole(text).filter(|n| at == 0 || *n < 60));
    let seconds =
        parts.get(2).map_or(Some(0), |text| decimal(text, 3)).filter(|ms| (0..60_000).contains(ms))?;
    let thousandths = (part(0)? * 60 + part(1)?) * 60_000 + seconds;
    let fits = (1..=3).contains(&parts.len()) && thousandths <= most * 3_600_000;
    let signed = if direction.eq_ignore_ascii_case(positive) { thousandths } else { -thousandths };
    u32::try_from(MIDDLE + signed).ok().filter(|_| fits)
}

/// Parses a number with at most that many decimal places, and returns it without the decimal point.
fn decimal(text: &str, places: usize) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 10 || !digits(whole) || !digits(part) || part.len() > places {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok()
}

fn centimetres(text: &str) -> Option<i64> {
    let text = text.strip_suffix(['m', 'M']).unwrap_or(text);
    match text.strip_prefix('-') {
        Some(below) => decimal(below, 2).map(|cm| -cm),
        None => decimal(text, 2),
    }
}

/// Encodes a length in centimetres as a digit and a power of ten.
fn power(mut length: i64) -> Option<u8> {
    let mut exponent = 0;
    while length > 9 {
        (length, exponent) = (length / 10, exponent + 1);
    }
    u8::try_from(length << 4 | exponent).ok().filter(|_| (0..=9).contains(&exponent) && length >= 0)
}

/// Formats data of version 0.
pub(super) fn write(data: &[u8]) -> Option<String> {
    let [0, size, horizontal, vertical, rest @ ..] = data else { return None };
    let number = |at: usize| rest.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes).map(i64::from);
    let (latitude, longitude, altitude) = (number(0)? - MIDDLE, number(4)? - MIDDLE, number(8)? - GROUND);
    let angle = |angle: i64, [positive, negative]: [&str; 2]| {
        let (direction, angle) = (if angle < 0 { negative } else { positive }, angle.abs());
        let (minutes, rest) = (angle / 60_000, angle % 60_000);
        format!("{} {} {}.{:03} {direction}", minutes / 60, minutes % 60, rest / 1000, rest % 1000)
    };
    let metres = |cm: i64| {
        let sign = if cm < 0 { "-" } else { "" };
        format!("{sign}{}.{:02}m", cm.abs() / 100, cm.abs() % 100)
    };
    let length = |power: u8| metres(i64::from(power >> 4) * 10_i64.pow(u32::from(power & 15)));
    let sizes = [size, horizontal, vertical].map(|power| length(*power));
    let place = [angle(latitude, ["N", "S"]), angle(longitude, ["E", "W"]), metres(altitude)];
    (rest.len() == 12).then(|| [place, sizes].concat().join(" "))
}

#[cfg(test)]
mod tests {
    use crate::{RecordData, RecordType};

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        let loc: RecordType = "LOC".parse().unwrap();
        for (text, written) in [
            (
                "42 21 54 N 71 06 18 W -24m 30m",
                "42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m",
            ),
            (
                "42 21 43.952 N 71 5 6.344 W -24m 1m 200m",
                "42 21 43.952 N 71 5 6.344 W -24.00m 1.00m 200.00m 10.00m",
            ),
            ("32 7 19 S 116 2 25 E 10m", "32 7 19.000 S 116 2 25.000 E 10.00m 1.00m 10000.00m 10.00m"),
        ] {
            let data = RecordData::parse(loc, text).unwrap();
            assert_eq!(data.to_string(), written);
            assert_eq!(RecordData::parse(loc, written).unwrap(), data);
        }
        for bad in ["91 N 0 E 0m", "1 60 N 0 E 0m", "1 N 0 E", "1 N 0 E x", "N E 0", "1 N 0 E 0m 1m 1m 1m 1m"]
        {
            assert!(RecordData::parse(loc, bad).is_err(), "{bad}");
        }
    }
}
