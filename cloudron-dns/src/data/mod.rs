//! Data of one record.

pub(crate) mod fields;
mod location;
mod presentation;
mod service;
mod text;
mod wire;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use text::Text;

use crate::{Name, RecordType};

/// The data of one record. Two are equal if they have the same meaning, regardless of their notation.
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
    /// The name that an address resolves to.
    Ptr(Name),
    /// A mail server (RFC 5321, section 5).
    Mx {
        /// The lowest value is tried first.
        preference: u16,
        /// Host name of the mail server, which has addresses and is no CNAME. The root means that the domain accepts no
        /// mail (RFC 7505).
        exchange: Name,
    },
    /// Text.
    Txt(Text),
    /// The server of a service (RFC 2782).
    Srv {
        /// The lowest value is tried first.
        priority: u16,
        /// The relative weight among servers of the same priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The server's name.
        target: Name,
    },
    /// An authority that may issue certificates (RFC 8659).
    Caa {
        /// The flags; 128 is "critical".
        flags: u8,
        /// The property, such as `issue`, in lower case.
        tag: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Data of a type that this crate does not interpret: uncompressed bytes (RFC 3597).
    Unknown {
        /// The type.
        rtype: RecordType,
        /// The bytes.
        rdata: Vec<u8>,
    },
}

impl RecordData {
    /// Returns the record type of this data.
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

    /// Creates a text of any length, such as an SPF record.
    pub fn txt(text: impl Into<Vec<u8>>) -> Self {
        Self::Txt(Text::new(text))
    }
}
