//! The head of a request.

use super::{Framing, Head, HeadLimits, Refusal};

/// Maximum length of a method. The longest registered one has 17 characters.
const METHOD: usize = 32;

/// Maximum number of digits of a `Content-Length`, so that it is below 10^18.
const DIGITS: usize = 18;

/// Returns the length of the head, with the empty line, or `None` if the empty line has not arrived.
///
/// # Errors
/// [`Refusal::Malformed`] if a CR or LF stands alone (RFC 9112, section 2.2).
pub(super) fn end(bytes: &[u8], seen: usize) -> Result<Option<usize>, Refusal> {
    // The byte before may be half of a line end.
    let from = seen.saturating_sub(1);
    for (n, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'\n' if n == 0 || bytes[n - 1] != b'\r' => return Err(Refusal::Malformed),
            b'\n' if n >= 3 && bytes[n - 2] == b'\n' => return Ok(Some(n + 1)),
            b'\r' if bytes.get(n + 1).is_some_and(|next| *next != b'\n') => return Err(Refusal::Malformed),
            _ => {}
        }
    }
    Ok(None)
}

/// Checks a head that ends with an empty line, and returns the framing of its body.
///
/// # Errors
/// The [`Refusal`] of the first rule that is broken.
pub(super) fn check(head: &[u8], limits: &HeadLimits) -> Result<Head, Refusal> {
    let mut lines = lines(head);
    let one = request_line(lines.next().unwrap_or_default(), limits)?;
    let (mut length, mut chunked, mut hosts, mut upgrade) = (None, false, 0, false);
    for (count, line) in lines.enumerate() {
        if count >= limits.fields {
            return Err(Refusal::FieldsTooLarge);
        }
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            let number = decimal(value).ok_or(Refusal::Malformed)?;
            if length.replace(number).is_some() {
                return Err(Refusal::Malformed);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // In a request `chunked` is the only coding that ends a message, and no other is offered (RFC 9112,
            // section 6.1). HTTP/1.0 knows none.
            if chunked || !one || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Malformed);
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            upgrade = true;
        }
    }
    // Exactly one Host in HTTP/1.1 (RFC 9112, section 3.2).
    if hosts > 1 || (one && hosts == 0) {
        return Err(Refusal::Malformed);
    }
    let framing = match (chunked, length) {
        (true, Some(_)) => return Err(Refusal::Malformed),
        (true, None) => Framing::Chunked,
        (false, length) => Framing::Length(length.unwrap_or(0)),
    };
    Ok(Head { framing, upgrade })
}

/// Returns the lines without their ends and without the empty one at the end. All ends are CRLF by now.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let head = head.strip_suffix(b"\r\n\r\n").unwrap_or(head);
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Checks `METHOD SP target SP HTTP/1.x` and returns whether the version is 1.1.
fn request_line(line: &[u8], limits: &HeadLimits) -> Result<bool, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed);
    };
    if method.is_empty() || method.len() > METHOD || !method.iter().all(|b| is_token(*b)) {
        return Err(Refusal::Malformed);
    }
    if target.len() > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::Malformed);
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Refusal::Version)
        }
        _ => Err(Refusal::Malformed),
    }
}

/// Checks one field line and returns its name and its value without the blanks around it. A line that begins with a blank
/// (obs-fold, RFC 9112, section 5.2) and a blank before the colon (section 5.1) are refused, as no token has one.
///
/// # Errors
/// [`Refusal::Malformed`].
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Refusal::Malformed)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::Malformed);
    }
    if value.iter().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
        return Err(Refusal::Malformed);
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let first = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let last = value.iter().rposition(|b| !blank(b)).map_or(first, |n| n + 1);
    Ok((name, &value[first..last]))
}

