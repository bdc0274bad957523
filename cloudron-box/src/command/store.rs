//! `cloudron box store-list`, `store-receive` and `store-change`: transferring a repository to a machine, and
//! changing it there.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloudron_api::owner::{StoreChange, StoreChanged, StoreKeys};
use cloudron_core::{Cancel, Error, Result, codes};
use serde_json::json;

use super::{Work, request, value};
use crate::{Layout, admin};

pub(super) fn list(layout: &Layout) -> Result<Work> {
    let store = admin::open_store(layout)?;
    Ok(Box::pin(async move {
        let objects = store.list("").await?;
        value(StoreKeys { keys: objects.into_iter().map(|o| o.key).collect() })
    }))
}

/// Every entry of the tar becomes an object, whole or not at all, in the order of the tar. One that exists is
/// left as it is.
pub(super) fn receive(layout: &Layout, input: impl Read + 'static, cancel: &Cancel) -> Result<Work> {
    let (store, cancel) = (admin::open_store(layout)?, cancel.clone());
    Ok(Box::pin(async move {
        let mut archive = tar::Archive::new(input);
        let (mut stored, mut present) = (0u64, 0u64);
        for entry in archive.entries().map_err(bad_tar)? {
            cancel.check()?;
            let (key, content) = object(entry.map_err(bad_tar)?)?;
            let new = store.put_new(&key, &content).await?;
            *(if new { &mut stored } else { &mut present }) += 1;
        }
        Ok(json!({ "stored": stored, "present": present }))
    }))
}

/// Writes or deletes one object, with the rights of the store's owner.
pub(super) fn change(layout: &Layout, input: impl Read) -> Result<Work> {
    let change: StoreChange = request(input)?;
    let store = admin::open_store(layout)?;
    Ok(Box::pin(async move {
        let content = |text: String| {
            STANDARD
                .decode(text)
                .map(Bytes::from)
                .map_err(|_| Error::new(&codes::USAGE, "an object in the request is not base64"))
        };
        let changed = match change {
            StoreChange::Put { key, base64 } => store.put(&key, &content(base64)?).await.map(|()| true),
            StoreChange::PutNew { key, base64 } => store.put_new(&key, &content(base64)?).await,
            StoreChange::Delete { key } => store.delete(&key).await.map(|()| true),
        }?;
        value(StoreChanged { changed })
    }))
}

fn object(mut entry: tar::Entry<'_, impl Read>) -> Result<(String, Bytes)> {
    let key = String::from_utf8(entry.path_bytes().into_owned())
        .map_err(|_| Error::new(&codes::USAGE, "an object's name in the tar is not text"))?;
    let mut content = Vec::new();
    entry.read_to_end(&mut content).map_err(bad_tar)?;
    if content.len() as u64 != entry.size() {
        return Err(Error::new(&codes::IO, format!("the tar ends within {key}")));
    }
    Ok((key, content.into()))
}

fn bad_tar(error: std::io::Error) -> Error {
    Error::io("the tar on standard input", error)
}
