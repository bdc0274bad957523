//! Second copies of the objects needed to open a repository: its description, and its key objects.

use bytes::Bytes;
use cloudron_core::Result;

use crate::format::config::Config;
use crate::snapshot::Owner;
use crate::{codes, layout};

/// Restores the description and the key objects of which only the copy is sound, and creates missing copies.
/// Adds the written objects to `written`, or those a dry run would write.
///
/// # Errors
/// Errors of the store.
pub(crate) fn put_back(owner: &Owner<'_>, dry_run: bool, written: &mut Vec<String>) -> Result<()> {
    let store = owner.store;
    // The description was opened and its signature checked, so this is the right content.
    let description = Bytes::copy_from_slice(owner.config.object());
    let is_description = |content: &Bytes| Config::check_signature(content, Some(owner.identity)).is_ok();
    let mut wanted = vec![(layout::CONFIG.to_owned(), description)];
    for folder in [layout::KEYS.to_owned(), layout::copy_of(layout::KEYS)] {
        for object in store.list(&folder)?.into_iter().filter(|o| o.size <= layout::MOST_SMALL) {
            let name = object.key.strip_prefix(layout::COPIES).unwrap_or(&object.key).to_owned();
            if crate::format::key::name_of(&name).is_none() || wanted.iter().any(|(key, _)| *key == name) {
                continue;
            }
            let content = store.get_at_most(&object.key, layout::MOST_SMALL)?;
            if layout::is_key_sound(&name, &content) {
                wanted.push((name, content));
            }
        }
    }
    for (key, content) in wanted {
        for place in [key.clone(), layout::copy_of(&key)] {
            let found = match store.get_at_most(&place, layout::MOST_JSON) {
                Ok(found) => Some(found),
                Err(e) if e.is(&codes::OBJECT_MISSING) || e.is(&codes::OBJECT_CORRUPT) => None,
                Err(e) => return Err(e),
            };
            let is_sound = found.is_some_and(|found| match key == layout::CONFIG {
                true => is_description(&found),
                false => found == content,
            });
            if !is_sound {
                written.push(place.clone());
                if !dry_run {
                    store.put(&place, &content)?;
                }
            }
        }
    }
    Ok(())
}
