//! TSIG keys (RFC 8945), and their text forms.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudron_core::Secret;
use zeroize::Zeroizing;

use crate::{Error, Name, Result, codes};

/// The algorithm of a signature (RFC 8945, section 6). HMAC-MD5 must not be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TsigAlgorithm {
    /// For old servers that support nothing better.
    HmacSha1,
    /// Supported by every server.
    #[default]
    HmacSha256,
    /// A longer digest.
    HmacSha384,
    /// The longest digest.
    HmacSha512,
}

impl TsigAlgorithm {
    const ALL: [Self; 4] = [Self::HmacSha1, Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    /// Returns the registered name: `hmac-sha256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

impl fmt::Display for TsigAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TsigAlgorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        Self::ALL.into_iter().find(|a| a.as_str() == name).ok_or_else(|| {
            // Anything else may be the secret, in the wrong place.
            let shown = if name.starts_with("hmac-") { &name } else { "what is given" };
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::new(&codes::TSIG_KEY, format!("{shown} is not an algorithm that is known ({known})"))
                .with_hint("make a new key on the server: tsig-keygen -a hmac-sha256 NAME")
        })
    }
}

/// A key that a name server shares with clients that may change its zones. `Debug` redacts the secret.
///
/// ```
/// use cloudron_dns::rfc2136::TsigKey;
///
/// let key = TsigKey::parse("hmac-sha256:laptop.example.com:c2VjcmV0IHNlY3JldA==")?;
/// let same = TsigKey::parse(r#"
///     key "laptop.example.com" {
///         algorithm hmac-sha256;
///         secret "c2VjcmV0IHNlY3JldA==";
///     };"#)?;
/// assert_eq!(key, same);
/// # Ok::<(), cloudron_dns::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsigKey {
    name: Name,
    algorithm: TsigAlgorithm,
    secret: Secret,
}

impl TsigKey {
    /// Creates a key; its secret is base64, as in the server's configuration.
    ///
    /// # Errors
    /// `dns-tsig-key` if the secret is not base64 or is empty.
    pub fn new(name: Name, algorithm: TsigAlgorithm, secret: &Secret) -> Result<Self> {
        let compact: String = secret.expose().chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let secret = Secret::new(compact);
        match STANDARD.decode(secret.expose()).map(Zeroizing::new) {
            Ok(bytes) if bytes.is_empty() => Err(unusable("its secret is empty")),
            Ok(_) => Ok(Self { name, algorithm, secret }),
            Err(e) => Err(unusable(&format!("its secret is not base64: {}", why_no_base64(&e)))),
        }
    }

    /// Parses a key in the form of `nsupdate -y`, `[ALGORITHM:]NAME:SECRET` (hmac-sha256 by default), or of a file for
    /// BIND: `key "NAME" { algorithm ALGORITHM; secret "SECRET"; };`, the first one of several.
    ///
    /// # Errors
    /// `dns-tsig-key`, which quotes nothing of the text except the name of an algorithm.
    pub fn parse(text: &str) -> Result<Self> {
        if text.contains('{') { bind(text) } else { short(text.trim()) }
    }

    /// Returns the key's name, which must be the same on both sides.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> TsigAlgorithm {
        self.algorithm
    }

    /// Returns the bytes of the secret.
    pub(super) fn secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(STANDARD.decode(self.secret.expose()).unwrap_or_default())
    }
}

/// Returns the error for an unusable key, without the key's name: if the fields were swapped, the secret is in its
/// place.
fn unusable(why: &str) -> Error {
    Error::new(&codes::TSIG_KEY, format!("the key cannot be used: {why}"))
}

fn why_no_base64(error: &base64::DecodeError) -> String {
    match error {
        // The byte itself is part of the secret.
        base64::DecodeError::InvalidByte(at, _) => format!("character {} is none of its alphabet", at + 1),
        base64::DecodeError::InvalidLength(length) => {
            format!("{length} characters are no whole number of bytes")
        }
        base64::DecodeError::InvalidLastSymbol { .. } | base64::DecodeError::InvalidPadding => {
            "it is cut off, or its `=` at the end are missing".into()
        }
    }
}

fn malformed(why: &str) -> Error {
    Error::new(&codes::TSIG_KEY, format!("the key cannot be read: {why}")).with_hint(
        "give [ALGORITHM:]NAME:SECRET, or a file with key \"NAME\" { algorithm hmac-sha256; secret \"…\"; };",
    )
}

fn short(text: &str) -> Result<TsigKey> {
    let fields: Vec<&str> = text.split(':').collect();
    let (algorithm, name, secret) = match fields[..] {
        [name, secret] => (TsigAlgorithm::default(), name, secret),
        [algorithm, name, secret] => (algorithm.parse()?, name, secret),
        _ => {
            return Err(malformed(&format!(
                "it has {} fields between colons instead of 2 or 3",
                fields.len()
            )));
        }
    };
    TsigKey::new(key_name(name)?, algorithm, &Secret::new(secret))
}

