//! The used part of `dns-update`, and the conversion of its errors.

use async_trait::async_trait;
use cloudron_core::Code;
use cloudron_dns::codes;
use dns_update::{DnsRecord, DnsRecordType, DnsUpdater, Error};

/// A failed request.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) code: &'static Code,
    pub(crate) said: String,
    /// True if it is certain that nothing was written.
    pub(crate) nothing_done: bool,
}

/// The calls used by this crate. Names and zones have no final dot.
#[async_trait]
pub(crate) trait Host: Send + Sync {
    /// Replaces the set; an empty list deletes it.
    async fn set(
        &self,
        name: &str,
        rtype: DnsRecordType,
        ttl: u32,
        records: Vec<DnsRecord>,
        zone: &str,
    ) -> Result<(), Failed>;

    async fn list(&self, name: &str, rtype: DnsRecordType, zone: &str) -> Result<Vec<DnsRecord>, Failed>;
}

#[async_trait]
impl Host for DnsUpdater {
    async fn set(
        &self,
        name: &str,
        rtype: DnsRecordType,
        ttl: u32,
        records: Vec<DnsRecord>,
        zone: &str,
    ) -> Result<(), Failed> {
        self.set_rrset(name, rtype, ttl, records, zone).await.map_err(Failed::from)
    }

    async fn list(&self, name: &str, rtype: DnsRecordType, zone: &str) -> Result<Vec<DnsRecord>, Failed> {
        self.list_rrset(name, rtype, zone).await.map_err(Failed::from)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let said = error.to_string();
        let (code, nothing_done) = match &error {
            Error::Unauthorized => (&codes::CREDENTIALS, true),
            Error::Unsupported(_) | Error::InvalidRegion => (&codes::UNSUPPORTED, true),
            // A change may take several requests, some of which may have succeeded.
            Error::NotFound | Error::BadRequest | Error::Api(_) => (&codes::REFUSED, false),
            _ => (&codes::PROVIDER_DOWN, false),
        };
        // The message of a broken connection contains the URL, which at some hosts contains the credential.
        let said = if matches!(error, Error::Client(_)) { "it could not be reached".into() } else { said };
        Self { code, said, nothing_done }
    }
}
