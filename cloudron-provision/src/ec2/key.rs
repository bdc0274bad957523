//! `ssh-key`: the account knows the public key.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::kind::Kind;
use super::shared::{Find, Made, Shared, marks_of, short};
use super::{DescribeKeyPairs, ImportKeyPair, KeyPair};
use crate::cloud::codes;
use crate::cloud::names::key_body;
use crate::steps::{Check, Context, Step, Undo};

/// Imports the public key, if the region does not have it. A key pair that is there already is used and left, whatever its
/// name.
///
/// Output: `{"id": …, "name": …, "made": …}`.
pub(super) struct Key(pub(super) Arc<Shared>);

impl Key {
    /// Finds the key pair by the key itself: the fingerprints are of several kinds.
    async fn find(&self) -> Result<Option<KeyPair>> {
        let wanted = self.0.settings.key_body();
        let named = self.0.settings.key_name.clone();
        let request = DescribeKeyPairs {
            include_public_key: named.is_none(),
            key_names: named.clone().into_iter().collect(),
            ..DescribeKeyPairs::default()
        };
        let found = self.0.client.call(&request).await?.keys.item;
        let suits = |key: &KeyPair| match &named {
            Some(name) => key.key_name == *name,
            None => key.public_key.as_deref().is_some_and(|key| key_body(key) == wanted),
        };
        Ok(found.into_iter().find(suits))
    }

    fn output(context: &Context, key: &KeyPair) -> Value {
        let made = marks_of(&key.tags).is_some_and(|marks| marks.is_of(context));
        json!({ "id": key.key_pair_id, "name": key.key_name, "made": made })
    }
}

#[async_trait]
impl Step for Key {
    fn id(&self) -> &'static str {
        "ssh-key"
    }

    fn plan(&self) -> String {
        "Import the SSH key, if the region does not have it".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        if let Some(previous) = context.previous(self.id()) {
            return Ok(Check::Done(previous));
        }
        self.0.settings.clone().check()?;
        let find: Find<'_, KeyPair> = &|| Box::pin(self.find());
        let found = match self.0.in_doubt(context, self.id()) {
            true => self.0.find_in_doubt(find).await?,
            false => self.find().await?,
        };
        Ok(match found {
            Some(key) => Check::Done(Self::output(context, &key)),
            None => Check::Absent,
        })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        if let Some(name) = &self.0.settings.key_name {
            return Err(Error::new(&codes::NOT_FOUND, format!("the region has no key pair {name}")));
        }
        let name = format!("cloudron-{}", short(self.0.settings.key_body().as_bytes(), 12));
        let request = ImportKeyPair {
            key_name: name.clone(),
            public_key_material: self.0.settings.public_key.clone(),
            tags: Shared::tags(&self.0.marks(context)?, &["key-pair"], &name),
        };
        let find: Find<'_, KeyPair> = &|| Box::pin(self.find());
        match self.0.create(&request, find).await {
            Ok(Made::New(key)) => Ok(json!({ "id": key.key_pair_id, "name": key.key_name, "made": true })),
            Ok(Made::There(key)) => Ok(Self::output(context, &key)),
            Err(e) if e.is(&codes::TAKEN) => {
                let message = format!("the region has a key pair {name} already, with another key");
                Err(Error::new(&crate::codes::STEP_FOREIGN, message).with_source(e))
            }
            Err(e) => Err(e),
        }
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        self.0.undo(context, Kind::KeyPair, output).await?;
        Ok(Undo::Undone)
    }
}