/// Parses the key's name. An invalid name is not quoted, because it may be the secret in the wrong field.
fn key_name(text: &str) -> Result<Name> {
    match Name::parse(text) {
        Ok(name) if !name.is_root() => Ok(name),
        _ => Err(malformed("the name of the key is not a DNS name")),
    }
}

fn bind(text: &str) -> Result<TsigKey> {
    let words = words(text)?;
    let mut words = words.iter().map(String::as_str);
    words.by_ref().find(|w| *w == "key").ok_or_else(|| malformed("there is no `key` in it"))?;
    let name = key_name(words.next().unwrap_or_default())?;
    if words.next() != Some("{") {
        return Err(malformed("after the name of the key there is no `{`"));
    }
    let (mut algorithm, mut secret) = (None, None);
    loop {
        match (words.next(), words.next(), words.next()) {
            (Some("algorithm"), Some(value), Some(";")) => algorithm = Some(value.parse()?),
            (Some("secret"), Some(value), Some(";")) => secret = Some(Secret::new(value)),
            (Some("}"), ..) => break,
            _ => {
                return Err(malformed(
                    "between `{` and `}` there is more than `algorithm …;` and `secret …;`",
                ));
            }
        }
    }
    let algorithm = algorithm.ok_or_else(|| unusable("its algorithm is missing"))?;
    let secret = secret.ok_or_else(|| unusable("its secret is missing"))?;
    TsigKey::new(name, algorithm, &secret)
}

/// Splits BIND's configuration into words, quoted strings and punctuation, without comments.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let comment =
            [("/*", "*/"), ("//", "\n"), ("#", "\n")].into_iter().find(|(open, _)| rest.starts_with(open));
        if let Some((_, close)) = comment {
            rest = rest.split_once(close).map_or("", |(_, after)| after);
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (word, after) = quoted.split_once('"').ok_or_else(|| malformed("a quote is not closed"))?;
            words.push(word.to_owned());
            rest = after;
        } else if matches!(first, '{' | '}' | ';') {
            words.push(first.to_string());
            rest = &rest[1..];
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"'));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            words.push(word.to_owned());
            rest = after;
        }
        rest = rest.trim_start();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Y2FuYXJ5LWNhbmFyeQ==";

    fn refused(text: &str) -> String {
        let error = TsigKey::parse(text).unwrap_err();
        assert!(error.is(&codes::TSIG_KEY), "{text}: {error:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("Y2FuYXJ5"), "{shown}");
        error.to_string()
    }

    #[test]
    fn a_key_is_read_as_nsupdate_takes_it() {
        let key = TsigKey::parse(&format!("Laptop.Example.com:{SECRET}")).unwrap();
        assert_eq!(key.name().to_string(), "laptop.example.com.");
        assert_eq!(key.algorithm(), TsigAlgorithm::HmacSha256);
        assert_eq!(key.secret_bytes().as_slice(), b"canary-canary");
        let key = TsigKey::parse(&format!("HMAC-SHA512:k:{SECRET}\n")).unwrap();
        assert_eq!(key.algorithm(), TsigAlgorithm::HmacSha512);
    }

    #[test]
    fn a_key_is_read_from_a_file_for_bind_with_comments_and_without_quotes() {
        let text = format!(
            "// for my laptop\nkey laptop {{ # ours\n\tsecret \"{SECRET}\"; /* the\n secret */ algorithm HMAC-SHA384;\n}};"
        );
        let key = TsigKey::parse(&text).unwrap();
        assert_eq!(
            (key.name().to_string().as_str(), key.algorithm()),
            ("laptop.", TsigAlgorithm::HmacSha384)
        );
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_reason_and_without_the_secret() {
        for (text, why) in [
            (format!("hmac-md5:k:{SECRET}"), "hmac-sha256"),
            (format!("k:{}", &SECRET[..18]), "="),
            (format!("k:{SECRET}!"), "character"),
            ("k:".into(), "empty"),
            (SECRET.into(), "1 fields"),
            (format!("{SECRET}:k"), "whole number"),
            (format!("{SECRET}:k:a"), "what is given"),
            (format!("a:b:c:{SECRET}"), "4 fields"),
            (format!("key k {{ secret \"{SECRET}\"; }};"), "algorithm is missing"),
            ("key k { algorithm hmac-sha256; };".into(), "secret is missing"),
            (format!("key k {{ algorithm hmac-sha256; secret \"{SECRET}; }};"), "not closed"),
            (format!("key k {{ algorithm hmac-sha256 {SECRET}"), "more than"),
            ("{}".into(), "no `key`"),
        ] {
            let said = refused(&text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_key_shows_nothing_of_its_secret() {
        let key = TsigKey::parse(&format!("k:{SECRET}")).unwrap();
        let shown = format!("{key:?}");
        assert!(!shown.contains("Y2Fu") && !shown.contains("canary"), "{shown}");
    }
}
