//! An account at a cloud, from options and the environment.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use cloudron_backup::StoreOptions;
use cloudron_core::{Error, Result, Secret, codes};
use cloudron_http::{HttpOptions, ReqwestTransport};
use cloudron_machine::Manager;
use cloudron_machine::clouds::{self, Given, Provider};

use crate::machines::manager;
use crate::output::Output;
use crate::secrets;

/// Where an account is, and a key of AWS.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Account at the cloud")]
pub(crate) struct Place {
    /// The region or location
    #[arg(long, value_name = "NAME", visible_alias = "location")]
    pub region: Option<String>,
    /// The ID of an access key of AWS; otherwise the variables and files that Amazon's own tools read
    #[arg(long, value_name = "ID", requires = "secret_access_key")]
    pub access_key_id: Option<String>,
    /// The secret of that key
    #[arg(long, value_name = "SECRET", requires = "access_key_id")]
    pub secret_access_key: Option<String>,
    /// The address of a service in place of the cloud's own, such as ec2=URL (repeatable)
    #[arg(long, value_name = "[SERVICE=]URL")]
    pub endpoint: Vec<String>,
}

/// An account at a cloud.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Account at the cloud")]
pub(crate) struct Account {
    #[command(flatten)]
    pub place: Place,
    /// The token; otherwise DIGITALOCEAN_TOKEN or HCLOUD_TOKEN
    #[arg(long, value_name = "SECRET")]
    pub token: Option<String>,
    /// A file of certificates in PEM to trust besides those of the system
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// A cloud by its name.
pub(crate) fn provider() -> impl TypedValueParser<Value = Provider> {
    let value = |cloud: &Provider| PossibleValue::new(cloud.id()).help(cloud.description());
    let names = PossibleValuesParser::new(Provider::ALL.iter().map(value));
    names.try_map(|name| Provider::find(&name))
}

impl Account {
    /// Refuses options of an account where no cloud is asked.
    pub(crate) fn unused(&self) -> Result<()> {
        let Self { place, token, ca_file } = self;
        if token.is_none() && ca_file.is_none() && !place.is_given() {
            return Ok(());
        }
        let message = "an account at a cloud means nothing without the name of the cloud";
        Err(Error::new(&codes::USAGE, message).with_hint("add --provider with the name of the cloud"))
    }

    /// Returns the manager of machines with this account.
    pub(crate) fn manager(&self, provider: Provider, out: &Output) -> Result<Manager> {
        self.place.without_key(provider)?;
        let account = self.place.account(provider, self.token.as_ref(), self.ca_file.clone(), out)?;
        Ok(manager(out)?.with_account(account))
    }
}

impl Place {
    /// Returns the account at a cloud. Sends nothing.
    pub(crate) fn account(
        &self,
        provider: Provider,
        token: Option<&String>,
        ca_file: Option<PathBuf>,
        out: &Output,
    ) -> Result<clouds::Account> {
        let mut given = Given::default();
        given.token = token.map(|token| secrets::resolve(token, "--token", out)).transpose()?;
        given.key = self.key(out)?;
        (given.region, given.endpoints) = (self.region.clone(), self.endpoint.clone());
        let transport = ReqwestTransport::new(HttpOptions::from_env()?.with_ca_file(ca_file))?;
        clouds::Account::find(provider, given, Arc::new(transport))
    }

    /// Returns the key that the options give.
    fn key(&self, out: &Output) -> Result<Option<(String, Secret)>> {
        let given = self.access_key_id.as_ref().zip(self.secret_access_key.as_ref());
        given
            .map(|(id, secret)| Ok((id.clone(), secrets::resolve(secret, "--secret-access-key", out)?)))
            .transpose()
    }

    /// Returns how the owner opens buckets: with the key of the options, or that of the environment. `amazon` says whether
    /// the region and the endpoint of all services are Amazon's.
    pub(crate) fn stores(&self, amazon: bool, out: &Output) -> Result<StoreOptions> {
        let mut options = StoreOptions::from_env()?;
        if let Some((id, secret)) = self.key(out)? {
            options = options.with_credentials(id, secret);
            options.session_token = None;
        }
        let s3 = clouds::bucket_endpoint(&self.endpoint, amazon).map(str::to_owned);
        options.endpoint = s3.or(options.endpoint);
        options.region = self.region.clone().filter(|_| amazon).or(options.region);
        Ok(options)
    }

    /// Refuses a key of AWS at a cloud that takes a token.
    pub(crate) fn without_key(&self, provider: Provider) -> Result<()> {
        match self.access_key_id.as_ref().and(provider.token_variable()) {
            None => Ok(()),
            Some(_) => {
                let message = format!("--access-key-id means nothing to {}", provider.description());
                Err(Error::new(&codes::USAGE, message))
            }
        }
    }

    /// Returns whether any of the options is given.
    pub(crate) fn is_given(&self) -> bool {
        self.region.is_some() || self.access_key_id.is_some() || !self.endpoint.is_empty()
    }
}
