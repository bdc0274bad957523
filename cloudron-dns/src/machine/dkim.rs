//! DKIM keys, as receivers look them up (RFC 6376).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, Name, RecordData, Result, codes};

/// Minimum size of an RSA key that receivers accept, in bits (RFC 8301, section 3.2).
pub const MIN_RSA_BITS: usize = 1024;

/// The public half of a DKIM key (RFC 6376).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// The selector, such as `c202611`.
    pub selector: String,
    /// The RSA public key (SubjectPublicKeyInfo, DER) in base64.
    pub public_key: String,
}

impl Dkim {
    /// Takes a public key in base64.
    ///
    /// # Errors
    /// `dns-dkim` for what is no RSA key that receivers accept. The text is not quoted: it may be a private key.
    pub fn from_public(selector: impl Into<String>, base64: &str) -> Result<Self> {
        let record = DkimRecord::parse(format!("v=DKIM1; k=rsa; p={base64}").as_bytes());
        let bits = record.ok().and_then(|record| record.rsa_bits()).unwrap_or_default();
        if bits < MIN_RSA_BITS {
            let message = format!("it is no public RSA key of at least {MIN_RSA_BITS} bits in base 64");
            return Err(Error::new(&codes::DKIM, message));
        }
        Ok(Self { selector: selector.into(), public_key: base64.into() })
    }

    /// Returns the name at which receivers look the key up.
    ///
    /// # Errors
    /// `dns-name` if the selector is invalid, or too long for the domain.
    pub fn name(&self, domain: &Name) -> Result<Name> {
        record_name(&self.selector, domain)
    }

    /// Returns the record of the key.
    pub fn record(&self) -> RecordData {
        RecordData::txt(format!("v=DKIM1; k=rsa; p={}", self.public_key))
    }
}

/// Returns the record of a retired key: it contains no key (RFC 6376, section 3.6.1).
pub(super) fn retired_record() -> RecordData {
    RecordData::txt("v=DKIM1; k=rsa; p=")
}

pub(super) fn record_name(selector: &str, domain: &Name) -> Result<Name> {
    domain.below(&format!("{selector}._domainkey"))
}

/// Returns a selector that contains the date of its key, `c` with year and month, and a letter if that one is taken, so
/// that a key can be replaced while mail signed by the old one is still in transit.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// let november = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
/// assert_eq!(cloudron_dns::machine::dated_selector(november, &[]), "c202611");
/// assert_eq!(cloudron_dns::machine::dated_selector(november, &["c202611"]), "c202611b");
/// ```
pub fn dated_selector(now: SystemTime, taken: &[&str]) -> String {
    let days = now.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs() / 86_400);
    let (year, month) = year_and_month(days);
    let plain = format!("c{year:04}{month:02}");
    let lettered = (b'b'..=b'z').map(|letter| format!("{plain}{}", char::from(letter)));
    let free = std::iter::once(plain.clone()).chain(lettered).find(|s| !taken.contains(&s.as_str()));
    free.unwrap_or(plain)
}

/// Converts a day, counted from 1 January 1970, to year and month.
fn year_and_month(mut day: u64) -> (u64, u64) {
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month)
}

/// A key record as parsed by a receiver (RFC 6376, section 3.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DkimRecord {
    /// The type of the key: `rsa`, or `ed25519` (RFC 8463).
    pub key_type: String,
    /// The key, in DER or, for Ed25519, raw; `None` if it was retired.
    pub key: Option<Vec<u8>>,
    /// True if the domain only tests DKIM (`t=y`).
    pub testing: bool,
    /// The allowed hash algorithms (`h=`), in lower case; `None` for all.
    pub hashes: Option<Vec<String>>,
    /// The services for which the key is valid (`s=`), in lower case; `None` for all.
    pub services: Option<Vec<String>>,
}

