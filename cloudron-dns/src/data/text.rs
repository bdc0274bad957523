//! The text of a TXT record.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// The text of a TXT record: bytes, never quoted. On the wire it is one or more strings of at most 255 bytes.
///
/// Two texts are equal if their joined bytes are equal (RFC 7208, section 3.3; RFC 6376, section 3.6.2.2), regardless
/// of the string boundaries. The boundaries that were read are kept, for writing the set back.
#[derive(Debug, Clone)]
pub struct Text {
    strings: Vec<Vec<u8>>,
}

impl Text {
    /// Creates a text, split into strings of 255 bytes and a shorter last one.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        let text = text.into();
        if text.is_empty() {
            return Self { strings: vec![Vec::new()] };
        }
        Self { strings: text.chunks(255).map(<[u8]>::to_vec).collect() }
    }

    /// Creates a text from strings with given boundaries, as DNS-SD needs them (RFC 6763, section 6). A string longer
    /// than 255 bytes is split; no string at all becomes one empty string.
    pub fn from_strings(strings: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let strings: Vec<_> = strings.into_iter().flat_map(|s| Self::new(s).strings).collect();
        if strings.is_empty() { Self::new("") } else { Self { strings } }
    }

    /// Returns the strings, each of at most 255 bytes.
    pub fn strings(&self) -> &[Vec<u8>] {
        &self.strings
    }

    /// Returns the whole text: the strings joined without separators.
    pub fn joined(&self) -> Vec<u8> {
        self.strings.concat()
    }

    fn bytes(&self) -> impl Iterator<Item = &u8> {
        self.strings.iter().flatten()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl Eq for Text {}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.joined().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_split_at_255_bytes_and_joins_to_itself() {
        let text = Text::new("k".repeat(600));
        assert_eq!(text.strings().iter().map(Vec::len).collect::<Vec<_>>(), [255, 255, 90]);
        assert_eq!(text.joined().len(), 600);
    }

    #[test]
    fn where_the_strings_end_does_not_matter_to_the_meaning() {
        let split = Text::from_strings([b"v=spf1 ".to_vec(), b"-all".to_vec()]);
        assert_eq!(split, Text::new("v=spf1 -all"));
        assert_eq!(split.strings().len(), 2);
    }
}
