//! Record types and TTLs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, codes};

/// A record type, by its number (IANA's registry of DNS parameters). It is written as its mnemonic, or as `TYPE65280`
/// (RFC 3597) if this crate knows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordType(pub u16);

macro_rules! types {
    ($($name:ident = $number:literal, $doc:literal;)* [$($other:literal = $code:literal),* $(,)?]) => {
        impl RecordType {
            $(#[doc = $doc] pub const $name: Self = Self($number);)*
        }
        const MNEMONICS: &[(u16, &str)] = &[$(($number, stringify!($name)),)* $(($code, $other)),*];
    };
}

types! {
    A = 1, "An IPv4 address.";
    NS = 2, "A name server of the zone, or of a zone delegated at this name.";
    CNAME = 5, "Another name for the one that the target gives.";
    SOA = 6, "The start of a zone of authority.";
    PTR = 12, "A name for an address.";
    MX = 15, "A mail server.";
    TXT = 16, "Text.";
    AAAA = 28, "An IPv6 address.";
    SRV = 33, "The server of a service.";
    NAPTR = 35, "A rule for rewriting names.";
    DNAME = 39, "Another name for a whole subtree.";
    DS = 43, "The digest of a delegated zone's key.";
    SSHFP = 44, "The fingerprint of an SSH host key.";
    RRSIG = 46, "A signature of a record set.";
    NSEC = 47, "The next name of a signed zone.";
    DNSKEY = 48, "A key of a signed zone.";
    TLSA = 52, "A certificate association (DANE).";
    SVCB = 64, "A service binding.";
    HTTPS = 65, "A service binding for HTTPS.";
    CAA = 257, "A certification authority that may issue for the name.";
    [
    // The rest of IANA's registry of November 2026, without types that are only valid in queries.
    "MD" = 3, "MF" = 4, "MB" = 7, "MG" = 8, "MR" = 9, "NULL" = 10, "WKS" = 11, "HINFO" = 13, "MINFO" = 14,
    "RP" = 17, "AFSDB" = 18, "X25" = 19, "ISDN" = 20, "RT" = 21, "NSAP" = 22, "NSAP-PTR" = 23, "SIG" = 24,
    "KEY" = 25, "PX" = 26, "GPOS" = 27, "LOC" = 29, "NXT" = 30, "EID" = 31, "NIMLOC" = 32, "ATMA" = 34,
    "KX" = 36, "CERT" = 37, "A6" = 38, "SINK" = 40, "APL" = 42, "IPSECKEY" = 45, "DHCID" = 49, "NSEC3" = 50,
    "NSEC3PARAM" = 51, "SMIMEA" = 53, "HIP" = 55, "NINFO" = 56, "RKEY" = 57, "TALINK" = 58, "CDS" = 59,
    "CDNSKEY" = 60, "OPENPGPKEY" = 61, "CSYNC" = 62, "ZONEMD" = 63, "DSYNC" = 66, "SPF" = 99, "UINFO" = 100,
    "UID" = 101, "GID" = 102, "UNSPEC" = 103, "NID" = 104, "L32" = 105, "L64" = 106, "LP" = 107, "EUI48" = 108,
    "EUI64" = 109, "NXNAME" = 128, "URI" = 256, "AVC" = 258, "DOA" = 259, "AMTRELAY" = 260, "RESINFO" = 261,
    "WALLET" = 262, "CLA" = 263, "IPN" = 264, "TA" = 32768, "DLV" = 32769,
    ]
}

impl RecordType {
    /// The types whose values [`RecordData`](crate::RecordData) interprets; PTR is the last one.
    pub const TYPED: [Self; 9] =
        [Self::A, Self::AAAA, Self::CNAME, Self::MX, Self::TXT, Self::SRV, Self::CAA, Self::NS, Self::PTR];

    /// Returns whether a record set of this type has exactly one value: CNAME (RFC 2181, section 10.1), DNAME (RFC
    /// 6672, section 2.4), SOA (RFC 1035, section 5.2).
    pub fn is_single(self) -> bool {
        matches!(self, Self::CNAME | Self::DNAME | Self::SOA)
    }

    /// Returns whether a name server generates sets of this type when it signs a zone: keys, signatures and denials
    /// (RFC 4034, RFC 5155), signals to the parent (RFC 7344), and BIND's own notes.
    pub fn is_signing(self) -> bool {
        matches!(self.0, 24 | 30 | 46..=48 | 50 | 51 | 59 | 60 | 65_534)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MNEMONICS.iter().find(|(number, _)| *number == self.0) {
            Some((_, mnemonic)) => f.pad(mnemonic),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl FromStr for RecordType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((number, _)) = MNEMONICS.iter().find(|(_, m)| m.eq_ignore_ascii_case(text)) {
            return Ok(Self(*number));
        }
        text.get(..4)
            .filter(|prefix| prefix.eq_ignore_ascii_case("TYPE"))
            .and_then(|_| text[4..].parse().ok())
            .map(Self)
            .ok_or_else(|| Error::new(&codes::RECORD, format!("{text:?} is not a record type")))
    }
}

impl TryFrom<String> for RecordType {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<RecordType> for String {
    fn from(rtype: RecordType) -> Self {
        rtype.to_string()
    }
}

/// A TTL: the time in seconds for which a resolver may cache an answer, 0 to 2147483647 (RFC 2181, section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Ttl(u32);

impl Ttl {
    /// Five minutes: short enough to move a server, long enough to limit the load of the name servers.
    pub const DEFAULT: Self = Self(300);
    /// Zero seconds: answers are not cached.
    pub const MIN: Self = Self(0);
    /// Maximum TTL.
    pub const MAX: Self = Self(i32::MAX as u32);

    /// Creates a TTL of that many seconds.
    ///
    /// # Errors
    /// `dns-ttl` if it exceeds 2147483647.
    pub fn new(seconds: u32) -> Result<Self> {
        if seconds > Self::MAX.0 {
            return Err(Error::new(&codes::TTL, format!("a TTL of {seconds} seconds is too long")));
        }
        Ok(Self(seconds))
    }

    /// Returns the number of seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u32> for Ttl {
    type Error = Error;

    fn try_from(seconds: u32) -> Result<Self> {
        Self::new(seconds)
    }
}

impl From<Ttl> for u32 {
    fn from(ttl: Ttl) -> Self {
        ttl.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_and_written_by_mnemonic_or_number() {
        assert_eq!("caa".parse::<RecordType>().unwrap(), RecordType::CAA);
        assert_eq!("TYPE1".parse::<RecordType>().unwrap(), RecordType::A);
        assert_eq!(RecordType(65280).to_string(), "TYPE65280");
        assert!("TYPE70000".parse::<RecordType>().is_err());
        assert!("añb".parse::<RecordType>().is_err());
    }

    #[test]
    fn a_ttl_has_31_bits() {
        assert!(Ttl::new(0x7fff_ffff).is_ok());
        assert!(Ttl::new(0x8000_0000).unwrap_err().is(&codes::TTL));
    }
}
