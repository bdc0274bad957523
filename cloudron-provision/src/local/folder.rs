//! The step that creates the root folder.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::io;
use crate::codes;
use crate::facts::{self, Installed};
use crate::steps::{Check, Context, Step, Undo};

/// Checks that the folder exists or can be created, and is writable.
pub(super) fn check(root: &Path) -> Result<()> {
    let mut existing = root;
    while !existing.exists() {
        let Some(parent) = existing.parent().filter(|p| !p.as_os_str().is_empty()) else { return Ok(()) };
        existing = parent;
    }
    if !existing.is_dir() {
        return Err(Error::io(existing, std::io::ErrorKind::NotADirectory.into()));
    }
    rustix::fs::access(existing, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|e| Error::io(existing, e.into()))
}

/// Creates the machine's folder with mode 0700.
pub(super) struct Folder {
    pub(super) root: PathBuf,
    pub(super) fqdn: String,
}

/// Returns the server whose files are below a folder, if one is installed.
pub(super) fn installed(root: &Path) -> Option<Installed> {
    // An interrupted installation has no settings and is not a server.
    root.join("config.json").is_file().then_some(())?;
    let text = std::fs::read(root.join("machine.json")).ok()?;
    Some(serde_json::from_slice(&text).unwrap_or_default())
}

/// Refuses a folder that contains another server than that of the run.
pub(super) fn check_server(root: &Path, fqdn: &str, run: &str) -> Result<()> {
    match installed(root) {
        Some(server) if server.fqdn != fqdn => {
            let message = format!("{} holds the server {:?}", root.display(), server.fqdn);
            Err(Error::new(&codes::MACHINE_TAKEN, message))
        }
        Some(server) if server.run.as_deref().is_none_or(|r| !r.eq_ignore_ascii_case(run)) => {
            Err(facts::carries_server(fqdn))
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Step for Folder {
    fn id(&self) -> &'static str {
        "first-contact"
    }

    fn plan(&self) -> String {
        format!("Make the machine's folder {}", self.root.display())
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        check_server(&self.root, &self.fqdn, &context.run())?;
        Ok(match context.previous(self.id()) {
            Some(output) if self.root.is_dir() => Check::Done(output),
            _ => Check::Absent,
        })
    }

    async fn apply(&self, _: &Context) -> Result<Value> {
        let existed = self.root.is_dir();
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root).map_err(io(&self.root))?;
        Ok(json!({ "root": self.root, "existed": existed }))
    }

    async fn undo(&self, _: &Context, output: Option<&Value>) -> Result<Undo> {
        // Without an output it is not known whether the folder existed before; removing an empty one loses nothing.
        if output.is_some_and(|o| o["existed"] == json!(true)) {
            return Ok(Undo::Undone);
        }
        match std::fs::remove_dir(&self.root) {
            Ok(()) => Ok(Undo::Undone),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Undo::Undone),
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                Ok(Undo::Kept(format!("{} is not empty", self.root.display())))
            }
            Err(e) => Err(Error::io(&self.root, e)),
        }
    }
}
