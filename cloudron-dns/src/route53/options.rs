//! Where and as whom Route 53 is spoken to.

use cloudron_core::retry::RetryPolicy;
use cloudron_core::{Error, Result, Secret};

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
    /// How often and how long a request that was refused for a passing reason is repeated.
    pub retry: RetryPolicy,
}

impl Route53Options {
    /// What the variables that Amazon's own tools read say: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`, `AWS_REGION` or `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_ROUTE_53` or
    /// `AWS_ENDPOINT_URL`. What is not set stays empty.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    }

    fn from_variables(var: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            endpoint: var("AWS_ENDPOINT_URL_ROUTE_53").or_else(|| var("AWS_ENDPOINT_URL")),
            region: var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")),
            access_key_id: var("AWS_ACCESS_KEY_ID"),
            secret_access_key: var("AWS_SECRET_ACCESS_KEY").map(Secret::new),
            session_token: var("AWS_SESSION_TOKEN").map(Secret::new),
            ..Self::default()
        }
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
    fn the_usual_variables_are_read_and_no_secret_is_shown() {
        let options = Route53Options::from_variables(|name| match name {
            "AWS_ACCESS_KEY_ID" => Some("id".into()),
            "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => Some("canary".into()),
            "AWS_DEFAULT_REGION" => Some("eu-north-1".into()),
            "AWS_ENDPOINT_URL" => Some("http://all".into()),
            "AWS_ENDPOINT_URL_ROUTE_53" => Some("http://r53".into()),
            _ => None,
        });
        assert_eq!(options.endpoint.as_deref(), Some("http://r53"));
        assert_eq!(options.region.as_deref(), Some("eu-north-1"));
        assert_eq!(options.key().unwrap().0, "id");
        assert!(!format!("{options:?}").contains("canary"), "{options:?}");
        let none = Route53Options::from_variables(|_| None);
        assert!(none.key().unwrap_err().is(&codes::CREDENTIALS));
    }
}
