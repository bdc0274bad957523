//! The step that copies a repository from this computer to the machine before the server starts.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_backup::{Issue, Repository};
use cloudron_core::Result;
use cloudron_provision::steps::{Check, Context, Step, Undo};
use serde_json::{Value, json};

use super::recipe::nothing_made;
use crate::backups::RemoteFolder;
use crate::manager::Manager;
use crate::owner_store::OwnerStore;
use crate::program::Place;

/// Copies the objects that the machine's store lacks.
pub(super) struct CopyRepository {
    pub manager: Manager,
    pub place: Place,
    /// `None` in a plan, which makes nothing.
    pub repository: Option<Repository>,
    /// The source store, for display.
    pub from: String,
    /// The folder of the machine's store, and its name in messages.
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
        let store = OwnerStore::of_folder(read, self.manager.program(remote, self.place.clone())).await?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use bytes::Bytes;
    use cloudron_backup::{BackupStore, FsStore, InitOptions, generate_backup_key};
    use cloudron_provision::local::Local;

    use super::*;
    use crate::state_dir::StateDir;

    /// A shell script in place of the program on a machine, for the store commands. `$S` is the store.
    const PROGRAM: &str = r#"#!/bin/sh
case "$2" in
store-list) echo '{"keys":[]}' ;;
store-receive) tar -xf - -C "$S" && echo '{"stored":1,"present":0}' ;;
store-change)
  request=$(cat)
  case "$request" in
  *'"do":"delete"'*) rm -f "$S/$(printf %s "$request" | sed 's/.*"key":"\([^"]*\)".*/\1/')" ;;
  *) key=$(printf %s "$request" | sed 's/.*"key":"\([^"]*\)".*/\1/')
     case "$request" in *'"do":"put-new"'*) [ ! -e "$S/$key" ] || { echo '{"changed":false}'; exit; } ;; esac
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
