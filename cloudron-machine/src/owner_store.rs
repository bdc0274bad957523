//! The store of an installed server, changed by its owner: read in one way or another, written by the program on the
//! machine, which has the rights of the store's owner and no more.

use std::collections::HashSet;
use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloudron_api::BoxCommand;
use cloudron_api::command::STDIN;
use cloudron_api::owner::{StoreChange, StoreChanged};
use cloudron_backup::{BackupStore, ObjectMeta};
use cloudron_core::{Error, Result, codes as core_codes};
use cloudron_provision::{Stdin, answer};
use tokio::sync::Mutex;

use crate::backups::RemoteFolder;
use crate::client::{Client, HttpStore};
use crate::program::Program;

/// Time limit per object.
const LIMIT: Duration = Duration::from_secs(3600);

/// A store that its owner may change. `R` reads it: the server's interface, or the connection to the machine.
pub struct OwnerStore<R = HttpStore> {
    read: R,
    program: Program,
    /// The objects that are known to be there, so that another one is streamed. `None` where nothing is known.
    there: Option<Mutex<HashSet<String>>>,
}

impl<R: BackupStore> fmt::Debug for OwnerStore<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnerStore").field(&self.read.url()).finish()
    }
}

impl OwnerStore {
    /// Returns the store of the machine that the client talks to.
    pub fn new(client: Arc<Client>) -> Self {
        let program = client.program().clone();
        Self { read: HttpStore::new(client), program, there: None }
    }
}

impl OwnerStore<RemoteFolder> {
    /// Returns the store in a folder of a machine, to be filled before its server starts. What is there is listed.
    pub(crate) async fn of_folder(read: RemoteFolder, program: Program) -> Result<Self> {
        let there = read.list("").await?.into_iter().map(|o| o.key).collect();
        Ok(Self { read, program, there: Some(Mutex::new(there)) })
    }
}

impl<R> OwnerStore<R> {
    async fn change(&self, change: StoreChange) -> Result<bool> {
        let changed: StoreChanged = self.program.call_with(&BoxCommand::StoreChange(STDIN), &change).await?;
        Ok(changed.changed)
    }

    /// Returns true if the object is known to be missing. From then on it counts as present.
    async fn is_first(&self, key: &str) -> bool {
        match &self.there {
            Some(there) => there.lock().await.insert(key.to_owned()),
            None => false,
        }
    }

    /// Sends an object that does not exist on the machine, unchanged.
    async fn send(&self, key: &str, content: &Bytes) -> Result<()> {
        let command = self
            .program
            .command(&BoxCommand::StoreReceive)
            .within(LIMIT)
            .stdin(Stdin::Bytes(entry(key, content)?.into()));
        answer::json(&**self.program.remote(), command).await.map(drop)
    }
}

/// Returns a tar archive (POSIX ustar) with one object.
fn entry(key: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    let mut to = Vec::with_capacity(content.len().next_multiple_of(512) + 1536);
    let written = header.set_path(key).and_then(|()| {
        header.set_cksum();
        to.write_all(header.as_bytes())?;
        to.write_all(content)
    });
    written.map_err(|e| Error::new(&core_codes::FAILED, format!("{key} cannot be sent: {e}")))?;
    to.resize(to.len().next_multiple_of(512) + 1024, 0);
    Ok(to)
}

#[async_trait]
impl<R: BackupStore> BackupStore for OwnerStore<R> {
    fn url(&self) -> String {
        self.read.url()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        if self.is_first(key).await {
            return self.send(key, content).await;
        }
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
        self.change(StoreChange::Delete { key: key.to_owned() }).await?;
        if let Some(there) = &self.there {
            there.lock().await.remove(key);
        }
        Ok(())
    }
}
