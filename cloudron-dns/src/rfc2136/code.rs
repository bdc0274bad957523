//! Response codes.

use std::fmt;

/// A response code (RFC 1035, section 4.1.1; RFC 2136, section 2.2; RFC 8945, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u16);

impl Code {
    pub(super) const OK: Self = Self(0);
    pub(super) const FORMERR: Self = Self(1);
    pub(super) const NXDOMAIN: Self = Self(3);
    pub(super) const NOTIMP: Self = Self(4);
    pub(super) const REFUSED: Self = Self(5);
    pub(super) const YXDOMAIN: Self = Self(6);
    pub(super) const YXRRSET: Self = Self(7);
    pub(super) const NXRRSET: Self = Self(8);
    pub(super) const NOTAUTH: Self = Self(9);
    pub(super) const NOTZONE: Self = Self(10);
    pub(super) const BADSIG: Self = Self(16);
    pub(super) const BADKEY: Self = Self(17);
    pub(super) const BADTIME: Self = Self(18);
    pub(super) const BADTRUNC: Self = Self(22);

    /// Returns whether the server does not or cannot do what was requested, which says nothing about a zone's contents.
    pub(super) fn denies(self) -> bool {
        [Self::FORMERR, Self(2), Self::NOTIMP, Self::REFUSED, Self::NOTAUTH].contains(&self)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 11] = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
            "NXRRSET", "NOTAUTH", "NOTZONE",
        ];
        match (NAMES.get(usize::from(self.0)), *self) {
            (Some(name), _) => f.write_str(name),
            (None, Self::BADSIG) => f.write_str("BADSIG"),
            (None, Self::BADKEY) => f.write_str("BADKEY"),
            (None, Self::BADTIME) => f.write_str("BADTIME"),
            (None, Self::BADTRUNC) => f.write_str("BADTRUNC"),
            (None, Self(code)) => write!(f, "code {code}"),
        }
    }
}
