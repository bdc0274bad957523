//! The only place that knows the provider of each cloud.

use std::sync::Arc;

use cloudron_core::{Error, Result};
use cloudron_provision::cloud::{CloudHost, Login, codes};
use cloudron_provision::facts::Requirements;

use super::{Account, CloudSettings, Provider};

/// How an account is opened.
pub(crate) struct Opening<'a> {
    /// The machine to make. If `None`, only existing machines are worked with.
    settings: Option<&'a CloudSettings>,
    /// The address of the server's store.
    store: Option<&'a str>,
    login: Login,
    requirements: Requirements,
    adopting: bool,
}

impl<'a> Opening<'a> {
    /// Opens an account to make this machine.
    pub(crate) fn new(settings: &'a CloudSettings, login: Login) -> Self {
        Self { settings: Some(settings), ..Self::existing(login) }
    }

    /// Opens an account for the machines that there are.
    pub(crate) fn existing(login: Login) -> Self {
        Self { settings: None, store: None, login, requirements: Requirements::default(), adopting: false }
    }

    /// Sets the address of the server's store, for which it may get a role.
    pub(crate) fn storing_in(self, store: &'a str) -> Self {
        Self { store: Some(store), ..self }
    }

    /// Sets the requirements for the machine.
    pub(crate) fn requiring(self, requirements: Requirements) -> Self {
        Self { requirements, ..self }
    }

    /// Sets whether what another run made for the machine is used.
    pub(crate) fn adopting(self, adopting: bool) -> Self {
        Self { adopting, ..self }
    }
}

/// Opens an account. Nothing is sent yet.
///
/// # Errors
/// `cloud-settings` for settings that the cloud does not know, and errors of the provider.
pub(crate) fn open(account: &Account, opening: Opening<'_>) -> Result<Arc<dyn CloudHost>> {
    match account.provider() {
        #[cfg(feature = "digitalocean")]
        Provider::DigitalOcean => digitalocean(account, opening),
        #[cfg(feature = "ec2")]
        Provider::Ec2 => ec2(account, opening),
        #[cfg(feature = "hetzner")]
        Provider::Hetzner => hetzner(account, opening),
    }
}

#[cfg(feature = "digitalocean")]
fn digitalocean(account: &Account, opening: Opening<'_>) -> Result<Arc<dyn CloudHost>> {
    use cloudron_provision::digitalocean::{DigitalOcean, Settings};
    let (token, login) = (account.token()?.clone(), opening.login);
    let (transport, clock) = (account.transport().clone(), account.clock().clone());
    let mut provider = match opening.settings {
        None => DigitalOcean::existing(token, login, transport, clock),
        Some(wanted) => {
            without(account.provider(), "a disk size", wanted.disk_size.is_some())?;
            without(account.provider(), "a private network", wanted.network)?;
            without(account.provider(), "a subnet and a security group", wanted.subnet.is_some())?;
            without(account.provider(), "an instance profile", wanted.instance_profile.is_some())?;
            without(account.provider(), "a role for the server", wanted.server_role)?;
            let mut settings = Settings::new(&wanted.public_key);
            choose(&mut settings.size, wanted.size.as_ref());
            choose(&mut settings.region, wanted.region.as_ref());
            choose(&mut settings.image, wanted.image.as_ref());
            settings.reserved_ip = wanted.reserved_ip;
            DigitalOcean::new(token, settings, login, transport, clock)?
        }
    };
    if let Some(endpoint) = account.endpoint("digitalocean") {
        provider = provider.at(endpoint)?;
    }
    if let Some(policy) = account.retry_policy() {
        provider = provider.retries(policy.clone());
    }
    Ok(Arc::new(provider.requirements(opening.requirements).adopting(opening.adopting)))
}

