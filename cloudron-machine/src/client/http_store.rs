//! A machine's backup store, read through a download address.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_api::{DownloadUrl, StoreObject};
use cloudron_backup::{BackupStore, ObjectMeta};
use cloudron_core::{Error, ErrorKind, Result, Secret};
use serde_json::json;
use tokio::sync::Mutex;

use super::Client;

/// A read-only store behind a temporary download address, which is renewed before it expires.
pub struct HttpStore {
    client: Arc<Client>,
    address: Mutex<Option<(Secret, Instant)>>,
}

/// How long an address is used: half of the shortest lifetime that servers give.
const FRESH: Duration = Duration::from_secs(10 * 60);

impl fmt::Debug for HttpStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpStore")
    }
}

impl HttpStore {
    /// Returns the store of the machine that the client is connected to.
    pub fn new(client: Arc<Client>) -> Self {
        Self { client, address: Mutex::default() }
    }

    /// Returns the current download address, and requests a new one if needed.
    async fn address(&self) -> Result<Secret> {
        let mut slot = self.address.lock().await;
        if let Some((address, since)) = slot.as_ref()
            && since.elapsed() < FRESH
        {
            return Ok(address.clone());
        }
        let download: DownloadUrl =
            self.client.post("/api/v1/backups/latest/download_url", &json!({})).await?;
        *slot = Some((download.url.clone(), Instant::now()));
        Ok(download.url)
    }

    /// Fetches the download address with `end` appended: an object, or the list.
    async fn fetch(&self, end: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let address = self.address().await?;
        self.client.object(&format!("{}{end}", address.expose()), range).await
    }

    async fn object(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.fetch(key, range).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => cloudron_backup::store::missing(&self.url(), key),
            _ => error,
        })
    }

    fn read_only(&self) -> Error {
        Error::new(&crate::codes::SERVER_REFUSED, "the machine's store can only be read from here")
    }
}

fn meta(object: StoreObject) -> ObjectMeta {
    let modified = object.modified.and_then(|time| std::time::SystemTime::try_from(time).ok());
    ObjectMeta::new(object.key, object.size).modified(modified)
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
        let body = self.fetch(&format!("?list={prefix}"), None).await?;
        let objects: Vec<StoreObject> = super::answer::decode(&body)?;
        Ok(objects.into_iter().map(meta).collect())
    }

    async fn delete(&self, _key: &str) -> Result<()> {
        Err(self.read_only())
    }
}
