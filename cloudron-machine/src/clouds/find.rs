//! An account as a user gives it, completed from the environment.

use std::sync::Arc;

use cloudron_core::{Error, Result, Secret, codes as core_codes};
use cloudron_http::{AwsEnvironment, HttpTransport};
use cloudron_provision::cloud::codes;

use super::{Account, Credentials, Provider};

/// What a user gives of an account. What is missing is found in the environment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Given {
    /// The token. Otherwise, that in the variable that [`Provider::token_variable`] names.
    pub token: Option<Secret>,
    /// The ID of an access key, and its secret. Otherwise, those that Amazon's own tools find.
    pub key: Option<(String, Secret)>,
    /// The region. For a cloud that needs one, otherwise that of Amazon's own tools.
    pub region: Option<String>,
    /// The addresses of services, as for [`Account::at`].
    pub endpoints: Vec<String>,
}

impl Account {
    /// Returns the account that a user gives. Nothing is sent.
    ///
    /// # Errors
    /// `cloud-credentials`, with the detail `variable` or `keys`, if there are none; `usage`, with the detail `region`, if a
    /// region is missing, for a token where the cloud takes keys, and for an address that is none.
    pub fn find(provider: Provider, given: Given, transport: Arc<dyn HttpTransport>) -> Result<Self> {
        let credentials = match provider.token_variable() {
            Some(variable) => Credentials::Token(token(provider, given.token, variable)?),
            None if given.token.is_some() => {
                let message = format!("a token means nothing to {}", provider.description());
                return Err(Error::new(&core_codes::USAGE, message));
            }
            None => keys(provider, given.key)?,
        };
        let mut account = Self::new(provider, credentials, transport);
        if let Some(region) = region(provider, given.region)? {
            account = account.in_region(region);
        }
        given.endpoints.iter().try_fold(account, |account, endpoint| account.at(endpoint))
    }
}

fn token(provider: Provider, given: Option<Secret>, variable: &str) -> Result<Secret> {
    let found = || std::env::var(variable).ok().filter(|token| !token.trim().is_empty());
    given.or_else(|| found().map(|token| Secret::new(token.trim()))).ok_or_else(|| {
        let message = format!("there is no token of {}", provider.description());
        Error::new(&codes::CREDENTIALS, message).with_detail("variable", variable)
    })
}

fn keys(provider: Provider, given: Option<(String, Secret)>) -> Result<Credentials> {
    if let Some((access_key_id, secret_access_key)) = given {
        return Ok(Credentials::Keys { access_key_id, secret_access_key, session_token: None });
    }
    let found = AwsEnvironment::of("EC2")?;
    let (Some(access_key_id), Some(secret_access_key)) = (found.access_key_id, found.secret_access_key)
    else {
        let message = format!("there are no credentials of {}", provider.description());
        return Err(Error::new(&codes::CREDENTIALS, message).with_detail("keys", provider.id()));
    };
    Ok(Credentials::Keys { access_key_id, secret_access_key, session_token: found.session_token })
}

fn region(provider: Provider, given: Option<String>) -> Result<Option<String>> {
    if given.is_some() || !provider.is_regional() {
        return Ok(given);
    }
    match AwsEnvironment::of("EC2")?.region {
        Some(region) => Ok(Some(region)),
        None => {
            let message = format!("{} needs a region", provider.description());
            Err(Error::new(&core_codes::USAGE, message).with_detail("region", provider.id()))
        }
    }
}