impl DkimRecord {
    /// Parses a key record.
    ///
    /// # Errors
    /// `dns-dkim` if receivers do not recognize the text as a key record.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let shown = String::from_utf8_lossy(text).into_owned();
        let bad = |why: &str| Error::new(&codes::DKIM, format!("the key record {shown:?} {why}"));
        let tags = tags(&shown).ok_or_else(|| bad("is no list of tags"))?;
        let get = |name: &str| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str());
        // The version comes first if it is present.
        if get("v").is_some_and(|v| v != "DKIM1") || tags.iter().skip(1).any(|(tag, _)| tag == "v") {
            return Err(bad("has another version than DKIM1"));
        }
        let key: String = get("p").ok_or_else(|| bad("has no key (p=)"))?.split_whitespace().collect();
        let key = match key.as_str() {
            "" => None,
            key => Some(STANDARD.decode(key).map_err(|_| bad("has a key that is not base 64"))?),
        };
        let key_type = get("k").unwrap_or("rsa").to_ascii_lowercase();
        let list = |tag: &str| {
            let items = |value: &str| {
                value.split(':').map(|item| item.trim().to_ascii_lowercase()).collect::<Vec<_>>()
            };
            get(tag).map(items)
        };
        let testing = list("t").is_some_and(|flags| flags.iter().any(|flag| flag == "y"));
        Ok(Self { key_type, key, testing, hashes: list("h"), services: list("s") })
    }

    /// Returns why no receiver may use the key: it allows no hash except SHA-1 (RFC 8301, section 3.1), is not valid
    /// for mail (RFC 6376, section 3.6.1), has a type that receivers need not support, or is retired.
    pub fn unusable(&self) -> Option<String> {
        if self.key.is_none() {
            return Some("it was retired (p= is empty)".into());
        }
        if !matches!(self.key_type.as_str(), "rsa" | "ed25519") {
            return Some(format!("receivers know no key of the kind k={}", self.key_type));
        }
        let lacks = |list: &Option<Vec<String>>, allowed: &[&str]| {
            list.as_ref().is_some_and(|list| !list.iter().any(|item| allowed.contains(&item.as_str())))
        };
        if lacks(&self.hashes, &["sha256"]) {
            let hashes = self.hashes.iter().flatten().cloned().collect::<Vec<_>>().join(":");
            return Some(format!("it allows only h={hashes}, and receivers accept nothing but sha256"));
        }
        if lacks(&self.services, &["*", "email"]) {
            let services = self.services.iter().flatten().cloned().collect::<Vec<_>>().join(":");
            return Some(format!("it is for s={services} and not for mail"));
        }
        None
    }

    /// Returns whether another record has the same key. An RSA key is the same with and without the enclosing
    /// algorithm.
    #[cfg(feature = "check")]
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        let rsa = |record: &Self| {
            record.key.as_deref().filter(|key| modulus(key).is_some()).and_then(rsa_key).map(<[u8]>::to_vec)
        };
        self.key_type == other.key_type
            && (self.key == other.key || (rsa(self).is_some() && rsa(self) == rsa(other)))
    }

    /// Returns the size of an RSA key in bits; `None` for another type or no key.
    pub fn rsa_bits(&self) -> Option<usize> {
        let key = self.key.as_deref().filter(|_| self.key_type == "rsa")?;
        Some(modulus(key)?.len() * 8 - modulus(key)?.first()?.leading_zeros() as usize)
    }

    /// Returns whether the record contains the public half of a key. An RSA key is the same with and without the
    /// enclosing algorithm.
    pub fn is_key(&self, dkim: &Dkim) -> bool {
        let Ok(wanted) = STANDARD.decode(dkim.public_key.split_whitespace().collect::<String>()) else {
            return false;
        };
        let Some(key) = &self.key else { return false };
        *key == wanted || (modulus(key).is_some() && rsa_key(key) == rsa_key(&wanted))
    }
}

/// Parses the tags of a list `a=1; b=2` (RFC 6376, section 3.2); `None` if one is invalid or duplicate.
pub(crate) fn tags(text: &str) -> Option<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in text.split(';').map(str::trim).filter(|tag| !tag.is_empty()) {
        let (name, value) = tag.split_once('=')?;
        let name = name.trim_end();
        if name.is_empty() || tags.iter().any(|(other, _)| other == name) {
            return None;
        }
        tags.push((name.to_owned(), value.trim().to_owned()));
    }
    Some(tags)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// Returns the contents of the first DER value with a tag, and the rest.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Returns the contents of the RSAPublicKey in a SubjectPublicKeyInfo, or of a bare one (RFC 8017, appendix A.1.1).
