//! Absolute DNS names.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, codes};

/// A name as the owner of record sets.
pub type OwnerName = Name;

/// An absolute DNS name: lower case, international labels as A-labels (RFC 5890). `*` is a wildcard as the first label,
/// and an ordinary label elsewhere (RFC 4592, section 2.1.3).
///
/// It displays in presentation form with its final dot. Names sort in the canonical order of RFC 4034, section 6.1: a
/// zone's apex first, then the names below it.
///
/// ```
/// use cloudron_dns::Name;
/// let name = Name::parse(r"\042.Bücher.example")?;
/// assert_eq!(name.to_string(), "*.xn--bcher-kva.example.");
/// assert!(name.is_below(&Name::parse("xn--bcher-kva.example.")?));
/// # Ok::<(), cloudron_dns::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name {
    // Presentation form without the final dot; the root is the empty text. A byte that is not a letter, digit, hyphen,
    // underscore, slash or the wildcard is written `\DDD`, so that a dot always ends a label.
    text: String,
}

impl Name {
    /// Returns whether the name is a registrable domain, such as `example.co.uk`. Only its own zone encloses it.
    #[cfg(feature = "_rest")]
    pub(crate) fn is_registered(&self) -> bool {
        let text = self.without_dot();
        cloudron_core::Domain::parse(text).is_ok_and(|domain| domain.as_str() == text)
    }

    /// Parses a name in presentation form (RFC 1035, section 5.1), with or without its final dot. `\X` and `\DDD`
    /// escapes are resolved, international labels are converted.
    ///
    /// # Errors
    /// `dns-name`.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |why: &str| {
            let shown: String = text.chars().take(80).collect();
            Error::new(&codes::NAME, format!("{shown:?} is not a DNS name: {why}"))
        };
        if text == "." {
            return Ok(Self::root());
        }
        let mut labels = Vec::new();
        for Label { bytes, international } in split_labels(text).map_err(invalid)? {
            if !international {
                labels.push(bytes);
                continue;
            }
            let unicode = String::from_utf8(bytes).map_err(|_| invalid("it is not text"))?;
            let ascii = idna::domain_to_ascii(&unicode)
                .map_err(|_| invalid("an international label has a character that is not allowed"))?;
            labels.push(ascii.into_bytes());
        }
        Self::from_labels(labels.iter().map(Vec::as_slice)).map_err(|e| invalid(e.message()))
    }

    /// Returns the root of the DNS.
    pub fn root() -> Self {
        Self { text: String::new() }
    }

    /// Creates a name from its labels, first label first, each of any bytes.
    ///
    /// # Errors
    /// `dns-name` for an empty or too long label, or a name that is too long.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self> {
        let invalid = |why: String| Err(Error::new(&codes::NAME, why));
        let mut text = String::new();
        let mut length = 1;
        for (at, label) in labels.into_iter().enumerate() {
            if label.is_empty() || label.len() > 63 {
                return invalid(format!("a label has {} bytes, where 1 to 63 are allowed", label.len()));
            }
            length += 1 + label.len();
            if at > 0 {
                text.push('.');
            }
            escape_label(label, &mut text);
        }
        if length > 255 {
            return invalid(format!("it has {length} bytes, more than the 255 that are allowed"));
        }
        Ok(Self { text })
    }

    /// Returns the name in presentation form without the final dot; the root is the empty text.
    pub fn without_dot(&self) -> &str {
        &self.text
    }

    /// Returns the labels in presentation form, first label first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split('.').filter(|l| !l.is_empty())
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns whether the first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.text == "*" || self.text.starts_with("*.")
    }

    /// Returns whether this name is `zone` or lies below it, compared label by label.
    pub fn is_in(&self, zone: &Self) -> bool {
        self == zone || self.is_below(zone)
    }

    /// Returns whether this name lies below `zone` and is not `zone` itself.
    pub fn is_below(&self, zone: &Self) -> bool {
        if zone.is_root() {
            return !self.is_root();
        }
        self.text.strip_suffix(&zone.text).is_some_and(|rest| rest.ends_with('.'))
    }

    /// Returns the name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let text = self.text.split_once('.').map_or("", |(_, rest)| rest);
        Some(Self { text: text.to_owned() })
    }

    /// Returns this name with labels prepended, such as `_dmarc` or `my`.
    ///
    /// # Errors
    /// `dns-name`.
    pub fn below(&self, labels: &str) -> Result<Self> {
        Self::parse(&format!("{labels}.{}", self.text))
    }

    /// Returns the name relative to a zone, `@` for the zone itself, as in the panels of DNS hosts. A name outside the
    /// zone stays absolute.
    pub fn relative_to(&self, zone: &Self) -> String {
        if self == zone {
            return "@".into();
        }
        if !self.is_below(zone) || zone.is_root() {
            return self.to_string();
        }
        self.text[..self.text.len() - zone.text.len() - 1].to_owned()
    }

    /// Returns the labels as raw bytes, with escapes resolved.
    pub fn raw_labels(&self) -> Vec<Vec<u8>> {
        let labels = split_labels(&self.text).expect("the text was built by escape_label");
        labels.into_iter().map(|l| l.bytes).collect()
    }
}

#[derive(Default)]
struct Label {
    bytes: Vec<u8>,
    /// True if a non-ASCII byte was written literally, not as an escape.
    international: bool,
}

