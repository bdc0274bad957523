//! An account at a cloud, from options and the environment.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use cloudron_backup::StoreOptions;
use cloudron_core::{Error, Result, Secret, codes};
use cloudron_http::{HttpOptions, ReqwestTransport};
use cloudron_machine::Manager;
use cloudron_machine::clouds::{self, Credentials, Provider};
use cloudron_provision::cloud::codes as cloud;

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
        let given = token.is_some() || ca_file.is_some() || place.is_given();
        if !given {
            return Ok(());
        }
        let message = "an account at a cloud means nothing without the name of the cloud";
        Err(Error::new(&codes::USAGE, message).with_hint("add --provider with the name of the cloud"))
    }

    /// Returns the manager of machines with this account.
    pub(crate) fn manager(&self, provider: Provider, out: &Output) -> Result<Manager> {
        if provider.token_variable().is_some() {
            self.place.without_key(provider)?;
        }
        let account = self.place.account(provider, self.token.as_deref(), self.ca_file.clone(), out)?;
        Ok(manager(out)?.with_account(account))
    }
}

impl Place {
    /// Returns the account at a cloud. Sends nothing.
    ///
    /// # Errors
    /// `usage` for credentials of another kind than the cloud's, and a region that is missing; `cloud-credentials` if
    /// there are none.
    pub(crate) fn account(
        &self,
        provider: Provider,
        token: Option<&str>,
        ca_file: Option<PathBuf>,
        out: &Output,
    ) -> Result<clouds::Account> {
        let credentials = match provider.token_variable() {
            Some(variable) => Credentials::Token(given_token(token, variable, provider, out)?),
            None if token.is_some() => return foreign("--token", provider),
            None => self.keys(out)?,
        };
        let transport = ReqwestTransport::new(HttpOptions::from_env()?.with_ca_file(ca_file))?;
        let mut account = clouds::Account::new(provider, credentials, Arc::new(transport));
        if let Some(region) = self.region(provider)? {
            account = account.in_region(region);
        }
        self.endpoint.iter().try_fold(account, |account, endpoint| account.at(endpoint))
    }

    /// Returns the region that was given; for a cloud that needs one, also that of the environment.
    fn region(&self, provider: Provider) -> Result<Option<String>> {
        if self.region.is_some() || !provider.is_regional() {
            return Ok(self.region.clone());
        }
        let message = format!("{} needs a region", provider.description());
        let region = StoreOptions::from_env()?.region;
        region.map(Some).ok_or_else(|| {
            Error::new(&codes::USAGE, message).with_hint("give it with --region, or set AWS_REGION")
        })
    }

    /// Returns the key that the options give.
    pub(crate) fn key(&self, out: &Output) -> Result<Option<(String, Secret)>> {
        let given = self.access_key_id.as_ref().zip(self.secret_access_key.as_ref());
        let key =
            given.map(|(id, secret)| Ok((id.clone(), secrets::resolve(secret, "--secret-access-key", out)?)));
        key.transpose()
    }

    /// Returns the key of the options, or of the environment.
    fn keys(&self, out: &Output) -> Result<Credentials> {
        if let Some((access_key_id, secret_access_key)) = self.key(out)? {
            return Ok(Credentials::Keys { access_key_id, secret_access_key, session_token: None });
        }
        let StoreOptions { access_key_id, secret_access_key, session_token, .. } = StoreOptions::from_env()?;
        let keys = access_key_id.zip(secret_access_key).map(|(access_key_id, secret_access_key)| {
            Credentials::Keys { access_key_id, secret_access_key, session_token }
        });
        keys.ok_or_else(|| {
            Error::new(&cloud::CREDENTIALS, "there are no credentials of AWS").with_hint(
                "give --access-key-id ID and --secret-access-key file:PATH, or set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            )
        })
    }

    /// Returns whether any of the options is given.
    pub(crate) fn is_given(&self) -> bool {
        self.region.is_some() || self.access_key_id.is_some() || !self.endpoint.is_empty()
    }

    /// The secrets that may be read from standard input.
    pub(crate) fn secret(&self) -> Option<&String> {
        self.secret_access_key.as_ref()
    }
}

impl Place {
    /// Refuses a key of AWS.
    pub(crate) fn without_key(&self, provider: Provider) -> Result<()> {
        match self.access_key_id {
            None => Ok(()),
            Some(_) => foreign("--access-key-id", provider).map(drop),
        }
    }
}

fn foreign(option: &str, provider: Provider) -> Result<clouds::Account> {
    Err(Error::new(&codes::USAGE, format!("{option} means nothing to {}", provider.description())))
}

fn given_token(token: Option<&str>, variable: &str, provider: Provider, out: &Output) -> Result<Secret> {
    if let Some(reference) = token {
        return secrets::resolve(reference, "--token", out);
    }
    let token = std::env::var(variable).ok().filter(|token| !token.trim().is_empty());
    token.map(|token| Secret::new(token.trim())).ok_or_else(|| {
        let message = format!("there is no token of {}", provider.description());
        Error::new(&cloud::CREDENTIALS, message)
            .with_hint(format!("set {variable}, or give --token as file:PATH, env:NAME, cmd:PROGRAM or -"))
    })
}
