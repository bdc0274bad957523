//! A machine's backup store, changed by the machine's owner: read through a download address, written by the
//! program on the machine, which the interface cannot be asked to do.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloudron_api::BoxCommand;
use cloudron_api::command::STDIN;
use cloudron_api::owner::{StoreChange, StoreChanged};
use cloudron_backup::{BackupStore, ObjectMeta};
use cloudron_core::Result;

use super::{Client, HttpStore};
use crate::program::Program;

/// A store that its owner may change.
pub struct OwnerStore {
    read: HttpStore,
    program: Program,
}

impl fmt::Debug for OwnerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerStore")
    }
}

impl OwnerStore {
    /// The store of the machine that the client talks to.
    pub fn new(client: Arc<Client>) -> Self {
        let program = client.program().clone();
        Self { read: HttpStore::new(client), program }
    }

    async fn change(&self, change: StoreChange) -> Result<bool> {
        let changed: StoreChanged = self.program.call_with(&BoxCommand::StoreChange(STDIN), &change).await?;
        Ok(changed.changed)
    }
}

#[async_trait]
impl BackupStore for OwnerStore {
    fn url(&self) -> String {
        self.read.url()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        let put = StoreChange::Put { key: key.to_owned(), base64: STANDARD.encode(content) };
        self.change(put).await.map(drop)
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.change(StoreChange::PutNew { key: key.to_owned(), base64: STANDARD.encode(content) }).await
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        self.read.get(key).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.read.get_range(key, range).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.read.head(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.read.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.change(StoreChange::Delete { key: key.to_owned() }).await.map(drop)
    }
}
