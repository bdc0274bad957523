//! Networks, ports and interfaces, as a policy names them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use cloudron_core::escape;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, codes};

/// An IPv4 or IPv6 network, such as `192.168.178.0/24`. An address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// One port or several in a row, such as `443` or `8000-8010`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ports {
    first: u16,
    last: u16,
}

/// The name of a network interface, or the beginning of names followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interface(String);

impl Network {
    /// Returns whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Returns whether every address of `other` is in it.
    pub fn contains(&self, other: &Self) -> bool {
        self.is_ipv4() == other.is_ipv4()
            && self.prefix <= other.prefix
            && masked(other.address, self.prefix) == self.address
    }
}

/// Returns an address with all bits behind the prefix zero.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(a) & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(a) & mask).into())
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| invalid("network", text, why);
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr =
            address.parse().map_err(|_| wrong("it is an address, or an address, a slash and a length"))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (1..=longest).contains(n))
                .ok_or_else(|| wrong(&format!("the length is a number of bits from 1 to {longest}")))?,
        };
        let address = masked(address, prefix);
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return Err(wrong("nobody sends from there"));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.is_ipv4() { 32 } else { 128 };
        if self.prefix == longest {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Ports {
    /// Returns one port.
    ///
    /// # Errors
    /// `firewall-policy` for 0.
    pub fn one(port: u16) -> Result<Self> {
        Self::range(port, port)
    }

    /// Returns the ports from `first` to `last`.
    ///
    /// # Errors
    /// `firewall-policy` for port 0, or if the last is less than the first.
    pub fn range(first: u16, last: u16) -> Result<Self> {
        if first == 0 || last < first {
            return Err(invalid(
                "port",
                &format!("{first}-{last}"),
                "ports are 1 to 65535, the lower one first",
            ));
        }
        Ok(Self { first, last })
    }

    /// Returns the lowest.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// Returns the highest.
    pub fn last(&self) -> u16 {
        self.last
    }

    /// Returns whether a port is among them.
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Returns the same ports in order, as few ranges as possible.
    pub(super) fn merged(ports: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut sorted: Vec<Self> = ports.into_iter().collect();
        sorted.sort();
        let mut merged: Vec<Self> = Vec::new();
        for next in sorted {
            match merged.last_mut() {
                Some(before) if next.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(next.last);
                }
                _ => merged.push(next),
            }
        }
        merged
    }
}

impl FromStr for Ports {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || invalid("port", text, "it is a number, or two with a hyphen between");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
        Self::range(number(first)?, number(last)?)
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl Interface {
    /// Returns the name or pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Interface {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.strip_suffix('*').unwrap_or(text);
        let usual = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        // `lo` and `*` would let in everybody.
        let fits = (1..=15).contains(&text.len()) && name.len() >= 2 && name.bytes().all(usual);
        if !fits || name == "lo" {
            let why = "it is 2 to 15 letters, digits, dots, hyphens or underscores, `*` may be the last, and not `lo`";
            return Err(invalid("interface", text, why));
        }
        Ok(Self(text.to_owned()))
    }
}

fn invalid(what: &str, text: &str, why: &str) -> Error {
    let text: String = text.chars().take(60).collect();
    Error::new(&codes::FIREWALL_POLICY, format!("`{}` is no {what}: {why}", escape::line(&text)))
}

/// Conversions that serde uses.
macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )+};
}

as_text!(Network, Ports, Interface);

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_lose_the_bits_behind_their_length_and_know_what_they_contain() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        assert_eq!(network("192.168.178.7/24").to_string(), "192.168.178.0/24");
        assert_eq!(network("2001:db8::1/64").to_string(), "2001:db8::/64");
        assert_eq!(network("10.0.0.1").to_string(), "10.0.0.1");
        assert!(network("10.0.0.0/8").contains(&network("10.1.0.0/16")));
        assert!(!network("10.1.0.0/16").contains(&network("10.0.0.0/8")));
        assert!(!network("10.0.0.0/8").contains(&network("fd00::/8")));
        for bad in ["", "10.0.0.0/0", "10.0.0.0/33", "::/0", "127.0.0.1", "1.2.3.4/ 8", "10.0.0.0/8 }", "a"] {
            assert!(bad.parse::<Network>().unwrap_err().is(&codes::FIREWALL_POLICY), "{bad}");
        }
    }

    #[test]
    fn ports_that_touch_become_one_range() {
        let ports = |texts: &[&str]| texts.iter().map(|t| t.parse::<Ports>().unwrap()).collect::<Vec<_>>();
        let merged = Ports::merged(ports(&["443", "80", "81-90", "85", "65535", "65534"]));
        assert_eq!(merged, ports(&["80-90", "443", "65534-65535"]));
        for bad in ["0", "90-80", "65536", "80-", "-80", " 80", "http", "1-2-3"] {
            assert!(bad.parse::<Ports>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_interface_lets_everybody_in_or_ends_the_text_that_it_stands_in() {
        assert!("docker0".parse::<Interface>().is_ok() && "br-*".parse::<Interface>().is_ok());
        for bad in ["", "*", "e*", "lo", "lo*", "a\"b", "eth0 }", "a*b", "abcdefghijklmnop"] {
            assert!(bad.parse::<Interface>().is_err(), "{bad}");
        }
    }
}