/// Splits presentation form into labels of raw bytes.
fn split_labels(text: &str) -> Result<Vec<Label>, &'static str> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut labels = vec![Label::default()];
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let label = labels.last_mut().expect("there is always one");
        match byte {
            b'.' => labels.push(Label::default()),
            b'\\' => {
                label.bytes.push(unescape(&mut bytes.by_ref().copied()).ok_or("an escape is incomplete")?)
            }
            b if b.is_ascii_whitespace() || b.is_ascii_control() => return Err("it contains a space"),
            b => {
                label.international |= !b.is_ascii();
                label.bytes.push(b);
            }
        }
    }
    if labels.last().is_some_and(|l| l.bytes.is_empty()) {
        labels.pop();
    }
    if labels.iter().any(|l| l.bytes.is_empty()) { Err("a label is empty") } else { Ok(labels) }
}

/// Resolves an escape, after its backslash (RFC 1035, section 5.1).
pub(crate) fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, bytes.next()?, bytes.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

fn escape_label(label: &[u8], text: &mut String) {
    use fmt::Write;
    for byte in label {
        let byte = byte.to_ascii_lowercase();
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b'*');
        if plain {
            text.push(char::from(byte));
        } else {
            write!(text, "\\{byte:03}").expect("writing to a text cannot fail");
        }
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        // From the end, the first pair of different labels decides: those around the position at which the texts, read
        // from their ends, first differ. Zones are maps by name, so this is done a million times for a plan.
        let (a, b) = (self.text.as_bytes(), other.text.as_bytes());
        let same = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        if same == a.len() && same == b.len() {
            return Ordering::Equal;
        }
        label_at(a, a.len() - same).cmp(label_at(b, b.len() - same)).then(a.len().cmp(&b.len()))
    }
}

/// Returns the label that contains the byte before a position, or that begins there.
fn label_at(text: &[u8], place: usize) -> &[u8] {
    let dot = |byte: &u8| *byte == b'.';
    let start = text[..place].iter().rposition(dot).map_or(0, |at| at + 1);
    let end = text[place..].iter().position(dot).map_or(text.len(), |at| place + at);
    &text[start..end]
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str(".")
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.to_string()
    }
}

impl From<&cloudron_core::Domain> for Name {
    fn from(domain: &cloudron_core::Domain) -> Self {
        Self { text: domain.as_str().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn every_way_of_writing_a_name_is_the_same_name() {
        for text in ["*.example.com", "*.EXAMPLE.com.", r"\042.example.com.", r"\*.example.com"] {
            assert_eq!(name(text).to_string(), "*.example.com.", "{text}");
        }
        assert_eq!(name("MY.bücher.example").to_string(), "my.xn--bcher-kva.example.");
        // Decimal (RFC 1035, section 5.1): the digit 4, and no wildcard.
        assert_eq!(name(r"\052.example.com").to_string(), "4.example.com.");
        assert_eq!(name("a.*.example.com").to_string(), "a.*.example.com.");
        assert_eq!(name(".").to_string(), ".");
        assert!(name("").is_root());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long_label = format!("{}.com", "a".repeat(64));
        let long = vec!["abcdefghi"; 26].join(".");
        for text in ["a..b", ".a", "a b.com", r"a\1", r"a\", &long_label, &long] {
            assert_eq!(Name::parse(text).unwrap_err().code().name, "dns-name", "{text}");
        }
    }

    #[test]
    fn a_name_lies_in_a_zone_at_label_boundaries_only() {
        assert!(name("a.example.com").is_in(&name("example.com")));
        assert!(name("example.com").is_in(&name("example.com")));
        assert!(!name("notexample.com").is_in(&name("example.com")));
        assert!(name("com").is_in(&Name::root()));
    }

    #[test]
    fn relative_names_are_those_of_provider_panels() {
        let zone = name("example.com");
        assert_eq!(name("example.com").relative_to(&zone), "@");
        assert_eq!(name("*.cloudron.example.com").relative_to(&zone), "*.cloudron");
        assert_eq!(name("example.org").relative_to(&zone), "example.org.");
    }

    #[test]
    fn a_zones_apex_sorts_before_what_lies_below_it() {
        let mut names = ["my.b.com", "b.com", "a.com", "*.b.com", "_dmarc.b.com"].map(name);
        names.sort();
        let texts = names.map(|n| n.to_string());
        assert_eq!(texts, ["a.com.", "b.com.", "*.b.com.", "_dmarc.b.com.", "my.b.com."]);
    }

    proptest! {
        #[test]
        fn any_labels_survive_writing_and_reading(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..6)
        ) {
            if let Ok(name) = Name::from_labels(labels.iter().map(Vec::as_slice)) {
                let lower: Vec<Vec<u8>> = labels.iter().map(|l| l.to_ascii_lowercase()).collect();
                prop_assert_eq!(&Name::parse(&name.to_string()).unwrap(), &name);
                prop_assert_eq!(name.raw_labels(), lower);
            }
        }

        #[test]
        fn names_sort_by_their_labels_from_the_end(a in "([ab]{1,2}\\.){0,3}[ab]", b in "([ab-]{1,2}\\.){0,3}[ab]") {
            let (a, b) = (name(&a), name(&b));
            prop_assert_eq!(a.cmp(&b), a.labels().rev().cmp(b.labels().rev()));
            prop_assert_eq!(Name::root().cmp(&a), Ordering::Less);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(&name.to_string()).unwrap(), name);
            }
        }
    }
}
