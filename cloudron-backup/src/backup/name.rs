//! Names for backups of this moment.

use std::time::{Duration, SystemTime};

use cloudron_core::{BackupId, Result, Version};

use crate::codes;

/// How often a name is tried.
const TRIES: u32 = 3;

/// Makes a backup under a name of this moment. Names have the time to the second, so another backup that is made in this
/// second may have taken it: then it is tried again with the next one.
///
/// # Errors
/// Those of the attempt; `backup-exists` only from the last.
pub async fn under_new_id<T>(mut attempt: impl AsyncFnMut(BackupId) -> Result<T>) -> Result<T> {
    let now = || BackupId::new(SystemTime::now(), &Version::current());
    for _ in 1..TRIES {
        match attempt(now()).await {
            Err(e) if e.is(&codes::BACKUP_EXISTS) => tokio::time::sleep(Duration::from_millis(1100)).await,
            other => return other,
        }
    }
    attempt(now()).await
}

#[cfg(test)]
mod tests {
    use cloudron_core::Error;

    use super::*;

    #[tokio::test]
    async fn a_name_that_is_taken_is_tried_again_and_other_errors_are_not() {
        let mut ids = Vec::new();
        let made = under_new_id(async |id| {
            ids.push(id);
            match ids.len() {
                1 => Err(Error::new(&codes::BACKUP_EXISTS, "taken")),
                n => Ok(n),
            }
        })
        .await;
        assert_eq!(made.unwrap(), 2);
        assert!(ids[0] < ids[1], "{ids:?}");
        let failed = under_new_id(async |_| Err::<(), _>(Error::new(&codes::STORE_DENIED, "no"))).await;
        assert!(failed.unwrap_err().is(&codes::STORE_DENIED));
    }
}
