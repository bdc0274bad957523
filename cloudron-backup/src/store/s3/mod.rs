//! A store in a bucket of Amazon S3, or of a compatible service.
//!
//! The requests follow the [API reference](https://docs.aws.amazon.com/AmazonS3/latest/API/). The client does
//! not retry them: [`repeat`] does, since it also knows what a repeated conditional write means.

mod client;
mod failure;
mod instance;
mod lifecycle;
mod parts;
mod read;
mod repeat;
mod rules;
mod write;

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use bytes::Bytes;
use cloudron_core::{Clock, Error, Result};

use crate::codes;
use crate::store::lifecycle::Lifecycle;
use crate::store::{BackupStore, Known, ObjectMeta, StoreOptions, StoreRules, Thaw, check_key};

/// The metadata key of the id of the call that wrote an object: random, new for each call. If the response to
/// a conditional write is lost and the retry reports an existing object, this id shows whether that is our own.
const WRITER: &str = "writer";
/// The maximum size written in one request, in bytes. The content is in memory during the request.
const ONE_REQUEST: u64 = 32 << 20;

/// A store in a bucket: each key is stored as `<prefix>/<key>`.
pub(crate) struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or ending in `/`.
    prefix: String,
    options: StoreOptions,
    /// The clock for the waits between repetitions.
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client would print its configuration.
        let mut shown = f.debug_struct("S3Store");
        shown.field("url", &self.url()).field("endpoint", &self.options.endpoint).finish_non_exhaustive()
    }
}

impl S3Store {
    /// Creates the store at `s3://bucket/prefix`. Sends no request yet.
    pub(crate) fn new(url: &str, options: &StoreOptions, clock: Arc<dyn Clock>) -> Result<Self> {
        let (bucket, prefix) = split_url(url)?;
        let client = client::new(options)?;
        Ok(Self { client, bucket, prefix, options: options.clone(), clock })
    }

    /// Returns the key in the bucket.
    fn full(&self, key: &str) -> Result<String> {
        check_key(key)?;
        Ok(format!("{}{key}", self.prefix))
    }

    /// Checks whether this is Amazon's own service, which supports the whole protocol.
    fn is_amazon(&self) -> bool {
        self.options.endpoint.is_none()
    }
}

/// Splits a URL into the bucket and the prefix of every key.
fn split_url(url: &str) -> Result<(String, String)> {
    let invalid = |why: &str| {
        Error::new(&codes::STORE_URL, format!("{url}: {why}")).with_hint("write it as s3://bucket/prefix")
    };
    let rest = url.strip_prefix("s3://").ok_or_else(|| invalid("is no address of a bucket"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let bucket_ok = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if bucket.len() < 3 || bucket.len() > 63 || !bucket.bytes().all(bucket_ok) {
        return Err(invalid("the name of a bucket is 3 to 63 letters, digits, dots and dashes"));
    }
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() {
        return Ok((bucket.to_owned(), String::new()));
    }
    check_key(prefix).map_err(|_| invalid("the prefix has characters that are not allowed"))?;
    Ok((bucket.to_owned(), format!("{prefix}/")))
}

#[async_trait]
impl BackupStore for S3Store {
    fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix).trim_end_matches('/').to_owned()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.write(key, content).await
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.write_new(key, content).await
    }

    async fn put_new_file(&self, key: &str, file: &Path) -> Result<bool> {
        self.write_new_file(key, file).await
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        check_key(key)?;
        self.read(key, None).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.read_range(key, range).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        Ok(self.look(key).await?.map(|found| found.meta))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.list_pages(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.remove(key).await
    }

    fn key_prefix(&self) -> String {
        self.prefix.clone()
    }

    async fn rules(&self) -> Result<StoreRules> {
        self.all_rules().await
    }

    async fn lifecycle(&self) -> Result<Known<Lifecycle>> {
        self.get_lifecycle().await
    }

    async fn set_lifecycle(&self, lifecycle: &Lifecycle) -> Result<()> {
        self.put_lifecycle(lifecycle).await
    }

    async fn thaw(&self, key: &str, days: u32) -> Result<Thaw> {
        self.restore_object(key, days).await
    }
}

#[cfg(test)]
mod tests {
    use cloudron_core::{Secret, SystemClock};

    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_a_prefix() {
        let split = |url: &str| split_url(url).unwrap();
        assert_eq!(split("s3://bucket"), ("bucket".to_owned(), String::new()));
        assert_eq!(split("s3://bucket/"), ("bucket".to_owned(), String::new()));
        assert_eq!(split("s3://bucket/a/b/"), ("bucket".to_owned(), "a/b/".to_owned()));
        for url in
            ["s3://", "s3:///x", "s3://b/x", "s3://bucket//x", "s3://bucket/../x", "s3://user:pw@host/x"]
        {
            assert!(split_url(url).unwrap_err().is(&codes::STORE_URL), "{url}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let options = StoreOptions {
            access_key_id: Some("id".to_owned()),
            secret_access_key: Some(Secret::new("canary-1")),
            session_token: Some(Secret::new("canary-2")),
            ..StoreOptions::default()
        };
        let store = S3Store::new("s3://bucket/prefix/", &options, Arc::new(SystemClock)).unwrap();
        assert_eq!(store.url(), "s3://bucket/prefix");
        let shown = format!("{store:?} {:?} {options:?}", store.client);
        assert!(!shown.contains("canary"), "{shown}");
    }
}
