//! Writes the host keys into the tags of a droplet.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cloudron_core::{Error, Result};

use super::provider::{Shared, marks_of};
use crate::cloud::{HostKeys, MACHINE, WriteKeys, codes};
use crate::steps::Context;

/// Writes the host keys. What the droplet has is known from the step `machine`, and from what was written since.
pub(super) struct DropletTags {
    shared: Arc<Shared>,
    written: Mutex<Option<HostKeys>>,
}

impl DropletTags {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, written: Mutex::default() }
    }
}

#[async_trait]
impl WriteKeys for DropletTags {
    async fn write_keys(&self, context: &Context, keys: &HostKeys) -> Result<()> {
        let machine = context.output(MACHINE).unwrap_or_default();
        let tags: Vec<String> = serde_json::from_value(machine["tags"].clone()).unwrap_or_default();
        let (Some(id), Some(marks)) = (machine["id"].as_u64(), marks_of(&tags)) else {
            return Err(Error::new(&codes::NOT_FOUND, "the step `machine` has no output"));
        };
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let old = match written {
            Some(keys) => marks.clone().with_keys(keys).key_words(),
            None => marks.key_words(),
        };
        let new = marks.with_keys(keys.clone()).key_words();
        for tag in new.iter().filter(|tag| !old.contains(tag)) {
            self.shared.client.create_tag(tag).await?;
            self.shared.client.tag(tag, id).await?;
        }
        for tag in old.iter().filter(|tag| !new.contains(tag)) {
            self.shared.client.delete_tag(tag).await?;
        }
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
        Ok(())
    }
}
