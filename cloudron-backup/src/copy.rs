//! Copying a repository to another store, without any key.

use std::collections::HashMap;
use std::sync::Arc;

use cloudron_core::{Cancel, Error, Progress, Result, Unit};

use crate::repository::CopyReport;
use crate::repository::config::Config;
use crate::store::{BackupStore, ObjectMeta};
use crate::{codes, layout};

/// In this order a copy that is cut off is valid: what a summary needs is there before it.
fn rank(key: &str) -> u8 {
    match key {
        layout::CONFIG => 0,
        _ if key.starts_with(layout::KEYS) => 1,
        _ if key.starts_with(layout::PACKS) => 3,
        _ if key.starts_with(layout::INDEX) => 4,
        _ if key.starts_with(layout::SNAPSHOTS) && !key.ends_with(".json") => 5,
        _ if key.starts_with(layout::SNAPSHOTS) => 6,
        _ => 2,
    }
}

pub(crate) async fn run(
    source: &Arc<dyn BackupStore>,
    target: &Arc<dyn BackupStore>,
    id: &str,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<CopyReport> {
    check_target(target, id).await?;
    // Listed from the summaries backwards: a backup made meanwhile is copied whole or not at all.
    let mut objects: Vec<ObjectMeta> = Vec::new();
    for prefix in [layout::SNAPSHOTS, layout::INDEX, layout::PACKS, layout::KEYS] {
        objects.extend(source.list(prefix).await?);
    }
    for key in [layout::CONFIG, layout::RECOVER_MD, layout::RECOVER_PY, layout::RECOVER_SH] {
        objects.extend(source.head(key).await?);
    }
    objects.sort_by(|a, b| (rank(&a.key), &a.key).cmp(&(rank(&b.key), &b.key)));
    let present: HashMap<String, u64> = target.list("").await?.into_iter().map(|o| (o.key, o.size)).collect();

    let task = progress.task("Copying", Unit::Bytes, Some(objects.iter().map(|o| o.size).sum()));
    let mut report = CopyReport::default();
    for object in objects {
        cancel.check()?;
        if present.get(&object.key) == Some(&object.size) {
            report.present += 1;
        } else {
            let content = source.get(&object.key).await?;
            check(&object.key, &content)?;
            target.put(&object.key, &content).await?;
            report.copied += 1;
            report.bytes += content.len() as u64;
        }
        task.advance(object.size);
    }
    task.finish();
    Ok(report)
}

async fn check_target(target: &Arc<dyn BackupStore>, id: &str) -> Result<()> {
    match target.get(layout::CONFIG).await {
        Err(e) if e.is(&codes::OBJECT_MISSING) => Ok(()),
        Err(e) => Err(e),
        Ok(content) if Config::parse(&content).is_ok_and(|c| c.id == id) => Ok(()),
        Ok(_) => {
            let text = format!("{} holds another repository", target.url());
            Err(Error::new(&codes::REPOSITORY_EXISTS, text))
        }
    }
}

/// A damaged object is not spread.
fn check(key: &str, content: &[u8]) -> Result<()> {
    let hashed = key.starts_with(layout::PACKS) || key.starts_with(layout::INDEX);
    if hashed && layout::id_of(key) != Some(&layout::object_id(content)) {
        let text = format!("{key} does not have the hash that it is named by");
        return Err(Error::new(&codes::OBJECT_CORRUPT, text));
    }
    Ok(())
}
