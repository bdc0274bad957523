//! The terms of an SPF record, parsed with the grammar of RFC 7208, section 12.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::macros;

/// The result for the sender if a mechanism matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Qualifier {
    Pass,
    Fail,
    SoftFail,
    Neutral,
}

/// Number of leading bits of an address that are compared, for each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(String),
    A(Option<String>, Prefix),
    Mx(Option<String>, Prefix),
    Ptr(Option<String>),
    Ip(IpAddr, u8),
    Exists(String),
}

/// An SPF record as parsed by a receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) mechanisms: Vec<(Qualifier, Mechanism, String)>,
    pub(super) redirect: Option<String>,
}

/// Parses the terms of a record; any error makes the whole record a permanent error (RFC 7208, section 4.6).
pub(super) fn read(record: &[u8]) -> Result<Terms, String> {
    let text = std::str::from_utf8(record).ok().filter(|t| t.is_ascii()).ok_or("it is not ASCII")?;
    let mut terms = Terms::default();
    let mut explained = false;
    for term in text[6..].split(' ').filter(|t| !t.is_empty()) {
        let bad = |why: &str| format!("{term:?} {why}");
        let name_end = term.find(['=', ':', '/']).unwrap_or(term.len());
        let (name, rest) = term.split_at(name_end);
        if let Some(value) = rest.strip_prefix('=') {
            if !is_name(name) {
                return Err(bad("is no modifier"));
            }
            match name.to_ascii_lowercase().as_str() {
                "redirect" if terms.redirect.is_some() => return Err(bad("is there twice")),
                "redirect" => {
                    terms.redirect = Some(domain_spec(value).ok_or_else(|| bad("names no domain"))?)
                }
                "exp" if explained => return Err(bad("is there twice")),
                "exp" => {
                    explained = true;
                    domain_spec(value).ok_or_else(|| bad("names no domain"))?;
                }
                _ if macros::is_valid(value) => {}
                _ => return Err(bad("has a macro that is none")),
            }
            continue;
        }
        let (qualifier, name) = match name.as_bytes().first() {
            Some(b'+') => (Qualifier::Pass, &name[1..]),
            Some(b'-') => (Qualifier::Fail, &name[1..]),
            Some(b'~') => (Qualifier::SoftFail, &name[1..]),
            Some(b'?') => (Qualifier::Neutral, &name[1..]),
            _ => (Qualifier::Pass, name),
        };
        let mechanism = mechanism(&name.to_ascii_lowercase(), rest).ok_or_else(|| bad("is no mechanism"))?;
        terms.mechanisms.push((qualifier, mechanism, term.to_owned()));
    }
    Ok(terms)
}

fn mechanism(name: &str, rest: &str) -> Option<Mechanism> {
    match name {
        "all" => rest.is_empty().then_some(Mechanism::All),
        "include" => domain_spec(rest.strip_prefix(':')?).map(Mechanism::Include),
        "exists" => domain_spec(rest.strip_prefix(':')?).map(Mechanism::Exists),
        "a" => domain_and_prefix(rest).map(|(domain, prefix)| Mechanism::A(domain, prefix)),
        "mx" => domain_and_prefix(rest).map(|(domain, prefix)| Mechanism::Mx(domain, prefix)),
        "ptr" if rest.is_empty() => Some(Mechanism::Ptr(None)),
        "ptr" => domain_spec(rest.strip_prefix(':')?).map(|domain| Mechanism::Ptr(Some(domain))),
        "ip4" => network::<Ipv4Addr>(rest, 32),
        "ip6" => network::<Ipv6Addr>(rest, 128),
        _ => None,
    }
}

fn network<A: std::str::FromStr + Into<IpAddr>>(rest: &str, bits: u8) -> Option<Mechanism> {
    let value = rest.strip_prefix(':')?;
    let (address, length) = match value.split_once('/') {
        Some((address, length)) => (address, prefix_length(length, bits)?),
        None => (value, bits),
    };
    let address: A = address.parse().ok()?;
    Some(Mechanism::Ip(address.into(), length))
}

/// Parses `[":" domain-spec] ["/" length] ["//" length]`.
fn domain_and_prefix(rest: &str) -> Option<(Option<String>, Prefix)> {
    // A slash that no digits follow belongs to the domain, or delimits the parts of a macro.
    let length = |digits: &str| digits.is_empty() || digits.bytes().all(|b| b.is_ascii_digit());
    let (rest, v6) = match rest.rsplit_once("//").filter(|(_, digits)| length(digits)) {
        Some((rest, digits)) => (rest, prefix_length(digits, 128)?),
        None => (rest, 128),
    };
    let (domain, v4) = match rest.rsplit_once('/').filter(|(_, digits)| length(digits)) {
        Some((domain, digits)) => (domain, prefix_length(digits, 32)?),
        None => (rest, 32),
    };
    let domain = match domain {
        "" => None,
        domain => Some(domain_spec(domain.strip_prefix(':')?)?),
    };
    Some((domain, Prefix { v4, v6 }))
}

fn prefix_length(text: &str, most: u8) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|length| plain && *length <= most)
}

/// Parses a domain with macros: it ends in a macro, or in a dot and a label that is not only digits (section 7.1).
fn domain_spec(text: &str) -> Option<String> {
    if !macros::is_valid(text) {
        return None;
    }
    let without_dot = text.strip_suffix('.').unwrap_or(text);
    let expands = text.ends_with('}') || ["%%", "%_", "%-"].iter().any(|end| text.ends_with(end));
    let top = without_dot.rsplit_once('.').is_some_and(|(_, label)| is_top_label(label));
    (expands || top).then(|| text.to_owned())
}

fn is_top_label(label: &str) -> bool {
    let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let ends = !label.starts_with('-') && !label.ends_with('-') && !label.is_empty();
    inner && ends && !label.bytes().all(|b| b.is_ascii_digit())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_grammar_does_not_allow_makes_the_record_an_error() {
        for bad in [
            "v=spf1 ip4:192.0.2.1/33",
            "v=spf1 ip4:192.0.2.1/024",
            "v=spf1 ip4:192.0.2",
            "v=spf1 ip6:192.0.2.1",
            "v=spf1 a:museum",
            "v=spf1 a:192.0.2.1",
            "v=spf1 a:example.com:8080",
            "v=spf1 a:%{x}.example.com",
            "v=spf1 a:%a.example.com",
            "v=spf1 a:%{d0}.example.com",
            "v=spf1 include",
            "v=spf1 include:",
            "v=spf1 all/8",
            "v=spf1 -all:x.example",
            "v=spf1 a/24/64",
            "v=spf1 moo",
            "v=spf1 exp=a.example exp=b.example",
            "v=spf1 redirect=",
            "v=spf1 =x",
            "v=spf1 -",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn mechanisms_have_their_defaults() {
        let terms =
            read(b"v=spf1 a/24//64 ~MX:example.com ptr ?exists:%{i}._spf.example.com x-y=%{d}").unwrap();
        let read: Vec<_> = terms.mechanisms.into_iter().map(|(q, m, _)| (q, m)).collect();
        assert_eq!(
            read,
            [
                (Qualifier::Pass, Mechanism::A(None, Prefix { v4: 24, v6: 64 })),
                (Qualifier::SoftFail, Mechanism::Mx(Some("example.com".into()), Prefix { v4: 32, v6: 128 })),
                (Qualifier::Pass, Mechanism::Ptr(None)),
                (Qualifier::Neutral, Mechanism::Exists("%{i}._spf.example.com".into())),
            ]
        );
    }
}
