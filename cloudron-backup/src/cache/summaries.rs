//! A local cache of summaries, so that listing reads only new ones.
//!
//! A summary is written once; it is read again if the store shows another size or time. Cached summaries are
//! no more trusted than those from the store: their signatures are checked before use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::store::ObjectMeta;

const NAME: &str = "summaries.json";

/// An object as it was read. The text is kept as stored, so that fields of later versions are not lost.
#[derive(Debug, Serialize, Deserialize)]
struct Object {
    size: u64,
    modified: Option<SystemTime>,
    content: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    repository: String,
    objects: BTreeMap<String, Object>,
}

/// Summaries, by key.
#[derive(Debug, Default)]
pub(crate) struct SummaryCache {
    file: Option<PathBuf>,
    content: Content,
    changed: bool,
}

impl SummaryCache {
    /// Loads the summaries of a repository from a folder. Empty without a folder.
    pub(crate) fn load(dir: Option<&Path>, repository: &str) -> Self {
        let file = dir.map(|dir| dir.join(NAME));
        let read = file.as_ref().and_then(|f| std::fs::read(f).ok());
        let content = read.and_then(|text| serde_json::from_slice::<Content>(&text).ok());
        let content = content
            .filter(|c| c.repository == repository)
            .unwrap_or_else(|| Content { repository: repository.to_owned(), ..Content::default() });
        Self { file, content, changed: false }
    }

    /// Drops summaries whose objects are missing or changed in the list. Returns the objects to read.
    pub(crate) fn split(mut self, listed: Vec<ObjectMeta>) -> (Self, Vec<ObjectMeta>) {
        let mut old = std::mem::take(&mut self.content.objects);
        let mut new = Vec::new();
        for meta in listed {
            match old.remove(&meta.key) {
                Some(o) if o.modified.is_some() && (o.size, o.modified) == (meta.size, meta.modified) => {
                    self.content.objects.insert(meta.key, o);
                }
                _ => new.push(meta),
            }
        }
        self.changed = !old.is_empty();
        (self, new)
    }

    pub(crate) fn add(&mut self, meta: &ObjectMeta, content: &[u8]) {
        if let Ok(text) = std::str::from_utf8(content) {
            let object = Object { size: meta.size, modified: meta.modified, content: text.to_owned() };
            self.content.objects.insert(meta.key.clone(), object);
            self.changed = true;
        }
    }

    pub(crate) fn contents(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.content.objects.iter().map(|(key, object)| (key.as_str(), object.content.as_bytes()))
    }

    /// Saves the cache. A failure costs time only.
    pub(crate) fn save(&self) {
        if let Some(file) = &self.file
            && self.changed
            && let Ok(text) = serde_json::to_vec(&self.content)
            && let Err(e) = crate::files::private_write(file, &text)
        {
            tracing::debug!("{} is not written: {e}", file.display());
        }
    }
}
