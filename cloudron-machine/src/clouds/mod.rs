//! Machines that a cloud makes: the account, what is to be made, and what is there, also for a computer that never saw it.
//!
//! | file | contents |
//! |---|---|
//! | `provider.rs` | the clouds by their names |
//! | `account.rs` | a cloud, and the credentials for it |
//! | `dns.rs` | the DNS host of an account's cloud |
//! | `settings.rs` | the machine to make |
//! | `open.rs` | the only place that knows the provider of each cloud |
//! | `find.rs` | an account as a user gives it, completed from the environment |
//! | `cost.rs` | what a machine costs |
//! | `policy.rs` | what the credentials must be allowed to do |
//! | `list.rs` | the machines of an account, and which of them this computer knows |
//! | `resume.rs` | an unfinished run that another computer began |
//! | `destroy.rs` | removing a machine, with its record or by its marks |
//! | `adopt.rs` | managing a machine that another computer made |
//! | `begun_removals.rs` | removals without a record that were begun |
//! | `only_copy.rs` | whether a machine's disk has the only backups |
//! | `reverse.rs` | the step `reverse-names` |

mod account;
mod adopt;
mod begun_removals;
mod cost;
mod destroy;
mod dns;
mod find;
mod list;
mod only_copy;
mod open;
mod policy;
mod provider;
mod resume;
mod reverse;
mod settings;

pub use account::{Account, Credentials, bucket_endpoint};
pub use destroy::{Remains, SshLogin};
pub(crate) use dns::own_host;
pub use find::Given;
pub use list::{InCloud, Recorded};
pub(crate) use open::{Opening, open};
pub use policy::Policy;
pub(crate) use policy::bucket_of;
pub use provider::Provider;
pub(crate) use resume::Taken;
pub(crate) use reverse::ReverseNames;
pub use settings::{CloudMachine, CloudSettings};

use std::sync::Arc;

use cloudron_core::{Domain, Error, Result};
use cloudron_provision::cloud::{Cloud, CloudHost, Login, Plan, Region, Size, codes as cloud_codes};

use crate::access::SSH_PORT;
use crate::manager::Manager;
use crate::registry::CloudPlace;

impl Manager {
    /// Sets the account at a cloud. Its credentials are used for the calls of this manager and stored nowhere.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.account = Some(Arc::new(account));
        self
    }

    /// Returns the account at a cloud, if one was set.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// Returns the account at this cloud, as needed to change the machine of a domain, in the region of the machine unless
    /// another was set.
    ///
    /// # Errors
    /// `cloud-credentials` with the details `provider` and `domain` if no account was set, or one at another cloud.
    pub(crate) fn account_at(&self, place: &CloudPlace, domain: &Domain) -> Result<Arc<Account>> {
        let provider = &*place.provider;
        let found = self.account.as_ref().filter(|account| account.provider().id() == provider);
        let in_its_region = |account: &Arc<Account>| match (account.region(), &place.region) {
            (None, Some(region)) => Arc::new(Account::clone(account).in_region(region)),
            _ => account.clone(),
        };
        found.map(in_its_region).ok_or_else(|| {
            let message = format!("{domain} is at {provider}, and there are no credentials for that account");
            Error::new(&cloud_codes::CREDENTIALS, message)
                .with_detail("provider", provider)
                .with_detail("domain", domain.as_str())
        })
    }

    /// Returns the account.
    pub(crate) fn any_account(&self) -> Result<&Arc<Account>> {
        self.account.as_ref().ok_or_else(|| {
            Error::new(&cloud_codes::CREDENTIALS, "there are no credentials for an account at a cloud")
        })
    }

    /// Opens the account for what exists: nothing can be made with it.
    pub(crate) fn existing(&self, account: &Arc<Account>) -> Result<Arc<dyn CloudHost>> {
        open(account, Opening::existing(self.login(account, None)))
    }

    /// Returns the login to machines of the account, with this key.
    pub(crate) fn login(&self, account: &Account, key: Option<&std::path::Path>) -> Login {
        Login::new(self.auth(key), account.clock().clone()).may_move_to(SSH_PORT)
    }

    /// Returns the regions or locations of the account's cloud.
    ///
    /// # Errors
    /// Any error of the cloud.
    pub async fn regions(&self) -> Result<Vec<Region>> {
        let account = self.any_account()?;
        let first = account.provider().first_region().filter(|_| account.region().is_none());
        match first {
            Some(region) => {
                self.existing(&Arc::new(Account::clone(account).in_region(region)))?.regions().await
            }
            None => self.existing(account)?.regions().await,
        }
    }

    /// Returns the sizes of machines in a region, the cheapest first.
    ///
    /// # Errors
    /// Any error of the cloud.
    pub async fn sizes(&self, region: &str) -> Result<Vec<Size>> {
        let account = Account::clone(self.any_account()?).in_region(region);
        self.existing(&Arc::new(account))?.sizes(region).await
    }

    /// Returns what making a machine would make at the cloud: resources, calls, permissions and cost. It only reads.
    ///
    /// # Errors
    /// Any error of the cloud or of the settings.
    pub async fn cloud_plan(&self, domain: &Domain, machine: &CloudMachine) -> Result<Plan> {
        let account = self.any_account()?;
        let settings = machine.complete()?;
        let login = self.login(account, machine.ssh_key.as_deref());
        open(account, Opening::new(&settings, login))?.plan(domain.as_str()).await
    }
}

/// Returns the cloud as a provider of machines without a journal.
pub(crate) fn as_cloud(host: &Arc<dyn CloudHost>) -> &dyn Cloud {
    &**host
}
