//! Connection options for Route 53: credentials, region and zone.

use std::path::PathBuf;

use cloudron_core::retry::RetryPolicy;
use cloudron_core::{Error, Result, Secret};
use cloudron_http::AwsEnvironment;

use crate::{Name, codes};

/// Connection options for Route 53: credentials, region and zone. `Debug` redacts secrets.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Route53Options {
    /// Endpoint URL, if it is not Amazon's own, such as `http://127.0.0.1:5000`.
    pub endpoint: Option<String>,
    /// The region for signing; `us-east-1` by default, which is correct outside China.
    pub region: Option<String>,
    /// AWS access key ID.
    pub access_key_id: Option<String>,
    /// AWS secret access key.
    pub secret_access_key: Option<Secret>,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// ID of the hosted zone, such as `Z0123456789ABC`. Zones are then not searched.
    pub zone_id: Option<String>,
    /// Name of the hosted zone with the ID `zone_id`. With both, no request is made to find the zone.
    pub zone_name: Option<Name>,
    /// File of PEM certificates that are trusted in addition to the system's. Ignored if a transport is given.
    pub ca_file: Option<PathBuf>,
    /// Retry policy for requests that were refused for a transient reason.
    pub retry: RetryPolicy,
}

impl Route53Options {
    /// Reads the settings from the same places as Amazon's own tools: see [`AwsEnvironment::of`], with
    /// `AWS_ENDPOINT_URL_ROUTE_53`. Unset values are `None`.
    ///
    /// # Errors
    /// `aws-profile` if `AWS_PROFILE` names a profile that does not exist; an error if the file cannot be read.
    pub fn from_env() -> Result<Self> {
        let found = AwsEnvironment::of("ROUTE_53")?;
        Ok(Self {
            endpoint: found.endpoint,
            region: found.region,
            access_key_id: found.access_key_id,
            secret_access_key: found.secret_access_key,
            session_token: found.session_token,
            ca_file: found.ca_bundle,
            ..Self::default()
        })
    }

    /// Returns the access key ID and its secret.
    pub(super) fn key(&self) -> Result<(&str, &Secret)> {
        let (Some(id), Some(secret)) = (&self.access_key_id, &self.secret_access_key) else {
            let text = "there are no credentials for Route 53: an access key id and its secret are needed";
            return Err(Error::new(&codes::CREDENTIALS, text)
                .with_hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
        };
        Ok((id, secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown_and_without_a_key_it_says_what_to_set() {
        let secret = Some(Secret::new("canary"));
        let options = Route53Options {
            access_key_id: Some("id".into()),
            secret_access_key: secret.clone(),
            session_token: secret,
            ..Route53Options::default()
        };
        assert_eq!(options.key().unwrap().0, "id");
        assert!(!format!("{options:?}").contains("canary"), "{options:?}");
        let none = Route53Options::default();
        assert!(none.key().unwrap_err().is(&codes::CREDENTIALS));
    }
}
