//! Managing a machine that another computer made at a cloud.

use std::time::Duration;

use cloudron_core::{Domain, Error, Result};
use cloudron_provision::cloud::Item;
use cloudron_provision::ssh::HostKeyPolicy;

use super::SshLogin;
use crate::access::SSH_PORT;
use crate::codes;
use crate::manager::Manager;
use crate::registry::{CloudPlace, Machine, SshReach};

impl Manager {
    /// Adds a machine of the account to the records of this computer. Only the host key in its marks is trusted. Changes
    /// nothing on the machine or at the cloud.
    ///
    /// # Errors
    /// `machine-known`, `run-exists`; `machine-unknown` if the account has no machine of the domain; `machine-missing` if
    /// its creation was not finished; `cloud-several-runs`; SSH errors and any error of the cloud.
    pub async fn adopt_from_account(
        &self,
        domain: &Domain,
        login: &SshLogin,
        limit: Duration,
    ) -> Result<Machine> {
        self.check_adoptable(domain)?;
        let provider = self.any_account()?.provider();
        let remains = self.remains(domain).await?;
        let mut machines = remains.items().iter().filter(|item| item.is_machine());
        let (found, more) = (machines.next(), machines.next().is_some());
        if more {
            let message = format!("{} has several machines of {domain}", provider.description());
            return Err(Error::new(&codes::SEVERAL_RUNS, message).with_detail("domain", domain.as_str()));
        }
        let finished = found.filter(|item| !item.addresses.is_empty());
        let finished = finished.and_then(|item| Some((item, item.marks.keys.lasting.clone()?)));
        let Some((item, key)) = finished else {
            let message = format!("the creation of {domain} at {} was not finished", provider.description());
            return Err(Error::new(&cloudron_api::codes::MACHINE_MISSING, message)
                .with_detail("unfinished", domain.as_str())
                .with_detail("provider", provider.id()));
        };
        let reach = origin(provider.id(), item, login);
        let ports = [SSH_PORT, login.port];
        let reach = self.over_ssh(domain, reach, &ports, HostKeyPolicy::Fingerprint(key), limit).await?;
        self.take(domain, reach).await
    }
}

fn origin(provider: &str, item: &Item, login: &SshLogin) -> SshReach {
    SshReach {
        host: item.addresses.first().map(ToString::to_string).unwrap_or_default(),
        ssh_port: SSH_PORT,
        ssh_user: login.user.clone().or_else(|| item.marks.user.clone()).unwrap_or_else(|| "root".into()),
        ssh_key: login.key.clone(),
        host_keys: Vec::new(),
        cloud: Some(CloudPlace {
            provider: provider.into(),
            region: item.region.clone(),
            id: item.id.clone(),
            run: item.marks.run.clone(),
        }),
    }
}
