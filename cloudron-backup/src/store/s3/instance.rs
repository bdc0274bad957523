//! The credentials of an instance at EC2 as the S3 client asks for them.

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_s3::config::{Credentials, ProvideCredentials};
use cloudron_core::Result;
use cloudron_http::InstanceMetadata;

/// Asks the metadata service of the instance, for each request anew: it keeps what it has.
#[derive(Debug)]
pub(super) struct Instance(InstanceMetadata);

impl Instance {
    pub(super) fn from_env() -> Result<Self> {
        InstanceMetadata::from_env().map(Self)
    }
}

impl ProvideCredentials for Instance {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.0.credentials().await.map_err(CredentialsError::provider_error)?;
            let (secret, token) = (found.secret_access_key.expose(), found.session_token.expose());
            let (token, expires) = (Some(token.to_owned()), Some(found.expires));
            Ok(Credentials::new(found.access_key_id, secret, token, expires, "instance"))
        })
    }
}
