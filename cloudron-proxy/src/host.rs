//! Host names as the client, the certificate and the table write them.

use std::net::IpAddr;
use std::sync::Arc;

/// Maximum length of a name (RFC 1035, section 2.3.4).
const LONGEST: usize = 253;

/// A host name in lower case, without a port and without the dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostName(Arc<str>);

impl HostName {
    /// Reads a name, or an address as a URL has it. Returns `None` if it is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let bracketed = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        let valid = match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_name(&name),
        };
        valid.then(|| Self(name.into()))
    }

    /// Reads `host` or `host:port` (RFC 9110, section 7.2). User names and other parts are refused.
    pub(crate) fn of_authority(authority: &str) -> Option<Self> {
        let end = match authority.rfind(']') {
            Some(bracket) => bracket + 1,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at(end);
        let port = match port.strip_prefix(':') {
            Some(port) => port,
            None if port.is_empty() => "",
            None => return None,
        };
        let valid = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
        if valid { Self::parse(host) } else { None }
    }

    /// Returns the name of the table's wildcard entry for this host: `*.example.com` for `a.example.com`.
    pub(crate) fn wildcard(&self) -> Option<String> {
        let (_, rest) = self.0.split_once('.')?;
        Some(format!("*.{rest}"))
    }

    /// Returns whether it is an address, for which a client sends no server name (RFC 6066, section 3).
    pub(crate) fn is_address(&self) -> bool {
        self.0.starts_with('[') || self.0.parse::<IpAddr>().is_ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether a text is a host name of the table: a name, or a wildcard of one label.
pub(crate) fn is_pattern(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    HostName::parse(name).is_some_and(|parsed| parsed.as_str() == name)
}

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= LONGEST && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_however_it_is_written() {
        let same =
            ["a.example.com", "A.Example.COM", "a.example.com.", "a.example.com:443", "a.example.com.:8443"];
        for text in same {
            assert_eq!(HostName::of_authority(text).unwrap().as_str(), "a.example.com", "{text}");
        }
        assert_eq!(HostName::of_authority("[::1]:443").unwrap().as_str(), "[::1]");
        assert!(HostName::of_authority("[::1]").unwrap().is_address());
        assert!(HostName::of_authority("192.0.2.1:80").unwrap().is_address());
        assert_eq!(HostName::parse("a.b.c").unwrap().wildcard().unwrap(), "*.b.c");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "user@a.test",
            "a.test:80:80",
            "a.test:x",
            "a.test/",
            "a test",
            "a.test:123456",
            "[::1",
            "[x]",
            "a.test,b.test",
            "a.test\t",
            "[::1]x",
            "é.test",
            "a.test#",
            "a.test?x",
            "*.test",
        ] {
            assert_eq!(HostName::of_authority(text), None, "{text}");
        }
        assert!(is_pattern("*.example.com") && is_pattern("example.com"));
        assert!(!is_pattern("*") && !is_pattern("a.*.com") && !is_pattern("A.com") && !is_pattern("*.*.com"));
    }
}
