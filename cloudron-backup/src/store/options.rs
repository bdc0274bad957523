//! What opening a store takes besides its address.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cloudron_core::{Error, Result, RetryPolicy, Secret};

use crate::codes;

/// What opening a store takes besides its address. Only object stores (`s3://…`) use any of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The address of a service other than Amazon's, such as `https://s3.example.com`.
    pub endpoint: Option<String>,
    /// The region of the bucket. Amazon's `us-east-1` when left out.
    pub region: Option<String>,
    /// Who asks.
    pub access_key_id: Option<String>,
    /// The secret that belongs to it.
    pub secret_access_key: Option<Secret>,
    /// The token that belongs to credentials that are valid for a while only.
    pub session_token: Option<Secret>,
    /// Whether the bucket is in the path of an address rather than in its host name. By default, it is for
    /// a service other than Amazon's.
    pub path_style: Option<bool>,
    /// The class that packs are stored in, such as `STANDARD_IA`. Other objects, small and often read, stay in
    /// the standard class.
    pub storage_class: Option<String>,
    /// How the service encrypts objects at rest, on top of the repository's own encryption.
    pub server_side_encryption: Option<ServerSideEncryption>,
    /// How an object is written only if there is none of its key.
    pub conditional_writes: ConditionalWrites,
    /// How fast archived objects are asked for: `Expedited`, `Standard` or `Bulk`, the cheapest. The
    /// service's default when left out.
    pub thaw_tier: Option<String>,
    /// A file of certificates in PEM that are trusted besides those of the system: authorities, or the certificate
    /// that the service signed itself.
    pub ca_file: Option<PathBuf>,
    /// Likewise, the certificates themselves in PEM.
    pub ca_pem: Option<String>,
    /// The longest time for one request, its answer read.
    pub timeout: Duration,
    /// How often and how long a request is repeated that failed for a passing reason.
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

/// How a service encrypts objects at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerSideEncryption {
    /// With keys of the service's own: `AES256`.
    Aes256,
    /// With a key of its key management service: `aws:kms`, or `aws:kms:` and the key's id or ARN.
    Kms {
        /// The key. The account's default key when left out.
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

/// How an object is written only if there is none of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ConditionalWrites {
    /// By the service, with `If-None-Match: *`. One that cannot is refused.
    #[default]
    Native,
    /// By looking first. Of two writers at the same moment both may then think that they wrote the object, so
    /// only one machine at a time may use the repository.
    LookFirst,
}

impl StoreOptions {
    /// What Amazon's own tools read: see [`AwsEnvironment::of`](cloudron_http::AwsEnvironment::of), with `AWS_ENDPOINT_URL_S3`. What is nowhere stays empty.
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
