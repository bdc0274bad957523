//! Writers of a repository: certifying and revoking them.

use std::collections::BTreeSet;
use std::time::SystemTime;

use bytes::Bytes;
use cloudron_core::table::Table;
use cloudron_core::{BackupId, Cancel, Error, Progress, Result, ResultExt};
use serde::Serialize;

use super::Repository;
use crate::format::trust::{Anchor, Trust, revocation};
use crate::keys::{Certificate, Identity, WriterId, WriterKeys, WriterLimits};
use crate::prune::Listed;
use crate::snapshot::Owner;
use crate::store::{get_all, requirements};
use crate::{codes, layout};

/// A writer of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WriterInfo {
    /// The id.
    pub id: WriterId,
    /// The name.
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
    /// True if it is revoked.
    pub revoked: bool,
}

impl WriterInfo {
    /// Returns a table of writers.
    pub fn table(writers: &[Self]) -> Table {
        let mut table = Table::new(["Name", "Id", "State", "Limited to"]);
        for writer in writers {
            let state = if writer.revoked { "revoked" } else { "may write" };
            table.row([writer.name.clone(), writer.id.to_string(), state.into(), writer.limits()]);
        }
        table
    }

    /// Says what its backups are limited to, for people; nothing without a limit.
    pub fn limits(&self) -> String {
        let domain = self.fqdn.as_ref().map(|d| format!("domain {d}"));
        let host = self.host.as_ref().map(|h| format!("host {h}"));
        let paths = self.paths.as_ref().map(|p| p.join(" "));
        [domain, host, paths].into_iter().flatten().collect::<Vec<String>>().join(", ")
    }
}

/// The backups of a revoked writer that remain valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepOfRevoked {
    /// All backups in the list now.
    All,
    /// The backups whose summary was written before this time by the store's clock. Later ones may come from
    /// a thief of the keys; dates and numbers in a backup are claims of its writer.
    WrittenBefore(SystemTime),
    /// These backups.
    These(BTreeSet<BackupId>),
    /// None.
    Nothing,
}

/// The result of revoking a writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RevokeReport {
    /// The backups that remain valid.
    pub kept: Vec<String>,
    /// The backups that are no longer valid. The next prune does not keep the content that only they need.
    pub dropped: Vec<String>,
}

impl Repository {
    /// Creates the keys of another writer and certifies them. A second call with the same name and limits
    /// returns the same keys.
    ///
    /// # Errors
    /// `writer-name`; `writer-revoked` for the name of a revoked writer; `repository-old`; errors of the store.
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
        let key = layout::certificate(&certificate);
        self.store.put(&key, &certificate).await?;
        requirements::check_conditional(&*self.store, &key, &certificate).await?;
        Ok(keys)
    }

    /// Lists the certified writers, by name. Needs no key: certificates are checked with the owner's key in
    /// the description.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn writers(&self) -> Result<Vec<WriterInfo>> {
        let trust = self.trust().await?;
        let mut objects = self.store.list(layout::WRITERS).await?;
        objects.retain(|o| layout::is_hash_json(&o.key));
        let mut writers: Vec<WriterInfo> = Vec::new();
        for (_, content) in get_all(&self.store, objects, layout::MOST_JSON).await? {
            let content = match content {
                Err(e) if e.is(&codes::OBJECT_MISSING) || e.is(&codes::OBJECT_CORRUPT) => continue,
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

    /// Revokes a writer, by its name or id: signatures of its keys become invalid, except on its backups that
    /// are listed now and selected by `keep`. Revoking it again cannot reduce the backups kept.
    ///
    /// # Errors
    /// `writer-unknown`; `repository-old`; errors of the store.
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
