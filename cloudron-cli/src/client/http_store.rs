//! A machine's backup store, read through a download address.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::{BackupStore, ObjectMeta};
use cloudron_box::api::StoreObject;
use cloudron_core::{Error, ErrorKind, Result, Secret};

use super::Client;

/// A read-only store behind an address that is good for some minutes.
pub(crate) struct HttpStore {
    client: Arc<Client>,
    base: Secret,
}

impl fmt::Debug for HttpStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpStore")
    }
}

impl HttpStore {
    /// The store at the address that the server gave.
    pub(crate) fn new(client: Arc<Client>, base: Secret) -> Self {
        Self { client, base }
    }

    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.base.expose())
    }

    async fn object(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.client.object(&self.path(key), range).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => cloudron_backup::store::missing(&self.url(), key),
            _ => error,
        })
    }

    fn read_only(&self) -> Error {
        Error::new(&crate::codes::SERVER_REFUSED, "the machine's store can only be read from here")
    }
}

#[async_trait]
impl BackupStore for HttpStore {
    fn url(&self) -> String {
        format!("the store of {}", self.client.host)
    }

    async fn put(&self, _key: &str, _content: &Bytes) -> Result<()> {
        Err(self.read_only())
    }

    async fn put_new(&self, _key: &str, _content: &Bytes) -> Result<bool> {
        Err(self.read_only())
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        self.object(key, None).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.object(key, Some(range)).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        Ok(self.list(key).await?.into_iter().find(|o| o.key == key))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let body = self.client.object(&self.path(&format!("?list={prefix}")), None).await?;
        let objects: Vec<StoreObject> = super::decode(&body)?;
        Ok(objects.into_iter().map(|o| ObjectMeta { key: o.key, size: o.size, modified: None }).collect())
    }

    async fn delete(&self, _key: &str) -> Result<()> {
        Err(self.read_only())
    }
}
