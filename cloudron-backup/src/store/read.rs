//! Reads objects with a limit on their size, and many in parallel.

use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Error, Result};
use tokio::task::JoinSet;

use super::BackupStore;
use crate::codes;
use crate::runtime::shutting_down;

/// Returns the content of an object, unless it is larger than `most`. The size of an object is a claim of its writer.
///
/// # Errors
/// `object-missing`; `object-corrupt` for one that is too large; errors of the store.
pub(crate) async fn get_at_most(store: &dyn BackupStore, key: &str, most: u64) -> Result<Bytes> {
    let content = store.get_range(key, 0..most + 1).await?;
    if content.len() as u64 <= most {
        return Ok(content);
    }
    Err(Error::new(&codes::OBJECT_CORRUPT, format!("{key} is larger than {most} bytes")))
}

/// The number of objects read in parallel, since each takes a round trip.
const AT_ONCE: usize = 16;

/// Reads small objects in parallel. Their order is undefined.
pub(crate) async fn get_all<T: Send + 'static>(
    store: &Arc<dyn BackupStore>,
    objects: Vec<T>,
    key: impl Fn(&T) -> &str,
) -> Result<Vec<(T, Result<Bytes>)>> {
    let mut waiting = objects.into_iter();
    let (mut read, mut running) = (Vec::new(), JoinSet::new());
    loop {
        while running.len() < AT_ONCE
            && let Some(object) = waiting.next()
        {
            let (store, key) = (store.clone(), key(&object).to_owned());
            running.spawn(async move { (object, store.get(&key).await) });
        }
        match running.join_next().await {
            None => return Ok(read),
            Some(Ok(done)) => read.push(done),
            Some(Err(e)) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Some(Err(_)) => return Err(shutting_down()),
        }
    }
}