#[cfg(feature = "ec2")]
fn ec2(account: &Account, opening: Opening<'_>) -> Result<Arc<dyn CloudHost>> {
    use cloudron_provision::ec2::{Credentials, Ec2, Service, Settings};
    let (id, secret, session_token) = account.keys()?;
    let credentials =
        Credentials { session_token: session_token.cloned(), ..Credentials::new(id, secret.clone()) };
    let wanted = opening.settings;
    let region = wanted.and_then(|wanted| wanted.region.as_deref()).or(account.region());
    let region = region.ok_or_else(|| Error::new(&codes::SETTINGS, "EC2 needs the name of a region"))?;
    let (transport, clock) = (account.transport().clone(), account.clock().clone());
    let mut provider = match wanted {
        None => Ec2::existing(credentials, region, opening.login, transport, clock)?,
        Some(wanted) => {
            let mut settings = Settings::new(region, &wanted.public_key);
            choose(&mut settings.instance_type, wanted.size.as_ref());
            settings.disk_size = wanted.disk_size.unwrap_or(settings.disk_size);
            settings.image.clone_from(&wanted.image);
            settings.user.clone_from(&wanted.user);
            settings.subnet.clone_from(&wanted.subnet);
            settings.security_group.clone_from(&wanted.security_group);
            settings.instance_profile.clone_from(&wanted.instance_profile);
            if wanted.server_role {
                settings.server_role = Some(bucket_place(opening.store)?);
            }
            (settings.elastic_ip, settings.own_vpc) = (wanted.reserved_ip, wanted.network);
            Ec2::new(credentials, settings, opening.login, transport, clock)?
        }
    };
    for service in [Service::Ec2, Service::Iam, Service::Sts, Service::Ssm] {
        if let Some(endpoint) = account.endpoint(service.name()) {
            provider = provider.at(service, endpoint)?;
        }
    }
    if let Some(policy) = account.retry_policy() {
        provider = provider.retries(policy.clone());
    }
    Ok(Arc::new(provider.requirements(opening.requirements).adopting(opening.adopting)))
}

/// Returns the place in a bucket that the address of a store stands for.
#[cfg(feature = "ec2")]
fn bucket_place(store: Option<&str>) -> Result<cloudron_provision::ec2::BucketPlace> {
    let (bucket, prefix) = store.and_then(super::policy::bucket_of).ok_or_else(|| {
        let text = "a role for the server's bucket means nothing without a bucket";
        Error::new(&codes::SETTINGS, text)
    })?;
    Ok(cloudron_provision::ec2::BucketPlace { bucket: bucket.into(), prefix: prefix.into() })
}

#[cfg(feature = "hetzner")]
fn hetzner(account: &Account, opening: Opening<'_>) -> Result<Arc<dyn CloudHost>> {
    use cloudron_provision::hetzner::{Hetzner, Settings};
    let (token, login) = (account.token()?.clone(), opening.login);
    let (transport, clock) = (account.transport().clone(), account.clock().clone());
    let mut provider = match opening.settings {
        None => Hetzner::existing(token, login, transport, clock),
        Some(wanted) => {
            without(account.provider(), "a disk size", wanted.disk_size.is_some())?;
            without(account.provider(), "a reserved address", wanted.reserved_ip)?;
            without(account.provider(), "a subnet and a security group", wanted.subnet.is_some())?;
            without(account.provider(), "an instance profile", wanted.instance_profile.is_some())?;
            without(account.provider(), "a role for the server", wanted.server_role)?;
            let mut settings = Settings::new(&wanted.public_key);
            choose(&mut settings.server_type, wanted.size.as_ref());
            choose(&mut settings.location, wanted.region.as_ref());
            choose(&mut settings.image, wanted.image.as_ref());
            settings.network = wanted.network;
            Hetzner::new(token, settings, login, transport, clock)?
        }
    };
    if let Some(endpoint) = account.endpoint("hetzner") {
        provider = provider.at(endpoint)?;
    }
    if let Some(policy) = account.retry_policy() {
        provider = provider.retries(policy.clone());
    }
    Ok(Arc::new(provider.requirements(opening.requirements).adopting(opening.adopting)))
}

/// Replaces a default by a choice.
fn choose(setting: &mut String, wanted: Option<&String>) {
    if let Some(wanted) = wanted {
        setting.clone_from(wanted);
    }
}

/// Refuses a setting that a cloud does not have.
#[cfg(any(feature = "digitalocean", feature = "hetzner"))]
fn without(provider: Provider, what: &str, given: bool) -> Result<()> {
    match given {
        false => Ok(()),
        true => {
            let message = format!("a machine at {} has no choice of {what}", provider.description());
            Err(Error::new(&codes::SETTINGS, message))
        }
    }
}
