//! What a certificate is wanted for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, codes};

/// Maximum number of names in one certificate, as the profile `tlsserver` of Let's Encrypt allows.
pub const MOST_NAMES: usize = 25;

/// A name in a certificate: a domain name, a wildcard, or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// A domain name in lower case, without a dot at the end.
    Name(String),
    /// All names one level below this one.
    Wildcard(String),
    /// An address.
    Address(IpAddr),
}

impl Subject {
    /// Returns the name without `*.`; `None` for an address.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Self::Name(name) | Self::Wildcard(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    /// Returns the text by which failures are counted and limits apply: the registered domain, or the address.
    pub fn registered(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Name(name) | Self::Wildcard(name) => {
                cloudron_core::Domain::parse_any(name).map_or_else(|_| name.clone(), |d| d.zone().to_owned())
            }
        }
    }
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let (wildcard, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let name = rest.strip_suffix('.').unwrap_or(rest).to_ascii_lowercase();
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if name.len() > 253 || !name.contains('.') || !name.split('.').all(label) {
            let text: String = text.chars().take(253).collect();
            let message = format!("`{}` cannot be in a certificate", cloudron_core::escape::line(&text));
            return Err(Error::new(&codes::NAME, message));
        }
        Ok(if wildcard { Self::Wildcard(name) } else { Self::Name(name) })
    }
}

impl TryFrom<String> for Subject {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Wildcard(name) => write!(f, "*.{name}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// How the control of names is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Challenge {
    /// A file that the authority reads from port 80.
    #[serde(rename = "http-01")]
    Http01,
    /// A record of its own for each order.
    #[serde(rename = "dns-01")]
    Dns01,
    /// A record that stays, and names the account (draft-ietf-acme-dns-persist).
    #[serde(rename = "dns-persist-01")]
    DnsPersist01,
}

impl Challenge {
    /// Returns its name in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }

    /// Returns whether it can prove the control of that name.
    pub fn suits(self, subject: &Subject) -> bool {
        match subject {
            Subject::Name(_) => true,
            Subject::Wildcard(_) => self != Self::Http01,
            Subject::Address(_) => self == Self::Http01,
        }
    }
}

/// A certificate that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub(crate) id: String,
    pub(crate) names: Vec<Subject>,
    pub(crate) challenge: Challenge,
}

impl Wanted {
    /// A certificate for these names, of which the first one is its ID.
    ///
    /// # Errors
    /// `acme-name` for a name that cannot be in a certificate, for none, and for more than [`MOST_NAMES`];
    /// `acme-no-challenge` for a name of which the challenge can prove nothing.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, challenge: Challenge) -> Result<Self> {
        let given = names.into_iter().map(str::parse).collect::<Result<Vec<Subject>>>()?;
        let Some(first) = given.first() else {
            return Err(Error::new(&codes::NAME, "a certificate needs a name"));
        };
        let id = id_of(first);
        let mut names = given.clone();
        names.sort();
        names.dedup();
        if names.len() > MOST_NAMES {
            let message = format!("{} names are more than one certificate has ({MOST_NAMES})", names.len());
            return Err(Error::new(&codes::NAME, message));
        }
        if let Some(name) = names.iter().find(|name| !challenge.suits(name)) {
            let message = format!("{} cannot prove the control of {name}", challenge.as_str());
            return Err(Error::new(&codes::NO_CHALLENGE, message).with_detail("name", name.to_string()));
        }
        Ok(Self { id, names, challenge })
    }

    /// Returns the ID: the first name, with `_` in place of `*`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the names, sorted.
    pub fn names(&self) -> &[Subject] {
        &self.names
    }
}

/// Returns the name of the files of a certificate.
fn id_of(first: &Subject) -> String {
    first.to_string().replace('*', "_").replace(':', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_one_form() {
        let form = |text: &str| text.parse::<Subject>().unwrap().to_string();
        assert_eq!(form("My.Example.COM."), "my.example.com");
        assert_eq!(form("*.example.com"), "*.example.com");
        assert_eq!(form("2001:DB8::1"), "2001:db8::1");
        for bad in
            ["", "com", "a..b", "-a.example.com", "*.*.example.com", "a b.example.com", "../x.y", "a/b.c"]
        {
            assert!(bad.parse::<Subject>().unwrap_err().is(&codes::NAME), "{bad}");
        }
    }

    #[test]
    fn an_id_is_the_name_of_a_file() {
        let id = |name: &str, how| Wanted::new([name], how).unwrap().id().to_owned();
        assert_eq!(id("*.example.com", Challenge::Dns01), "_.example.com");
        assert_eq!(id("2001:db8::1", Challenge::Http01), "2001-db8--1");
    }

    #[test]
    fn a_challenge_that_proves_nothing_of_a_name_is_refused_before_anything_is_asked_for() {
        for (name, how) in [("*.example.com", Challenge::Http01), ("192.0.2.1", Challenge::Dns01)] {
            assert!(Wanted::new([name], how).unwrap_err().is(&codes::NO_CHALLENGE));
        }
        let many: Vec<String> = (0..26).map(|n| format!("a{n}.example.com")).collect();
        let many = Wanted::new(many.iter().map(String::as_str), Challenge::Http01);
        assert!(many.unwrap_err().is(&codes::NAME));
        assert!(Wanted::new([], Challenge::Http01).unwrap_err().is(&codes::NAME));
    }
}
