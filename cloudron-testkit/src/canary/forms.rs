//! The encodings in which a program may write a secret, and a search for all of them at once.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// One encoding of a secret.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// Returns every distinct form of `value` to search for.
pub(super) fn of(value: &str) -> Vec<Form> {
    let mut forms = vec![
        Form { name: "plain", bytes: value.into() },
        Form { name: "hex", bytes: hex::encode(value).into() },
        Form { name: "hex", bytes: hex::encode_upper(value).into() },
        Form { name: "url-encoded", bytes: percent(value, false).into() },
        Form { name: "url-encoded", bytes: percent(value, true).into() },
        Form { name: "json", bytes: json(value).into() },
    ];
    for offset in 0..3 {
        forms.push(Form { name: "base64", bytes: base64_inner(value, offset, false) });
        forms.push(Form { name: "base64", bytes: base64_inner(value, offset, true) });
    }
    let mut kept: Vec<Form> = Vec::new();
    for form in forms {
        if kept.iter().all(|other| other.bytes != form.bytes) {
            kept.push(form);
        }
    }
    kept
}

/// Returns the base64 characters that depend only on `value` if `offset` bytes of other data precede it in a group of
/// three.
fn base64_inner(value: &str, offset: usize, url: bool) -> Vec<u8> {
    let mut bytes = vec![0; offset];
    bytes.extend(value.as_bytes());
    let text = if url { URL_SAFE_NO_PAD.encode(&bytes) } else { STANDARD_NO_PAD.encode(&bytes) };
    let first = [0, 2, 3][offset];
    let last = bytes.len() * 8 / 6;
    text.as_bytes()[first..last].to_vec()
}

/// Encodes as in RFC 3986; with `form`, a space becomes `+` as in HTML forms.
fn percent(value: &str, form: bool) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
            b' ' if form => text.push('+'),
            _ => write!(text, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    text
}

fn json(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t")
}

/// Searches for many byte strings in one pass.
#[derive(Default)]
pub(super) struct Matcher {
    needles: Vec<(String, &'static str, Vec<u8>)>,
    /// The hashes of the first four bytes of all needles, one bit each. Most positions need no further check.
    starts: Vec<u64>,
}

const PREFIX: usize = 4;
const BITS: u32 = 16;

impl Matcher {
    pub(super) fn add(&mut self, secret: &str, form: &'static str, bytes: Vec<u8>) {
        self.starts.resize(1 << (BITS - 6), 0);
        let hash = hash(&bytes);
        self.starts[hash / 64] |= 1 << (hash % 64);
        self.needles.push((secret.to_owned(), form, bytes));
    }

    /// Returns the names of a needle's secret and form.
    pub(super) fn name(&self, index: usize) -> (&str, &'static str) {
        let (secret, form, _) = &self.needles[index];
        (secret, form)
    }

    /// Returns the length of the longest needle.
    pub(super) fn longest(&self) -> usize {
        self.needles.iter().map(|(_, _, bytes)| bytes.len()).max().unwrap_or(0)
    }

    /// Appends the indexes of the needles found in `haystack`.
    pub(super) fn scan(&self, haystack: &[u8], found: &mut Vec<usize>) {
        if self.needles.is_empty() {
            return;
        }
        for (at, window) in haystack.windows(PREFIX).enumerate() {
            let hash = hash(window);
            if self.starts[hash / 64] & (1 << (hash % 64)) == 0 {
                continue;
            }
            for (index, (_, _, needle)) in self.needles.iter().enumerate() {
                if haystack[at..].starts_with(needle) && !found.contains(&index) {
                    found.push(index);
                }
            }
        }
    }
}

fn hash(bytes: &[u8]) -> usize {
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    (word.wrapping_mul(0x9e37_79b1) >> (32 - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::super::Canary;
    use super::*;

    const SECRET: &str = "s3cret/kanari+\"Ü\" x";

    fn forms_in(bytes: &[u8]) -> Vec<&'static str> {
        let leaks = Canary::new().secret("s", SECRET).in_bytes("here", bytes);
        leaks.into_iter().map(|leak| leak.form).collect()
    }

    #[test]
    fn the_secret_is_found_plain_and_encoded() {
        assert_eq!(forms_in(SECRET.as_bytes()), ["plain"]);
        assert_eq!(forms_in(hex::encode(SECRET).as_bytes()), ["hex"]);
        assert_eq!(forms_in(hex::encode_upper(SECRET).as_bytes()), ["hex"]);
        assert_eq!(forms_in(b"k=s3cret%2Fkanari%2B%22%C3%9C%22%20x&z"), ["url-encoded"]);
        assert_eq!(forms_in(b"k=s3cret%2Fkanari%2B%22%C3%9C%22+x&z"), ["url-encoded"]);
        assert_eq!(forms_in("{\"k\":\"s3cret/kanari+\\\"Ü\\\" x\"}".as_bytes()), ["json"]);
        assert_eq!(forms_in(b"s3cret/kanari"), Vec::<&str>::new());
    }

    #[test]
    fn base64_is_found_whatever_stands_around_the_secret() {
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "\n", "zz", "zzz"] {
                let text = format!("{before}{SECRET}{after}");
                assert_eq!(forms_in(STANDARD_NO_PAD.encode(&text).as_bytes()), ["base64"], "{text}");
                assert_eq!(forms_in(URL_SAFE_NO_PAD.encode(&text).as_bytes()), ["base64"], "{text}");
            }
        }
    }

    #[test]
    fn random_bytes_hold_no_secret() {
        let mut bytes = vec![0; 1 << 20];
        crate::tree::Rng::new(1).fill(&mut bytes);
        assert_eq!(forms_in(&bytes), Vec::<&str>::new());
    }
}
