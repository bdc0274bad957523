//! The resources in a cloud that carry our marks, and their removal.

use async_trait::async_trait;
use cloudron_core::{Cancel, Error, ErrorKind, Progress, Result, Unit};
use serde::Serialize;

use super::{Marks, Plan};
use crate::codes;

/// Something that a cloud has and that carries our marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its kind: `server`, `firewall`.
    pub kind: &'static str,
    /// Its ID at the cloud.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its marks.
    pub marks: Marks,
    /// The public address of a machine.
    pub address: Option<String>,
    /// The state that the cloud reports: `running`.
    pub state: String,
}

/// A cloud, as far as it can be asked without a journal.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Returns all machines that carry our marks, with as few calls as there are regions to ask.
    ///
    /// # Errors
    /// Any error of the cloud.
    async fn machines(&self) -> Result<Vec<Item>>;

    /// Returns everything that carries the marks of a domain, in the order in which it can be removed.
    ///
    /// # Errors
    /// Any error of the cloud.
    async fn inventory(&self, fqdn: &str) -> Result<Vec<Item>>;

    /// Removes something and waits until it no longer exists. What does not exist is a success.
    ///
    /// # Errors
    /// Any error of the cloud.
    async fn remove(&self, item: &Item) -> Result<()>;

    /// Returns what a run would make, without a change.
    ///
    /// # Errors
    /// Any error of the cloud.
    async fn plan(&self, fqdn: &str) -> Result<Plan>;
}

/// Something that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// Removes everything that carries the marks of a domain. It needs no journal. Nothing else is touched. An empty list
/// means that there was nothing.
///
/// # Errors
/// `undo-failed` with a list of what is left; the others were removed nevertheless. `interrupted`; any error of the
/// look-up.
pub async fn remove_all(
    cloud: &dyn Cloud,
    fqdn: &str,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Vec<Removal>> {
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    let mut cause = None;
    for item in cloud.inventory(fqdn).await? {
        if item.marks.fqdn != fqdn {
            continue;
        }
        cancel.check()?;
        let task = progress.task(format!("Remove the {} {}", item.kind, item.name), Unit::None, None);
        match cloud.remove(&item).await {
            Ok(()) => {
                task.finish();
                removed.push(Removal { kind: item.kind, name: item.name });
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                left.push(format!("{} {}: {error}", item.kind, item.name));
                cause.get_or_insert(error);
            }
        }
    }
    match cause {
        None => Ok(removed),
        Some(cause) => {
            let message = format!("not everything could be removed: {}", left.join("; "));
            Err(Error::new(&codes::UNDO_FAILED, message).with_source(cause))
        }
    }
}
