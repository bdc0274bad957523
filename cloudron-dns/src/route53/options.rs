//! Where and as whom Route 53 is spoken to.

use std::path::PathBuf;

use cloudron_core::retry::RetryPolicy;
use cloudron_core::{Error, Result, Secret};
use cloudron_http::AwsEnvironment;

use crate::{Name, codes};

/// Where and as whom Route 53 is spoken to. `Debug` shows no secret.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Route53Options {
    /// Another address than Amazon's own, such as `http://127.0.0.1:5000`.
    pub endpoint: Option<String>,
    /// The region that requests are signed for; `us-east-1` when left out, which is right outside of China.
    pub region: Option<String>,
    /// The id of the access key.
    pub access_key_id: Option<String>,
    /// The access key's secret.
    pub secret_access_key: Option<Secret>,
    /// The token of temporary credentials.
    pub session_token: Option<Secret>,
    /// The id of the hosted zone, such as `Z0123456789ABC`. Zones are then not looked for.
    pub zone_id: Option<String>,
    /// The name of the hosted zone that `zone_id` names. With both, no request is made to find the zone.
    pub zone_name: Option<Name>,
    /// A file of certificates in PEM that are trusted besides those of the system. Only where no transport is handed in.
    pub ca_file: Option<PathBuf>,
    /// How often and how long a request that was refused for a passing reason is repeated.
    pub retry: RetryPolicy,
}

impl Route53Options {
    /// What Amazon's own tools read: see [`AwsEnvironment::of`], with `AWS_ENDPOINT_URL_ROUTE_53`. What is nowhere stays
    /// empty.
    ///
    /// # Errors
    /// `aws-profile` when `AWS_PROFILE` names no profile; when the file cannot be read.
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

    /// The key's id and its secret.
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
