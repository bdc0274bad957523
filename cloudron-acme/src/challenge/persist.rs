//! dns-persist-01: a record that stays names the authority and the account, so that a certificate for all names of a
//! domain needs no credential for its DNS here.

use async_trait::async_trait;

use super::{Proof, Solver};
use crate::{Challenge, Result, Subject};

/// Records that somebody set before, once. Nothing is written for an order.
///
/// The challenge is a draft (draft-ietf-acme-dns-persist); authorities offer it in tests only. So a certificate uses it only
/// where its [`Wanted`](crate::Wanted) says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct PersistentRecords;

#[async_trait]
impl Solver for PersistentRecords {
    fn challenge(&self) -> Challenge {
        Challenge::DnsPersist01
    }

    async fn present(&self, _: &[Proof]) -> Result<()> {
        Ok(())
    }

    async fn remove(&self, _: &[Proof]) -> Result<()> {
        Ok(())
    }
}

/// Returns the record that has to be set for a name: its owner, and the text of its TXT value. `issuer` is the domain that
/// the authority calls itself by, such as `letsencrypt.org`; `account` is the address of the account there. `None` for an
/// address, which has no records.
///
/// ```
/// use cloudron_acme::{Subject, persistent_record};
///
/// let all: Subject = "*.example.com".parse()?;
/// let (name, text) = persistent_record(&all, "letsencrypt.org", "https://ca.example/acct/1").unwrap();
/// assert_eq!(name, "_validation-persist.example.com");
/// assert_eq!(text, "letsencrypt.org; accounturi=https://ca.example/acct/1; policy=wildcard");
/// # Ok::<(), cloudron_acme::Error>(())
/// ```
pub fn persistent_record(subject: &Subject, issuer: &str, account: &str) -> Option<(String, String)> {
    let domain = subject.domain()?;
    let policy = if matches!(subject, Subject::Wildcard(_)) { "; policy=wildcard" } else { "" };
    Some((format!("_validation-persist.{domain}"), format!("{issuer}; accounturi={account}{policy}")))
}
