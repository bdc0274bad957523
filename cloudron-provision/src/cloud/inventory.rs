//! The resources in a cloud that carry our marks, and their removal.

use std::net::IpAddr;

use async_trait::async_trait;
use cloudron_core::{Cancel, Error, ErrorKind, Progress, Result, Unit};
use serde::Serialize;
use serde_json::json;

use super::{MACHINE, Marks, Plan, Region, Size};
use crate::codes;
use crate::provider::CloudProvider;
use crate::steps::Outputs;

/// The kinds that are machines, as the clouds name them.
const MACHINES: [&str; 3] = ["droplet", "instance", "server"];

/// Something that a cloud has and that carries our marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its kind, as the cloud names it: `server`, `droplet`, `instance`, `firewall`.
    pub kind: &'static str,
    /// Its ID at the cloud.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its marks.
    pub marks: Marks,
    /// The public addresses of a machine, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// The state that the cloud reports: `running`.
    pub state: String,
    /// The region or location, if the cloud names it.
    pub region: Option<String>,
}

impl Item {
    /// Returns whether this is a machine, rather than something that belongs to one.
    pub fn is_machine(&self) -> bool {
        MACHINES.contains(&self.kind)
    }

    /// Returns whether the cloud removes it already: the states of servers at
    /// [Hetzner](https://docs.hetzner.cloud/reference/cloud#tag/servers) and of
    /// [instances](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html).
    pub fn is_going(&self) -> bool {
        ["deleting", "shutting-down", "terminated"].contains(&&*self.state)
    }

    /// Returns the output of the step `machine` as far as the cloud knows it: enough to connect to a machine that was made
    /// on another computer, and to trust only its host keys.
    pub fn outputs(&self) -> Outputs {
        let ipv4 = self.addresses.iter().find(|address| address.is_ipv4());
        let ipv6 = self.addresses.iter().find(|address| address.is_ipv6());
        let keys = &self.marks.keys;
        let machine = json!({
            "id": self.id, "name": self.name, "ipv4": ipv4, "ipv6": ipv6, "run": self.marks.run,
            "one_time_key": keys.one_time, "host_key": keys.lasting, "user": self.marks.user,
        });
        Outputs::from([(MACHINE.to_owned(), machine)])
    }
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

    /// Returns the regions or locations in which machines can be made.
    ///
    /// # Errors
    /// Any error of the cloud.
    async fn regions(&self) -> Result<Vec<Region>>;

    /// Returns the sizes of machines in a region, the cheapest first; those of unknown price last.
    ///
    /// # Errors
    /// `cloud-not-found` if there is no such region; any error of the cloud.
    async fn sizes(&self, region: &str) -> Result<Vec<Size>>;

    /// Returns whether names of addresses (PTR records) can be set.
    fn sets_reverse_names(&self) -> bool {
        false
    }

    /// Sets the name of each address of the machine that the outputs describe, or with none the cloud's own name again.
    ///
    /// # Errors
    /// Any error of the cloud. The default implementation does nothing.
    async fn set_reverse_names(&self, outputs: &Outputs, name: Option<&str>) -> Result<()> {
        let _ = (outputs, name);
        Ok(())
    }
}

/// A cloud that can also make machines.
pub trait CloudHost: CloudProvider + Cloud {}

impl<T: CloudProvider + Cloud> CloudHost for T {}

/// Something that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// Removes everything that carries the marks of a domain, or of one run for it. It needs no journal. Nothing else is
/// touched. An empty list means that there was nothing.
///
/// # Errors
/// `undo-failed` with a list of what is left; the others were removed nevertheless. `interrupted`; any error of the
/// look-up.
pub async fn remove_all(
    cloud: &dyn Cloud,
    fqdn: &str,
    run: Option<&str>,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Vec<Removal>> {
    let mut items = cloud.inventory(fqdn).await?;
    items.retain(|item| {
        item.marks.fqdn == fqdn && run.is_none_or(|run| run.eq_ignore_ascii_case(&item.marks.run))
    });
    remove_items(cloud, items, progress, cancel).await
}

/// Removes what was found by an [inventory](Cloud::inventory), in this order.
///
/// # Errors
/// As [`remove_all`].
pub async fn remove_items(
    cloud: &dyn Cloud,
    items: Vec<Item>,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Vec<Removal>> {
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    let mut cause = None;
    for item in items {
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
