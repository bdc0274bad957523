//! What an earlier version kept where the interface can read it: keys of the worker, and its cache.

use std::path::PathBuf;

use cloudron_api::StoreAccess;
use cloudron_core::Secret;

use crate::system::files;
use crate::system::owner::{as_owner, as_worker};
use crate::{Error, Layout, Result, codes};

fn writer_keys(layout: &Layout) -> PathBuf {
    layout.secrets().join("writer-keys.json")
}

fn store_access(layout: &Layout) -> PathBuf {
    layout.secrets().join("store.json")
}

/// Reads the keys for writing backups, from their place or from that of an earlier version.
pub(super) fn read_keys(layout: &Layout) -> Result<Secret> {
    let read = |path: PathBuf| Ok(files::read_json::<serde_json::Value>(&path)?.map(|v| v.to_string()));
    let found = match as_worker(layout, || read(layout.writer_keys()))? {
        None => as_owner(layout, || read(writer_keys(layout)))?,
        found => found,
    };
    found.map(Secret::new).ok_or_else(|| {
        Error::new(&codes::CONFIG_CORRUPT, format!("{} is missing", layout.writer_keys().display()))
    })
}

/// Reads the access to an object store likewise.
pub(super) fn read_access(layout: &Layout) -> Result<Option<StoreAccess>> {
    // Its keys tell whether the worker has its own place already.
    if as_worker(layout, || Ok(layout.writer_keys().exists()))? {
        return as_worker(layout, || files::read_json(&layout.store_access()));
    }
    as_owner(layout, || files::read_json(&store_access(layout)))
}

/// Removes it, once it has its own place.
pub(super) fn remove(layout: &Layout) -> Result<()> {
    files::remove_file(&writer_keys(layout))?;
    files::remove_file(&store_access(layout))?;
    files::remove_folder(&layout.cache().join("backup"))
}
