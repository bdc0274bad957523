//! Reads objects with a limit on their size, and many in parallel.

use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Error, Result};
use tokio::task::JoinSet;

use super::{BackupStore, ObjectMeta};
use crate::codes;
use crate::runtime::shutting_down;

/// Returns the content of an object, unless it is larger than `most`. The size of an object is a claim of its writer.
///
/// # Errors
/// `object-missing`; `object-corrupt` for one that is too large; errors of the store.
pub(crate) async fn get_at_most(store: &dyn BackupStore, key: &str, most: u64) -> Result<Bytes> {
    let content = store.get_range(key, 0..most.saturating_add(1)).await?;
    if content.len() as u64 <= most { Ok(content) } else { Err(too_large(key, most)) }
}

fn too_large(key: &str, most: u64) -> Error {
    Error::new(&codes::OBJECT_CORRUPT, format!("{key} is larger than {most} bytes"))
}

/// The number of objects read in parallel, since each takes a round trip.
const AT_ONCE: usize = 16;

/// Reads objects of at most `most` bytes, several at once, in no order. Those that are listed as larger are not asked
/// for; those that grew since they were listed are read no further. Both give `object-corrupt`.
pub(crate) async fn get_all(
    store: &Arc<dyn BackupStore>,
    objects: Vec<ObjectMeta>,
    most: u64,
) -> Result<Vec<(ObjectMeta, Result<Bytes>)>> {
    let mut waiting = objects.into_iter();
    let (mut read, mut running) = (Vec::new(), JoinSet::new());
    loop {
        while running.len() < AT_ONCE
            && let Some(object) = waiting.next()
        {
            if object.size > most {
                let error = too_large(&object.key, most);
                read.push((object, Err(error)));
                continue;
            }
            let store = store.clone();
            running.spawn(async move {
                let content = get_at_most(&*store, &object.key, most).await;
                (object, content)
            });
        }
        match running.join_next().await {
            None => return Ok(read),
            Some(Ok(done)) => read.push(done),
            Some(Err(e)) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Some(Err(_)) => return Err(shutting_down()),
        }
    }
}