fn rsa_key(key: &[u8]) -> Option<&[u8]> {
    let (outer, _) = der(key, SEQUENCE)?;
    match der(outer, SEQUENCE) {
        Some((_, rest)) => Some(der(der(rest, BIT_STRING)?.0.strip_prefix(&[0])?, SEQUENCE)?.0),
        None => Some(outer),
    }
}

/// Returns the modulus of an RSA key, without leading zeros.
fn modulus(key: &[u8]) -> Option<&[u8]> {
    let (number, _) = der(rsa_key(key)?, INTEGER)?;
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    Some(&number[zeros..]).filter(|number| !number.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The key of RFC 6376, appendix C: 1024 bits.
    const EXAMPLE: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt\
                           IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0\
                           fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

    fn record(key: Option<Vec<u8>>) -> DkimRecord {
        DkimRecord { key_type: "rsa".into(), key, testing: false, hashes: None, services: None }
    }

    #[test]
    fn what_no_receiver_may_use_is_told_from_what_it_may() {
        let unusable = |tags: &str| {
            DkimRecord::parse(format!("v=DKIM1; {tags}; p={EXAMPLE}").as_bytes()).unwrap().unusable()
        };
        for fine in [
            "k=rsa",
            "h=sha256",
            "h=sha1:sha256",
            "h= SHA256 : other",
            "s=email",
            "s=*:other",
            "t=s:y:x",
            "n=a note",
        ] {
            assert_eq!(unusable(fine), None, "{fine}");
        }
        for (tags, why) in [
            ("h=sha1", "h=sha1"),
            ("h=", "sha256"),
            ("h=sha512", "sha512"),
            ("s=tlsrpt", "not for mail"),
            ("s=", "not for mail"),
            ("k=dsa", "k=dsa"),
        ] {
            assert!(unusable(tags).is_some_and(|said| said.contains(why)), "{tags}");
        }
    }

    #[test]
    fn the_key_of_the_rfc_is_read_and_recognised() {
        let record = DkimRecord::parse(format!("v=DKIM1; p={EXAMPLE}").as_bytes()).unwrap();
        assert_eq!((record.rsa_bits(), record.testing), (Some(1024), false));
        assert!(record.is_key(&Dkim { selector: "brisbane".into(), public_key: EXAMPLE.into() }));
        let spaced = format!("k=rsa; t=y:s; p={} {}", &EXAMPLE[..80], &EXAMPLE[80..]);
        let spaced = DkimRecord::parse(spaced.as_bytes()).unwrap();
        assert_eq!((&spaced.key, spaced.testing), (&record.key, true));
    }

    #[test]
    fn the_same_rsa_key_without_its_algorithm_is_the_same_key() {
        let whole = STANDARD.decode(EXAMPLE).unwrap();
        let inner = rsa_key(&whole).unwrap();
        let bare = [&[SEQUENCE, 0x81, inner.len() as u8], inner].concat();
        let record = record(Some(bare));
        assert_eq!(record.rsa_bits(), Some(1024));
        assert!(record.is_key(&Dkim { selector: "s".into(), public_key: EXAMPLE.into() }));
        assert!(!record.is_key(&Dkim { selector: "s".into(), public_key: EXAMPLE.replace("QAB", "QAD") }));
    }

    #[test]
    fn a_retired_key_is_no_key_and_what_is_no_record_is_refused() {
        assert_eq!(DkimRecord::parse(b"v=DKIM1; k=rsa; p=").unwrap().key, None);
        for bad in ["v=DKIM2; p=", "k=rsa", "p=!", "p=; p=", "nonsense", "p=; v=DKIM1"] {
            assert!(DkimRecord::parse(bad.as_bytes()).unwrap_err().is(&codes::DKIM), "{bad}");
        }
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        for (day, month) in [
            (0, (1970, 1)),
            (58, (1970, 2)),
            (59, (1970, 3)),
            (11_016, (2000, 2)),
            (11_017, (2000, 3)),
            (20_818, (2026, 12)),
        ] {
            assert_eq!(year_and_month(day), month, "{day}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..80), key in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = DkimRecord::parse(&text);
            let _ = record(Some(key)).rsa_bits();
        }
    }
}
