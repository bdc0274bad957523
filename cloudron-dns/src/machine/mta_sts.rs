//! The policy that mail to the domain must be encrypted (MTA-STS, RFC 8461).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Name, RecordData, Result, codes};

/// Maximum `max_age` of a policy, in seconds: about a year (RFC 8461, section 3.2).
pub const MAX_AGE: u32 = 31_557_600;

/// The behavior of senders that cannot send encrypted (RFC 8461, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MtaStsMode {
    /// Send nevertheless, and report.
    Testing,
    /// Do not send.
    Enforce,
    /// The policy has ended. Keep this mode until the last policy's `max_age` has passed.
    None,
}

impl fmt::Display for MtaStsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Testing => "testing",
            Self::Enforce => "enforce",
            Self::None => "none",
        })
    }
}

impl FromStr for MtaStsMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Testing, Self::Enforce, Self::None];
        all.into_iter().find(|mode| mode.to_string() == text).ok_or_else(|| {
            let message = format!("{text:?} is not testing, enforce or none");
            Error::new(&cloudron_core::codes::USAGE, message)
        })
    }
}

/// A policy. Its text must be served at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` before its record is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtaSts {
    mode: MtaStsMode,
    max_age: u32,
    servers: Vec<Name>,
}

impl MtaSts {
    /// Creates a policy for mail servers, which senders cache for `max_age` seconds, at most [`MAX_AGE`].
    ///
    /// # Errors
    /// `dns-record` without a server, unless the mode is `none`.
    pub fn new(mode: MtaStsMode, max_age: u32, servers: impl IntoIterator<Item = Name>) -> Result<Self> {
        let mut servers: Vec<Name> = servers.into_iter().collect();
        servers.sort();
        servers.dedup();
        if servers.is_empty() && mode != MtaStsMode::None {
            return Err(Error::new(&codes::RECORD, "an MTA-STS policy names the mail servers it is about"));
        }
        Ok(Self { mode, max_age: max_age.min(MAX_AGE), servers })
    }

    /// Returns the text to serve, with the line ends of the RFC.
    pub fn policy(&self) -> String {
        let servers: String = self.servers.iter().map(|s| format!("mx: {}\r\n", s.without_dot())).collect();
        format!("version: STSv1\r\nmode: {}\r\n{servers}max_age: {}\r\n", self.mode, self.max_age)
    }

    /// Returns the ID of the policy, 32 letters and digits. It changes exactly when the text changes.
    pub fn id(&self) -> String {
        // FNV-1a of 128 bits: only this program generates these texts, so no stronger hash is needed.
        let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for byte in self.policy().bytes() {
            hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        format!("{hash:032x}")
    }

    /// Returns the record at `_mta-sts`.
    pub fn record(&self) -> RecordData {
        RecordData::txt(format!("v=STSv1; id={};", self.id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: MtaStsMode, max_age: u32) -> MtaSts {
        MtaSts::new(mode, max_age, [Name::parse("my.example.com").unwrap()]).unwrap()
    }

    #[test]
    fn the_policy_is_the_text_of_the_rfc_and_its_id_follows_it() {
        let testing = policy(MtaStsMode::Testing, 86_400);
        assert_eq!(
            testing.policy(),
            "version: STSv1\r\nmode: testing\r\nmx: my.example.com\r\nmax_age: 86400\r\n"
        );
        assert_eq!(testing.id(), policy(MtaStsMode::Testing, 86_400).id());
        let others = [policy(MtaStsMode::Enforce, 86_400), policy(MtaStsMode::Testing, 86_401)];
        assert!(others.iter().all(|other| other.id() != testing.id()));
        assert!(testing.id().len() == 32 && testing.id().bytes().all(|b| b.is_ascii_alphanumeric()));
    }

    #[test]
    fn only_the_end_of_a_policy_needs_no_server() {
        assert!(MtaSts::new(MtaStsMode::Enforce, 1, []).unwrap_err().is(&codes::RECORD));
        let end = MtaSts::new(MtaStsMode::None, u32::MAX, []).unwrap();
        assert_eq!(end.policy(), "version: STSv1\r\nmode: none\r\nmax_age: 31557600\r\n");
    }
}
