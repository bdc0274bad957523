//! The chunked coding of a request's body (RFC 9112, section 7.1).

use super::head;

/// Maximum length of a chunk's size line, with extensions.
const SIZE_LINE: usize = 256;

/// Maximum length of the trailer section.
const TRAILERS: usize = 8 * 1024;

/// Maximum number of digits of a chunk's size, so that it is below 2^60.
const DIGITS: usize = 15;

/// How far a body was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// At the beginning of a size line.
    Size,
    /// So many bytes of a chunk are left.
    Data(u64),
    /// At the CRLF after a chunk.
    DataEnd,
    /// At the beginning of a trailer's line. So many bytes of trailers were read.
    Trailer(usize),
    /// After the last line.
    Done,
}

/// The result of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes are valid, and the next state.
    Pass(usize, Chunks),
    /// The next line is not complete.
    More,
    /// The coding is broken.
    Broken,
}

impl Chunks {
    /// Reads the next line or piece of data.
    pub(super) fn step(self, bytes: &[u8]) -> Step {
        match self {
            Self::Done => Step::Pass(0, self),
            Self::Data(left) => {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - count as u64;
                if count == 0 {
                    return Step::More;
                }
                Step::Pass(count, if left == 0 { Self::DataEnd } else { Self::Data(left) })
            }
            Self::DataEnd => match bytes {
                [b'\r', b'\n', ..] => Step::Pass(2, Self::Size),
                [] | [b'\r'] => Step::More,
                _ => Step::Broken,
            },
            Self::Size => line(bytes, SIZE_LINE, |line| match size(line)? {
                0 => Some(Self::Trailer(0)),
                size => Some(Self::Data(size)),
            }),
            Self::Trailer(read) => line(bytes, TRAILERS - read, |line| {
                if line.is_empty() {
                    return Some(Self::Done);
                }
                head::field(line).ok()?;
                Some(Self::Trailer(read + line.len() + 2))
            }),
        }
    }
}

/// Reads one line of at most `limit` bytes that ends with CRLF and has neither character inside.
fn line(bytes: &[u8], limit: usize, next: impl Fn(&[u8]) -> Option<Chunks>) -> Step {
    let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if bytes.len() >= limit { Step::Broken } else { Step::More };
    };
    match (&bytes[end..], next(&bytes[..end])) {
        ([b'\r', b'\n', ..], Some(state)) if end + 2 <= limit => Step::Pass(end + 2, state),
        ([b'\r'], Some(_)) if end + 2 <= limit => Step::More,
        _ => Step::Broken,
    }
}

/// Returns the size of a size line: hexadecimal digits, then nothing or extensions, which say nothing to anybody and are
/// not passed on (RFC 9112, section 7.1.1).
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (number, rest) = line.split_at(digits);
    let visible = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
    if digits == 0 || digits > DIGITS || !(rest.is_empty() || rest[0] == b';') || !rest.iter().all(visible) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a whole body that arrives in pieces. Returns the bytes left after it.
    fn read(body: &[u8], piece: usize) -> Option<usize> {
        let (mut state, mut at, mut have) = (Chunks::Size, 0, 0);
        while state != Chunks::Done {
            match state.step(&body[at..have]) {
                Step::Pass(count, next) => (state, at) = (next, at + count),
                Step::More if have < body.len() => have = (have + piece).min(body.len()),
                Step::More | Step::Broken => return None,
            }
        }
        Some(body.len() - at)
    }

    #[test]
    fn a_body_ends_where_its_last_line_ends() {
        for (body, left) in [
            (&b"3\r\nabc\r\n0\r\n\r\n"[..], 0),
            (b"0\r\n\r\nGET / HTTP/1.1\r\n", 16),
            (b"00A;x=\"y z\"\r\n0123456789\r\n0;last\r\nA: b\r\nC:\r\n\r\nrest", 4),
        ] {
            for piece in 1..body.len() {
                assert_eq!(read(body, piece), Some(left), "{piece}");
            }
        }
    }

    #[test]
    fn what_two_readers_may_understand_differently_is_broken() {
        let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(300));
        let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(2000));
        for body in [
            "3\nabc\r\n0\r\n\r\n",
            "3\rabc\r\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabc0\r\n\r\n",
            "3;a\nb\r\nabc\r\n0\r\n\r\n",
            "3;a\rb\r\nabc\r\n0\r\n\r\n",
            "3;\0\r\nabc\r\n0\r\n\r\n",
            "3 \r\nabc\r\n0\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "+3\r\nabc\r\n0\r\n\r\n",
            "-1\r\nabc\r\n0\r\n\r\n",
            "\r\nabc\r\n0\r\n\r\n",
            "fffffffffffffffff\r\nabc",
            "10000000000000000\r\nabc",
            "0\r\nA b\r\n\r\n",
            "0\r\n A: b\r\n\r\n",
            "0\r\nA: b\n\r\n",
            &long,
            &trailers,
        ] {
            for piece in [1, 7, 100_000] {
                assert_eq!(read(body.as_bytes(), piece), None, "{body:?}");
            }
        }
    }
}
