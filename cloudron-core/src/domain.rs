//! The domain of a server.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, codes};

/// A domain name that can be registered, or on request a name below one, according to the public suffix list. It is in
/// lower-case ASCII (A-labels of RFC 5890), without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain {
    name: String,
    zone_start: usize,
}

impl Domain {
    /// Parses a registrable domain, given as `example.com`, `my.example.com` or the URL of its server.
    ///
    /// # Errors
    /// `domain-invalid` if the text is not a domain name, `domain-suffix` for a public suffix or a single label,
    /// `domain-sublevel` for a name below a registrable domain.
    pub fn parse(text: &str) -> Result<Self> {
        let domain = Self::parse_any(text)?;
        if domain.is_subdomain() {
            return Err(Error::new(
                &codes::DOMAIN_SUBLEVEL,
                format!("{} is below the registered domain {}", domain.name, domain.zone()),
            )
            .with_detail("registered", domain.zone()));
        }
        Ok(domain)
    }

    /// Parses a domain like [`parse`](Self::parse), and also accepts a name below a registrable domain.
    ///
    /// # Errors
    /// `domain-invalid` or `domain-suffix`.
    pub fn parse_any(text: &str) -> Result<Self> {
        let host = host_part(text);
        let name = to_ascii(host, text)?;
        let zone = registrable(&name)?;
        // The server's own page is at `my`, so this label is removed, but never from a domain whose own first label it
        // is, such as my.com.
        let name = match name.strip_prefix("my.") {
            Some(rest) if name != zone => rest.to_owned(),
            _ => name,
        };
        let zone_start = name.len() - zone.len();
        Ok(Self { name, zone_start })
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Returns the registrable domain of the name: the name itself, or the domain above it.
    pub fn zone(&self) -> &str {
        &self.name[self.zone_start..]
    }

    /// Returns whether the name is below the registrable domain.
    pub fn is_subdomain(&self) -> bool {
        self.zone_start > 0
    }

    /// Returns the host name of the server's own page: `my.<domain>`.
    pub fn admin_fqdn(&self) -> String {
        format!("my.{}", self.name)
    }

    /// Returns the name for display, with international labels in their own script.
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.name).0
    }
}

/// Returns the host of a URL, or the text unchanged if it is not a URL.
fn host_part(text: &str) -> &str {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return text;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn to_ascii(host: &str, given: &str) -> Result<String> {
    let shown: String = given.chars().take(80).collect();
    let invalid = |why: &str| Error::new(&codes::DOMAIN_INVALID, format!("{shown:?} is not a domain: {why}"));
    if host.is_empty() {
        return Err(invalid("it is empty"));
    }
    if host.parse::<IpAddr>().is_ok() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(invalid("it is an IP address").with_detail("address", host.trim_matches(['[', ']'])));
    }
    if let Some(bad) = host.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(invalid(&format!("it contains {bad:?}")));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.chars().count() > 253 {
        return Err(invalid("it is longer than 253 characters"));
    }
    let name = idna::domain_to_ascii_strict(host)
        .map_err(|_| invalid("a label is empty, too long or has a character that is not allowed"))?;
    if name.len() > 253 {
        return Err(invalid("it is longer than 253 characters"));
    }
    for label in name.split('.') {
        let ok = (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !ok {
            return Err(invalid(&format!("the label {label:?} is not allowed")));
        }
    }
    Ok(name)
}

/// Returns the registrable domain of a name according to the public suffix list (publicsuffix.org), including its
/// private section: `example.co.uk` for `a.example.co.uk`.
fn registrable(name: &str) -> Result<String> {
    psl::domain_str(name).map(str::to_owned).ok_or_else(|| {
        let what = if name.contains('.') { "a public suffix" } else { "a single label" };
        Error::new(&codes::DOMAIN_SUFFIX, format!("{name} is {what}, not a domain that you can own"))
            .with_hint(format!("give the domain that you registered, such as example.{name}"))
    })
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TryFrom<String> for Domain {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse_any(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> &'static str {
        Domain::parse(text).unwrap_err().code().name
    }

    #[test]
    fn every_way_of_writing_a_domain_is_the_same_domain() {
        for text in [
            "example.com",
            "EXAMPLE.com.",
            " example.com ",
            "my.example.com",
            "https://my.example.com/",
            "http://user@my.example.com:8443/a/b?c#d",
        ] {
            assert_eq!(Domain::parse(text).unwrap().as_str(), "example.com", "{text}");
        }
        assert_eq!(Domain::parse("my.example").unwrap().as_str(), "my.example");
        assert_eq!(Domain::parse("demo.localhost").unwrap().as_str(), "demo.localhost");
    }

    #[test]
    fn international_names_are_kept_in_ascii_and_shown_in_their_script() {
        let domain = Domain::parse("bücher.example").unwrap();
        assert_eq!(domain.as_str(), "xn--bcher-kva.example");
        assert_eq!(domain.to_unicode(), "bücher.example");
    }

    #[test]
    fn a_name_below_a_registered_domain_is_refused_unless_allowed() {
        assert_eq!(code("cloudron.example.com"), "domain-sublevel");
        assert_eq!(code("cloudron.example.co.uk"), "domain-sublevel");
        let domain = Domain::parse_any("my.cloudron.example.com").unwrap();
        assert_eq!((domain.as_str(), domain.zone()), ("cloudron.example.com", "example.com"));
        assert_eq!(domain.admin_fqdn(), "my.cloudron.example.com");
    }

    #[test]
    fn what_nobody_can_own_is_refused() {
        for text in ["example", "com", "co.uk", "github.io"] {
            assert_eq!(code(text), "domain-suffix", "{text}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        let long = format!("{}.com", "a".repeat(64));
        let longer = vec!["abcdefghi"; 30].join(".");
        for text in [
            "",
            "exa mple.com",
            "1.2.3.4",
            "[::1]",
            "2001:db8::1",
            "-a.com",
            "a..com",
            "a_b.com",
            &long,
            &longer,
        ] {
            assert_eq!(code(text), "domain-invalid", "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_parsed_parses_to_itself(text in "\\PC{0,40}") {
            if let Ok(domain) = Domain::parse_any(&text) {
                let again = Domain::parse_any(&format!("https://my.{domain}")).unwrap();
                prop_assert_eq!(again, domain);
            }
        }
    }
}
