//! Writes a large file in parts.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use cloudron_core::{Error, Result, random};

use super::repeat::checked;
use super::{S3Store, WRITER};
use crate::runtime::blocking;
use crate::store::ConditionalWrites;

/// The minimum size of a part. The service allows 5 MiB, and 10,000 parts.
const PART: u64 = 16 << 20;
const MOST_PARTS: u64 = 10_000;

/// Returns the length of the parts of a file, except the last one.
fn part_size(size: u64) -> u64 {
    size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20).max(PART)
}

impl S3Store {
    /// Uploads a file in parts and creates the object at the end, unless it exists. Uploaded parts are
    /// removed on failure; those of a killed run are removed by a lifecycle rule.
    pub(super) async fn write_in_parts(&self, key: &str, file: &Path, size: u64) -> Result<bool> {
        // Cheaper than finding out at the end.
        if self.look(key).await?.is_some() {
            return Ok(false);
        }
        let (full, writer) = (self.full(key)?, random::token(16));
        let (encryption, kms_key) = self.encryption();
        let begun = self
            .repeat(|| async {
                let request = self.client.create_multipart_upload().bucket(&self.bucket).key(&full);
                let request = request
                    .metadata(WRITER, &writer)
                    .set_storage_class(self.storage_class(&full))
                    .set_server_side_encryption(encryption.clone())
                    .set_ssekms_key_id(kms_key.clone());
                checked(request.send().await)
            })
            .await
            .map_err(|f| self.failed_write(key, &f))?;
        let upload = begun.upload_id().unwrap_or_default();
        let done = match self.upload_parts(key, file, size, upload).await {
            Ok(parts) => self.complete(key, upload, parts, &writer).await,
            Err(e) => Err(e),
        };
        if !matches!(done, Ok(true)) {
            self.abort(&full, upload).await;
        }
        done
    }

    async fn upload_parts(
        &self,
        key: &str,
        file: &Path,
        size: u64,
        upload: &str,
    ) -> Result<Vec<CompletedPart>> {
        let full = self.full(key)?;
        let path = file.to_owned();
        let opened = blocking(move || File::open(&path).map_err(|e| Error::io(&path, e))).await?;
        let opened = Arc::new(opened);
        let step = part_size(size);
        let mut parts = Vec::new();
        for (number, start) in (1..).zip((0..size).step_by(usize::try_from(step).unwrap_or(usize::MAX))) {
            let (opened, path) = (opened.clone(), file.to_owned());
            let length = step.min(size - start);
            let content =
                blocking(move || read_part(&opened, start, length).map_err(|e| Error::io(&path, e)));
            let content = content.await?;
            let md5 = self.md5(&content);
            let stored = self
                .repeat(|| async {
                    let request = self.client.upload_part().bucket(&self.bucket).key(&full);
                    let request = request.upload_id(upload).part_number(number).set_content_md5(md5.clone());
                    checked(request.body(ByteStream::from(content.clone())).send().await)
                })
                .await
                .map_err(|f| self.failed_write(key, &f))?;
            let part = CompletedPart::builder()
                .part_number(number)
                .set_e_tag(stored.e_tag)
                .set_checksum_crc32(stored.checksum_crc32)
                .set_checksum_crc64_nvme(stored.checksum_crc64_nvme);
            parts.push(part.build());
        }
        Ok(parts)
    }

    async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: Vec<CompletedPart>,
        writer: &str,
    ) -> Result<bool> {
        let full = self.full(key)?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let native = self.options.conditional_writes == ConditionalWrites::Native;
        let sent = self
            .repeat(|| async {
                let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(&full);
                let request = request
                    .upload_id(upload)
                    .multipart_upload(parts.clone())
                    .set_if_none_match(native.then(|| "*".to_owned()));
                checked(request.send().await).map(drop)
            })
            .await;
        match sent {
            // An earlier attempt succeeded and its response was lost or not understood, or the upload was
            // removed: the object shows which.
            Err(f) if f.code == "NoSuchUpload" || f.is_success() => match self.look(key).await? {
                None => Err(self.failed_write(key, &f)),
                Some(found) => Ok(found.writer.as_deref() == Some(writer)),
            },
            sent => self.is_ours(key, writer, sent).await,
        }
    }

    /// Removes the uploaded parts. On failure they stay until the rule for unfinished uploads removes them.
    async fn abort(&self, full: &str, upload: &str) {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(full).upload_id(upload);
        if let Err(e) = checked(request.send().await) {
            tracing::warn!(key = full, failure = ?e, "an unfinished upload is left in the bucket");
        }
    }
}

fn read_part(file: &File, start: u64, length: u64) -> std::io::Result<Bytes> {
    let mut content = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
    file.read_exact_at(&mut content, start)?;
    Ok(content.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::s3::ONE_REQUEST;

    #[test]
    fn a_file_of_any_size_that_fits_has_few_enough_parts() {
        for size in [ONE_REQUEST + 1, 1 << 30, 160 << 30, (160 << 30) + 1, 5 << 40] {
            let step = part_size(size);
            assert!(size.div_ceil(step) <= MOST_PARTS && (PART..=5 << 30).contains(&step), "{size}");
        }
        assert_eq!(part_size(1 << 30), PART);
    }
}
