//! Options for opening a store.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cloudron_core::{Error, Result, RetryPolicy, Secret};

use crate::codes;

/// Options for opening a store. Only object stores (`s3://…`) use them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The address of a service other than Amazon's, such as `https://s3.example.com`.
    pub endpoint: Option<String>,
    /// The region of the bucket. Default: Amazon's `us-east-1`.
    pub region: Option<String>,
    /// The access key id.
    pub access_key_id: Option<String>,
    /// The secret access key.
    pub secret_access_key: Option<Secret>,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// True if the credentials are those of the role of the EC2 instance that this program runs on. Keys mean nothing then.
    pub of_instance: bool,
    /// True if the bucket is in the path of a URL rather than in its host name. Default: true for services
    /// other than Amazon's.
    pub path_style: Option<bool>,
    /// The storage class of packs, such as `STANDARD_IA`. Other objects are small and often read, and stay in
    /// the standard class.
    pub storage_class: Option<String>,
    /// The service's encryption of objects at rest, on top of the repository's own encryption.
    pub server_side_encryption: Option<ServerSideEncryption>,
    /// The method of writing an object only if its key does not exist.
    pub conditional_writes: ConditionalWrites,
    /// The retrieval tier for archived objects: `Expedited`, `Standard` or `Bulk`, the cheapest. Default:
    /// that of the service.
    pub thaw_tier: Option<String>,
    /// A PEM file of certificates trusted in addition to those of the system: authorities, or the self-signed
    /// certificate of the service.
    pub ca_file: Option<PathBuf>,
    /// PEM text of certificates trusted in addition to those of the system.
    pub ca_pem: Option<String>,
    /// The maximum duration of one request, including reading its response.
    pub timeout: Duration,
    /// The policy for retrying requests after transient failures.
    pub retry: RetryPolicy,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            of_instance: false,
            path_style: None,
            storage_class: None,
            server_side_encryption: None,
            conditional_writes: ConditionalWrites::default(),
            thaw_tier: None,
            ca_file: None,
            ca_pem: None,
            timeout: Duration::from_secs(300),
            retry: RetryPolicy::attempts(8).within(Duration::from_secs(300)),
        }
    }
}

/// Encryption of objects at rest by the service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerSideEncryption {
    /// With keys of the service: `AES256`.
    Aes256,
    /// With a key of the service's key management: `aws:kms`, or `aws:kms:` and the key's id or ARN.
    Kms {
        /// The key. Default: the account's default key.
        key: Option<String>,
    },
}

impl FromStr for ServerSideEncryption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "AES256" => Ok(Self::Aes256),
            "aws:kms" => Ok(Self::Kms { key: None }),
            _ => match text.strip_prefix("aws:kms:") {
                Some(key) if !key.is_empty() => Ok(Self::Kms { key: Some(key.to_owned()) }),
                _ => Err(Error::new(
                    &codes::STORE_OPTION,
                    format!("{text:?} is no server-side encryption: AES256, aws:kms or aws:kms:KEY"),
                )),
            },
        }
    }
}

impl fmt::Display for ServerSideEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aes256 => f.write_str("AES256"),
            Self::Kms { key: None } => f.write_str("aws:kms"),
            Self::Kms { key: Some(key) } => write!(f, "aws:kms:{key}"),
        }
    }
}

/// The method of writing an object only if its key does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ConditionalWrites {
    /// By the service, with `If-None-Match: *`. A service without support is refused.
    #[default]
    Native,
    /// By checking first. Two concurrent writers may then both believe that they wrote the object, so only
    /// one machine at a time may use the repository.
    LookFirst,
}

impl StoreOptions {
    /// Returns the same options with these credentials.
    pub fn with_credentials(mut self, id: impl Into<String>, secret: Secret) -> Self {
        (self.access_key_id, self.secret_access_key) = (Some(id.into()), Some(secret));
        self
    }

    /// Returns the same options with the credentials of the role of the EC2 instance that this program runs on.
    pub fn of_instance(mut self) -> Self {
        self.of_instance = true;
        self
    }

    /// Returns the same options for a bucket in that region, and at that address of a service other than Amazon's.
    pub fn at(mut self, region: Option<String>, endpoint: Option<String>) -> Self {
        (self.region, self.endpoint) = (region, endpoint);
        self
    }

    /// Returns the same options, trusting these certificates in PEM besides those of the system.
    pub fn trusting(mut self, ca_pem: Option<String>) -> Self {
        self.ca_pem = ca_pem;
        self
    }

    /// Returns the certificates in PEM that are trusted besides those of the system, for another computer that uses the
    /// same service: of `ca_file`, `SSL_CERT_FILE` and `SSL_CERT_DIR`. `None` for Amazon's own service, which needs none.
    ///
    /// # Errors
    /// Those of reading the files.
    #[cfg(feature = "s3")]
    pub fn named_ca(&self) -> Result<Option<String>> {
        match &self.endpoint {
            Some(_) => cloudron_http::named_certificates(self.ca_file.as_deref()),
            None => Ok(None),
        }
    }

    /// Reads the settings of Amazon's own tools: see
    /// [`AwsEnvironment::of`](cloudron_http::AwsEnvironment::of), with `AWS_ENDPOINT_URL_S3`. Unset values
    /// are `None`.
    ///
    /// # Errors
    /// `aws-profile` when `AWS_PROFILE` names no profile; when the file cannot be read.
    #[cfg(feature = "s3")]
    pub fn from_env() -> Result<Self> {
        let found = cloudron_http::AwsEnvironment::of("S3")?;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_at_rest_is_written_as_the_service_writes_it() {
        for text in ["AES256", "aws:kms", "aws:kms:arn:aws:kms:eu-west-1:1:key/2"] {
            assert_eq!(text.parse::<ServerSideEncryption>().unwrap().to_string(), text);
        }
        assert!("aes".parse::<ServerSideEncryption>().is_err());
        assert!("aws:kms:".parse::<ServerSideEncryption>().is_err());
    }
}
