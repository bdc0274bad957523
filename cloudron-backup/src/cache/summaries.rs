//! Summaries that were read before, kept on this machine, so that a list reads only new ones.
//!
//! A summary is written once. One that the store shows with another size or time is read again. What is kept
//! is worth no more than what the store gave: whoever relies on it checks its signature.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::store::ObjectMeta;

const NAME: &str = "summaries.json";

/// An object as it was when it was read. The text is that of the store, so that nothing in them gets lost
/// that only a later program knows.
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
    /// What a folder has of that repository. Nothing without a folder.
    pub(crate) fn load(dir: Option<&Path>, repository: &str) -> Self {
        let file = dir.map(|dir| dir.join(NAME));
        let read = file.as_ref().and_then(|f| std::fs::read(f).ok());
        let content = read.and_then(|text| serde_json::from_slice::<Content>(&text).ok());
        let content = content
            .filter(|c| c.repository == repository)
            .unwrap_or_else(|| Content { repository: repository.to_owned(), ..Content::default() });
        Self { file, content, changed: false }
    }

    /// Drops what is not in the list as it was. Gives the objects that are to be read.
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

    /// Keeps them. That it fails costs time only.
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
