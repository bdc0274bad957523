//! The step that copies a repository of this computer to the machine, before the server starts.

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
use cloudron_backup::{BackupStore, Issue, ObjectMeta, Repository};
use cloudron_core::{Error, Result, codes as core_codes};
use cloudron_provision::steps::{Check, Context, Step, Undo};
use cloudron_provision::{Stdin, answer};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::recipe::nothing_made;
use crate::backups::RemoteFolder;
use crate::manager::Manager;
use crate::program::{Place, Program};

/// How long one object may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// Copies what the machine's store lacks of a repository.
pub(super) struct CopyRepository {
    pub manager: Manager,
    pub place: Place,
    /// `None` while nothing is made.
    pub repository: Option<Repository>,
    /// The store that is copied from, for people.
    pub from: String,
    /// The folder of the machine's store, and what messages call it.
    pub folder: String,
    pub shown: String,
}

#[async_trait]
impl Step for CopyRepository {
    fn id(&self) -> &'static str {
        "store"
    }

    fn plan(&self) -> String {
        format!("Copy the backups in {} to the machine", self.from)
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let repository = self.repository.as_ref().ok_or_else(nothing_made)?;
        let remote = context.remote().await?;
        let read = RemoteFolder::new(remote.clone(), &*self.folder, &*self.shown);
        let store = InstalledStore::new(read, self.manager.program(remote, self.place.clone())).await?;
        let report = repository.copy_to(Arc::new(store), &context.progress, &context.cancel).await?;
        for Issue { subject, reason } in &report.not_copied {
            context.progress.warn(format!("{subject} was not copied: {reason}"));
        }
        Ok(json!({ "stored": report.copied, "present": report.present }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Kept("the backups that were copied to the machine stay there".into()))
    }
}

/// The store in a folder of a machine with an installed server: read through the connection, written by the program
/// there, which has the rights of the folder's owner and no more.
struct InstalledStore {
    read: RemoteFolder,
    program: Program,
    /// The objects that are there. Another one is streamed.
    there: Mutex<HashSet<String>>,
}

impl fmt::Debug for InstalledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InstalledStore").field(&self.read).finish()
    }
}

impl InstalledStore {
    async fn new(read: RemoteFolder, program: Program) -> Result<Self> {
        let there = read.list("").await?.into_iter().map(|o| o.key).collect();
        Ok(Self { read, program, there: Mutex::new(there) })
    }

    async fn change(&self, change: &StoreChange) -> Result<bool> {
        let changed: StoreChanged = self.program.call_with(&BoxCommand::StoreChange(STDIN), change).await?;
        Ok(changed.changed)
    }

    /// Sends an object that is not there yet, as it is.
    async fn send(&self, key: &str, content: &Bytes) -> Result<()> {
        let command = self
            .program
            .command(&BoxCommand::StoreReceive)
            .within(LIMIT)
            .stdin(Stdin::Bytes(entry(key, content)?.into()));
        answer::json(&**self.program.remote(), command).await.map(drop)
    }
}

/// One object as a tar (POSIX ustar).
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
impl BackupStore for InstalledStore {
    fn url(&self) -> String {
        self.read.url()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        if self.there.lock().await.insert(key.to_owned()) {
            return self.send(key, content).await;
        }
        let put = StoreChange::Put { key: key.to_owned(), base64: STANDARD.encode(content) };
        self.change(&put).await.map(drop)
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.change(&StoreChange::PutNew { key: key.to_owned(), base64: STANDARD.encode(content) }).await
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
        self.change(&StoreChange::Delete { key: key.to_owned() }).await?;
        self.there.lock().await.remove(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use cloudron_backup::{FsStore, InitOptions, generate_backup_key};
    use cloudron_provision::local::Local;

    use super::*;
    use crate::state_dir::StateDir;

    /// What the program on a machine does with its store, in the words of the shell. `$S` is the store.
    const PROGRAM: &str = r#"#!/bin/sh
case "$2" in
store-list) echo '{"keys":[]}' ;;
store-receive) tar -xf - -C "$S" && echo '{"stored":1,"present":0}' ;;
store-change)
  request=$(cat)
  case "$request" in
  *'"do":"delete"'*) rm -f "$S/$(printf %s "$request" | sed 's/.*"key":"\([^"]*\)".*/\1/')" ;;
  *) key=$(printf %s "$request" | sed 's/.*"key":"\([^"]*\)".*/\1/')
     printf %s "$request" | sed 's/.*"base64":"\([^"]*\)".*/\1/' | base64 -d >"$S/$key" ;;
  esac
  echo '{"changed":true}' ;;
esac
"#;

    fn files(folder: &std::path::Path, prefix: &str, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => files(&entry.path(), &format!("{name}/"), into),
                false => into.push(name),
            }
        }
    }

    #[tokio::test]
    async fn locks_and_files_that_are_no_part_of_a_repository_are_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to, root) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("root"));
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        let program = root.join("bin/cloudron");
        std::fs::write(&program, PROGRAM.replace("$S", &to.to_string_lossy())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let store = Arc::new(FsStore::new(&from).unwrap());
        let key = generate_backup_key();
        let (repository, _) = Repository::init(store.clone(), &key, InitOptions::default()).await.unwrap();
        store.put("locks/of-a-lost-server.json", &Bytes::from("{}")).await.unwrap();
        std::fs::write(from.join("a note"), "mine").unwrap();

        let manager = Manager::new(StateDir::new(dir.path().join("state"), dir.path().join("data")));
        let step = CopyRepository {
            manager,
            place: Place::rooted(root.clone()),
            repository: Some(repository),
            from: from.display().to_string(),
            folder: to.to_string_lossy().into_owned(),
            shown: "there".into(),
        };
        let context = Context::new("example.com", Arc::new(Local::new(&root)));
        step.apply(&context).await.unwrap();
        let (mut there, mut source) = (Vec::new(), Vec::new());
        files(&to, "", &mut there);
        files(&from, "", &mut source);
        source.retain(|name| !name.starts_with("locks/") && name != "a note");
        there.sort();
        source.sort();
        assert_eq!(there, source);
        let opened = Repository::open(Arc::new(FsStore::new(&to).unwrap())).await.unwrap();
        opened.unlock(&key).await.unwrap();
    }
}
