//! Reads, lists and thaws objects.

use std::ops::Range;
use std::time::SystemTime;

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    GlacierJobParameters, Object, OptionalObjectAttributes, RestoreRequest, StorageClass, Tier,
};
use bytes::Bytes;
use cloudron_core::{Error, Result};

use super::S3Store;
use super::failure::Failure;
use super::repeat::checked;
use crate::codes;
use crate::store::lifecycle::ARCHIVES;
use crate::store::{ObjectMeta, Thaw, check_key, missing};

/// The state of an object.
pub(super) struct Found {
    pub(super) meta: ObjectMeta,
    /// The id of the call that wrote it.
    pub(super) writer: Option<String>,
    /// True if it is being restored from the archive.
    thawing: bool,
    tiered: bool,
}

impl S3Store {
    /// Returns the error for a failed request about an object.
    pub(super) fn failed(&self, doing: &str, key: &str, failure: &Failure) -> Error {
        if failure.is_missing() {
            return missing(&super::BackupStore::url(self), key);
        }
        failure.error(doing, &format!("s3://{}/{}{key}", self.bucket, self.prefix))
    }

    /// Reads an object or a part of it, given the value of the header `Range`.
    pub(super) async fn read(&self, key: &str, range: Option<String>) -> Result<Bytes> {
        self.fetch(key, range).await.map_err(|f| self.failed("reading", key, &f))
    }

    async fn fetch(&self, key: &str, range: Option<String>) -> Result<Bytes, Failure> {
        let full = format!("{}{key}", self.prefix);
        self.repeat(|| async {
            let request = self.client.get_object().bucket(&self.bucket).key(&full);
            let answer = checked(request.set_range(range.clone()).send().await)?;
            let length = answer.content_length().and_then(|n| u64::try_from(n).ok());
            let content = answer.body.collect().await.map_err(|e| Failure::cut(&e))?.into_bytes();
            match length {
                Some(length) if length != content.len() as u64 => {
                    Err(Failure::cut(&std::io::Error::from(std::io::ErrorKind::UnexpectedEof)))
                }
                _ => Ok(content),
            }
        })
        .await
    }

    pub(super) async fn read_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        check_key(key)?;
        if range.is_empty() {
            let found = self.look(key).await?;
            return found.map(|_| Bytes::new()).ok_or_else(|| missing(&super::BackupStore::url(self), key));
        }
        // HTTP ranges include the last byte, and some services accept no number above 2^63.
        let last = (range.end - 1).min(i64::MAX as u64);
        match self.fetch(key, Some(format!("bytes={}-{last}", range.start))).await {
            // It ends before the range starts.
            Err(f) if f.status == Some(416) => Ok(Bytes::new()),
            Err(f) => Err(self.failed("reading", key, &f)),
            // A service without support for ranges sends everything.
            Ok(content) if content.len() as u64 > last - range.start + 1 => {
                let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(content.len());
                Ok(content.slice(at(range.start)..at(last + 1)))
            }
            Ok(content) => Ok(content),
        }
    }

    pub(super) async fn look(&self, key: &str) -> Result<Option<Found>> {
        let full = self.full(key)?;
        let answer = self
            .repeat(|| async {
                checked(self.client.head_object().bucket(&self.bucket).key(&full).send().await)
            })
            .await;
        let found = match answer {
            Err(f) if f.is_missing() => return Ok(None),
            Err(f) => return Err(self.failed("looking at", key, &f)),
            Ok(found) => found,
        };
        let restored = found.restore().unwrap_or_default();
        let thawing = restored.contains("ongoing-request=\"true\"");
        let is_thawed = restored.contains("ongoing-request=\"false\"");
        let in_archive = is_archive(found.storage_class().map(StorageClass::as_str));
        // Objects archived by the service itself (intelligent tiering) have another status field.
        let tiered = found.archive_status().is_some();
        let meta = ObjectMeta::new(key, found.content_length().map_or(0, unsigned))
            .modified(time(found.last_modified()));
        Ok(Some(Found {
            meta: ObjectMeta { archived: (in_archive && !is_thawed) || tiered, ..meta },
            writer: found.metadata().and_then(|m| m.get(super::WRITER)).cloned(),
            thawing,
            tiered,
        }))
    }

    pub(super) async fn list_pages(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self
                .repeat(|| async {
                    let mut request = self.client.list_objects_v2().bucket(&self.bucket);
                    request = request.prefix(format!("{}{prefix}", self.prefix));
                    if self.is_amazon() {
                        request = request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
                    }
                    checked(request.set_continuation_token(token.clone()).send().await)
                })
                .await
                .map_err(|f| f.error("listing", &format!("s3://{}/{}{prefix}", self.bucket, self.prefix)))?;
            found.extend(page.contents().iter().filter_map(|object| self.listed(object)));
            let next = page.next_continuation_token;
            match (page.is_truncated, next) {
                (Some(true), Some(next)) if token.as_ref() != Some(&next) => token = Some(next),
                // A silently truncated list would hide objects, and make a backup look empty.
                (Some(true), _) => {
                    let text =
                        format!("s3://{}: the store lists in pages and gives no next one", self.bucket);
                    return Err(Error::new(&codes::STORE_FAILED, text));
                }
                _ => break,
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn listed(&self, object: &Object) -> Option<ObjectMeta> {
        let key = object.key()?.strip_prefix(&self.prefix)?;
        // Not written by this program.
        check_key(key).ok()?;
        let thawed = object.restore_status().is_some_and(|r| {
            r.restore_expiry_date().is_some() && !r.is_restore_in_progress().unwrap_or(false)
        });
        let archived = is_archive(object.storage_class().map(|c| c.as_str())) && !thawed;
        let meta =
            ObjectMeta::new(key, object.size().map_or(0, unsigned)).modified(time(object.last_modified()));
        Some(ObjectMeta { archived, ..meta })
    }

    pub(super) async fn restore_object(&self, key: &str, days: u32) -> Result<Thaw> {
        let found = self.look(key).await?;
        let found = found.ok_or_else(|| missing(&super::BackupStore::url(self), key))?;
        match (found.meta.archived, found.thawing) {
            (false, _) => return Ok(Thaw::Ready),
            (true, true) => return Ok(Thaw::Underway),
            (true, false) => {}
        }
        let tier = self
            .options
            .thaw_tier
            .as_deref()
            .map(|tier| GlacierJobParameters::builder().tier(Tier::from(tier)).build());
        let tier = tier.transpose().map_err(|e| Error::new(&codes::STORE_OPTION, e.to_string()))?;
        // Objects archived by the service itself are restored permanently.
        let days = (!found.tiered).then(|| i32::try_from(days.max(1)).unwrap_or(i32::MAX));
        let wanted = RestoreRequest::builder().set_days(days).set_glacier_job_parameters(tier).build();
        let full = self.full(key)?;
        let asked = self
            .repeat(|| async {
                let request = self.client.restore_object().bucket(&self.bucket).key(&full);
                checked(request.restore_request(wanted.clone()).send().await)
            })
            .await;
        match asked {
            Ok(_) => Ok(Thaw::Underway),
            Err(f) if f.code == "RestoreAlreadyInProgress" => Ok(Thaw::Underway),
            // It is no longer archived.
            Err(f) if f.is_archived() => Ok(Thaw::Ready),
            Err(f) => Err(self.failed("asking for", key, &f)),
        }
    }
}

fn is_archive(class: Option<&str>) -> bool {
    class.is_some_and(|class| ARCHIVES.contains(&class))
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn time(time: Option<&DateTime>) -> Option<SystemTime> {
    SystemTime::try_from(*time?).ok()
}
