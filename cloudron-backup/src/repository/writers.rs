//! Who may write to a repository: certifying writers, and revoking them.

use std::collections::BTreeSet;
use std::time::SystemTime;

use bytes::Bytes;
use cloudron_core::{BackupId, Cancel, Error, Progress, Result, ResultExt};
use serde::Serialize;

use super::Repository;
use crate::format::trust::{Anchor, Trust, revocation};
use crate::keys::{Certificate, Identity, WriterId, WriterKeys, WriterLimits};
use crate::prune::Listed;
use crate::snapshot::Owner;
use crate::store::get_all;
use crate::{codes, layout};

/// A writer of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WriterInfo {
    /// Its id.
    pub id: WriterId,
    /// Its name.
    pub name: String,
    /// The domain that its backups are limited to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// The host that its backups are limited to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The folders that its backups are limited to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Whether it is revoked.
    pub revoked: bool,
}

impl WriterInfo {
    /// Says what its backups are limited to, for people; nothing without a limit.
    pub fn limits(&self) -> String {
        let domain = self.fqdn.as_ref().map(|d| format!("domain {d}"));
        let host = self.host.as_ref().map(|h| format!("host {h}"));
        let paths = self.paths.as_ref().map(|p| p.join(" "));
        [domain, host, paths].into_iter().flatten().collect::<Vec<String>>().join(", ")
    }
}

/// Which backups of a writer still count when it is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepOfRevoked {
    /// All that are in the list now.
    All,
    /// Those whose summary was written before this time by the store's clock. What came later may be of somebody who
    /// took the keys; dates and numbers in a backup are its maker's word.
    WrittenBefore(SystemTime),
    /// These.
    These(BTreeSet<BackupId>),
    /// None.
    Nothing,
}

/// What became of a writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RevokeReport {
    /// The backups that still count.
    pub kept: Vec<String>,
    /// The backups that count no longer. The next prune does not keep what only they need.
    pub dropped: Vec<String>,
}

impl Repository {
    /// Makes the keys of a further writer and certifies them. Doing it again with the same name and limits gives the
    /// same keys.
    ///
    /// # Errors
    /// `writer-name`; `writer-revoked` for the name of a writer that was revoked; `repository-old`; what the store
    /// reports.
    pub async fn add_writer(
        &self,
        identity: &Identity,
        name: &str,
        limits: &WriterLimits,
    ) -> Result<WriterKeys> {
        self.config.check_identity(identity)?;
        self.config.check_format()?;
        let keys = identity.writer(name, limits)?;
        let trust = Trust::read(&self.store, &self.config, Anchor::Identity(identity)).await?;
        if trust.is_revoked(&keys.writer()) {
            let text = format!("the writer {name} was revoked, and its keys stay so: choose another name");
            return Err(Error::new(&codes::WRITER_REVOKED, text));
        }
        let certificate = Bytes::from(keys.certificate.object());
        self.store.put(&layout::certificate(&certificate), &certificate).await?;
        Ok(keys)
    }

    /// The writers that were certified, by name. Needs no key: certificates are checked by the owner's key that the
    /// description names.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn writers(&self) -> Result<Vec<WriterInfo>> {
        let trust = self.trust().await?;
        let mut objects = self.store.list(layout::WRITERS).await?;
        objects.retain(|o| layout::is_hash_json(&o.key) && o.size <= layout::MOST_JSON);
        let mut writers: Vec<WriterInfo> = Vec::new();
        for (_, content) in get_all(&self.store, objects, |o| &o.key).await? {
            let content = match content {
                Err(e) if e.is(&codes::OBJECT_MISSING) => continue,
                other => other?,
            };
            let value = serde_json::from_slice(&content).unwrap_or_default();
            let certificate = trust.owner().and_then(|owner| Certificate::check(&value, owner));
            writers.extend(certificate.map(|c| WriterInfo {
                id: c.writer(),
                revoked: trust.is_revoked(&c.writer()),
                name: c.name,
                fqdn: c.fqdn,
                host: c.host,
                paths: c.paths,
            }));
        }
        writers.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        writers.dedup();
        Ok(writers)
    }

    /// Revokes a writer, by its name or id: its keys sign nothing any more that counts. Its backups that are in the
    /// list now and are meant still count. A writer that is revoked already keeps no fewer.
    ///
    /// # Errors
    /// `writer-unknown`; `repository-old`; what the store reports.
    pub async fn revoke_writer(
        &self,
        identity: &Identity,
        writer: &str,
        keep: KeepOfRevoked,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<RevokeReport> {
        self.config.check_format()?;
        let known = self.writers().await?;
        let named: BTreeSet<WriterId> =
            known.iter().filter(|w| w.name == writer).map(|w| w.id).chain(writer.parse().ok()).collect();
        if named.is_empty() {
            return Err(Error::new(&codes::WRITER_UNKNOWN, format!("there is no writer {writer}")));
        }
        let identity = identity.clone();
        self.session(progress, cancel, move |session| {
            let owner = Owner::new(session, &identity)?;
            let listed = Listed::load(&owner)?;
            let mut report = RevokeReport::default();
            for writer in &named {
                revoke(&owner, &listed, *writer, &keep, &mut report)?;
            }
            Ok(report)
        })
        .await
        .doing(|| format!("revoking the writer {writer}"))
    }
}

fn revoke(
    owner: &Owner<'_>,
    listed: &Listed,
    writer: WriterId,
    keep: &KeepOfRevoked,
    report: &mut RevokeReport,
) -> Result<()> {
    let mut hashes = BTreeSet::new();
    for summary in listed.summaries.iter().filter(|s| s.writer == Some(writer)) {
        let counts = match keep {
            KeepOfRevoked::All => true,
            KeepOfRevoked::WrittenBefore(time) => listed.written.get(&summary.id).is_some_and(|t| t < time),
            KeepOfRevoked::These(ids) => ids.contains(&summary.id),
            KeepOfRevoked::Nothing => false,
        };
        let of = if counts { &mut report.kept } else { &mut report.dropped };
        of.push(summary.id.to_string());
        if counts {
            hashes.extend(listed.hashes.get(&summary.id).cloned());
        }
    }
    let object: Bytes = revocation(&owner.config.id, writer, hashes, &owner.signer.key).into();
    owner.store.put(&layout::revocation(&object), &object)
}
