//! The data of one record.

pub(crate) mod fields;
mod location;
mod presentation;
mod service;
mod text;
mod wire;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use text::Text;

use crate::{Name, RecordType};

/// The data of one record. Two are equal when they mean the same, however they were written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The canonical name (RFC 1035, section 3.3.1).
    Cname(Name),
    /// A name server.
    Ns(Name),
    /// The name of an address.
    Ptr(Name),
    /// A mail server (RFC 5321, section 5).
    Mx {
        /// The lowest is tried first.
        preference: u16,
        /// Its name, which has addresses and is no CNAME; the root says that the domain takes no mail (RFC 7505).
        exchange: Name,
    },
    /// Text.
    Txt(Text),
    /// The server of a service (RFC 2782).
    Srv {
        /// The lowest is tried first.
        priority: u16,
        /// The share among servers of the same priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The server's name.
        target: Name,
    },
    /// Who may issue certificates (RFC 8659).
    Caa {
        /// The flags; 128 is "critical".
        flags: u8,
        /// The property, such as `issue`, in lower case.
        tag: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Data of a type that this crate does not interpret: its bytes, uncompressed (RFC 3597).
    Unknown {
        /// The type.
        rtype: RecordType,
        /// The bytes.
        rdata: Vec<u8>,
    },
}

impl RecordData {
    /// The record type that this data belongs to.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::AAAA,
            Self::Cname(_) => RecordType::CNAME,
            Self::Ns(_) => RecordType::NS,
            Self::Ptr(_) => RecordType::PTR,
            Self::Mx { .. } => RecordType::MX,
            Self::Txt(_) => RecordType::TXT,
            Self::Srv { .. } => RecordType::SRV,
            Self::Caa { .. } => RecordType::CAA,
            Self::Unknown { rtype, .. } => *rtype,
        }
    }

    /// Text of any length, such as an SPF record.
    pub fn txt(text: impl Into<Vec<u8>>) -> Self {
        Self::Txt(Text::new(text))
    }
}
