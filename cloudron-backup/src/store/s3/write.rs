//! Writes and deletes objects.

use std::path::Path;

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ServerSideEncryption as Algorithm, StorageClass};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloudron_core::{Error, Result, random};
use md5::{Digest, Md5};

use super::failure::Failure;
use super::repeat::checked;
use super::{ONE_REQUEST, S3Store, WRITER};
use crate::runtime::blocking;
use crate::store::{ConditionalWrites, ServerSideEncryption};
use crate::{codes, layout};

impl S3Store {
    pub(super) async fn write(&self, key: &str, content: &Bytes) -> Result<()> {
        let full = self.full(key)?;
        let md5 = self.md5(content);
        self.repeat(|| async { checked(self.put_request(&full, content, &md5).send().await).map(drop) })
            .await
            .map_err(|f| self.failed_write(key, &f))
    }

    pub(super) async fn write_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        let full = self.full(key)?;
        if self.options.conditional_writes == ConditionalWrites::LookFirst {
            return match self.look(key).await? {
                Some(_) => Ok(false),
                None => self.write(key, content).await.map(|()| true),
            };
        }
        let (writer, md5) = (random::token(16), self.md5(content));
        let sent = self
            .repeat(|| async {
                let request = self.put_request(&full, content, &md5).if_none_match("*");
                checked(request.metadata(WRITER, &writer).send().await).map(drop)
            })
            .await;
        self.is_ours(key, &writer, sent).await
    }

    pub(super) async fn write_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        self.full(key)?;
        let path = file.to_owned();
        let size =
            blocking(move || std::fs::metadata(&path).map(|m| m.len()).map_err(|e| Error::io(&path, e)))
                .await?;
        if size > ONE_REQUEST {
            return self.write_in_parts(key, file, size).await;
        }
        let path = file.to_owned();
        let content =
            blocking(move || std::fs::read(&path).map(Bytes::from).map_err(|e| Error::io(&path, e))).await?;
        self.write_new(key, &content).await
    }

    /// Returns whether a conditional write created the object, given the result of the request.
    pub(super) async fn is_ours(&self, key: &str, writer: &str, sent: Result<(), Failure>) -> Result<bool> {
        match sent {
            Ok(()) => Ok(true),
            Err(f) if f.is_taken() && f.may_be_done => {
                Ok(self.look(key).await?.is_some_and(|found| found.writer.as_deref() == Some(writer)))
            }
            Err(f) if f.is_taken() => Ok(false),
            Err(f) => Err(self.failed_write(key, &f)),
        }
    }

    pub(super) fn failed_write(&self, key: &str, failure: &Failure) -> Error {
        if failure.is_unknown_request() {
            let cause = failure.error("writing", key);
            let text =
                format!("{} cannot write only what is not there: {cause}", super::BackupStore::url(self));
            return Error::new(&codes::STORE_CONDITIONAL, text);
        }
        // A write to a missing object must not be reported as `object-missing`.
        failure.error("writing", &format!("s3://{}/{}{key}", self.bucket, self.prefix))
    }

    fn put_request(&self, full: &str, content: &Bytes, md5: &Option<String>) -> PutObjectFluentBuilder {
        let (encryption, kms_key) = self.encryption();
        let request = self.client.put_object().bucket(&self.bucket).key(full);
        request
            .body(ByteStream::from(content.clone()))
            .set_content_md5(md5.clone())
            .set_storage_class(self.storage_class(full))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
    }

    /// Returns the MD5 checksum, which every service supports and services with object lock require. Amazon's
    /// client adds a newer one itself.
    pub(super) fn md5(&self, content: &[u8]) -> Option<String> {
        (!self.is_amazon()).then(|| STANDARD.encode(Md5::digest(content)))
    }

    /// Returns the storage class of an object. Only packs, which are large and read at restores only, get the
    /// configured class; all other objects must be readable immediately.
    pub(super) fn storage_class(&self, full: &str) -> Option<StorageClass> {
        let is_pack = full.strip_prefix(&self.prefix).is_some_and(|key| key.starts_with(layout::PACKS));
        self.options.storage_class.as_deref().filter(|_| is_pack).map(StorageClass::from)
    }

    pub(super) fn encryption(&self) -> (Option<Algorithm>, Option<String>) {
        match &self.options.server_side_encryption {
            None => (None, None),
            Some(ServerSideEncryption::Aes256) => (Some(Algorithm::Aes256), None),
            Some(ServerSideEncryption::Kms { key }) => (Some(Algorithm::AwsKms), key.clone()),
        }
    }

    pub(super) async fn remove(&self, key: &str) -> Result<()> {
        let full = self.full(key)?;
        let answer = self
            .repeat(|| async {
                checked(self.client.delete_object().bucket(&self.bucket).key(&full).send().await)
            })
            .await;
        match answer {
            Err(f) if f.is_missing() => Ok(()),
            Err(f) => Err(self.failed("deleting", key, &f)),
            Ok(_) => Ok(()),
        }
    }
}