/// `tchar` (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns the number: digits only, without sign or list (RFC 9110, section 8.6).
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > DIGITS || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { size: 32768, fields: 5, target: 64 };

    fn of(fields: &str) -> Result<Head, Refusal> {
        read(&format!("POST /x HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"))
    }

    fn read(head: &str) -> Result<Head, Refusal> {
        assert_eq!(end(head.as_bytes(), 0)?, Some(head.len()), "{head:?}");
        check(head.as_bytes(), &LIMITS)
    }

    #[test]
    fn one_length_or_chunks_frame_a_body() {
        let plain = |framing| Ok(Head { framing, upgrade: false });
        assert_eq!(of(""), plain(Framing::Length(0)));
        assert_eq!(of("Content-Length: \t007 \r\n"), plain(Framing::Length(7)));
        assert_eq!(of("transfer-encoding: Chunked\r\n"), plain(Framing::Chunked));
        assert_eq!(of("Upgrade: websocket\r\n"), Ok(Head { framing: Framing::Length(0), upgrade: true }));
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: 3, 3\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: -3\r\n",
            "Content-Length: 0x3\r\n",
            "Content-Length: 3 3\r\n",
            "Content-Length:\r\n",
            "Content-Length: 9999999999999999999\r\n",
            "Content-Length : 3\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding:\u{b}chunked\r\n",
            "Transfer-Encoding: chunked\0\r\n",
            "Host: b.test\r\n",
            "X: 1\r\n folded: 2\r\n",
            " X: 1\r\n",
            "X\r\n",
            ": 1\r\n",
            "X\u{7f}: 1\r\n",
            "X: \u{1b}\r\n",
        ] {
            assert_eq!(of(fields), Err(Refusal::Malformed), "{fields:?}");
        }
    }

    #[test]
    fn a_line_end_is_both_characters() {
        for bad in ["GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nA: b\nC: d", "GET / HTTP/1.1\r\nA: b\rC: d", "\n"]
        {
            assert_eq!(end(bad.as_bytes(), 0), Err(Refusal::Malformed), "{bad:?}");
        }
        let good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\n";
        // However the bytes arrive.
        for cut in 0..good.len() - 5 {
            assert_eq!(end(&good[..cut], 0), Ok(None), "{cut}");
            assert_eq!(end(good, cut), Ok(Some(good.len() - 5)), "{cut}");
        }
    }

    #[test]
    fn the_request_line_has_three_parts() {
        let host = "\r\nHost: a.test\r\n\r\n";
        for bad in [
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET\t/ HTTP/1.1",
            "GET / x HTTP/1.1",
            "GET /",
            " GET / HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "G(T / HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/1.10",
            "GET / HTTP/11",
        ] {
            assert_eq!(read(&format!("{bad}{host}")), Err(Refusal::Malformed), "{bad:?}");
        }
        assert_eq!(read(&format!("GET / HTTP/2.0{host}")), Err(Refusal::Version));
        assert_eq!(read(&format!("GET /{} HTTP/1.1{host}", "x".repeat(64))), Err(Refusal::TargetTooLong));
        assert_eq!(read("GET / HTTP/1.1\r\n\r\n"), Err(Refusal::Malformed), "without a host");
        assert!(read("GET / HTTP/1.0\r\n\r\n").is_ok());
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read(old), Err(Refusal::Malformed), "RUSTSEC-2026-0034");
    }

    #[test]
    fn too_many_fields_are_refused() {
        assert!(of(&"A: b\r\n".repeat(4)).is_ok());
        assert_eq!(of(&"A: b\r\n".repeat(5)), Err(Refusal::FieldsTooLarge));
    }

    #[test]
    fn no_input_makes_a_parser_panic() {
        let seconds = std::env::var("CLOUDRON_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds.unwrap_or(1));
        let alphabet =
            b"GET / HTTP/1.1\r\n\r\nHost: a\r\nContent-Length: 9Transfer-Encoding: chunked\0\x80\xff";
        while std::time::Instant::now() < until {
            let bytes: [u8; 96] = cloudron_core::random::bytes();
            let text: Vec<u8> = bytes.iter().map(|b| alphabet[usize::from(*b) % alphabet.len()]).collect();
            let _ = end(&text, usize::from(bytes[0]) % 96);
            let _ = check(&text, &LIMITS);
        }
    }
}
