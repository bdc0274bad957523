//! What opening a store takes besides its address.

use std::fmt;
use std::path::{Path, PathBuf};
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
    /// What the variables that Amazon's own tools read say: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`, `AWS_REGION` or `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_S3` or
    /// `AWS_ENDPOINT_URL`. Without a key there, the profile named by `AWS_PROFILE` (or `default`) in
    /// `~/.aws/credentials` or the file named by `AWS_SHARED_CREDENTIALS_FILE`. What is nowhere stays empty.
    ///
    /// # Errors
    /// `store-option` when `AWS_PROFILE` names no profile; when the file cannot be read.
    pub fn from_env() -> Result<Self> {
        let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        Self::from_variables(&var)
    }

    fn from_variables(var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut options = Self {
            endpoint: var("AWS_ENDPOINT_URL_S3").or_else(|| var("AWS_ENDPOINT_URL")),
            region: var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")),
            access_key_id: var("AWS_ACCESS_KEY_ID"),
            secret_access_key: var("AWS_SECRET_ACCESS_KEY").map(Secret::new),
            session_token: var("AWS_SESSION_TOKEN").map(Secret::new),
            ..Self::default()
        };
        if options.access_key_id.is_none() {
            let named = var("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
            let file = named.or_else(|| var("HOME").map(|home| Path::new(&home).join(".aws/credentials")));
            if let Some(file) = file {
                options.add_profile(&file, var("AWS_PROFILE").as_deref())?;
            }
        }
        Ok(options)
    }

    fn add_profile(&mut self, file: &Path, profile: Option<&str>) -> Result<()> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => zeroize::Zeroizing::new(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && profile.is_none() => return Ok(()),
            Err(e) => return Err(Error::io(file, e)),
        };
        let mut found = false;
        let mut inside = false;
        for line in text.lines().map(str::trim).filter(|l| !l.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                inside = name.trim() == profile.unwrap_or("default");
                found |= inside;
            } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
                let value = value.trim();
                match key.trim() {
                    "aws_access_key_id" => self.access_key_id = Some(value.to_owned()),
                    "aws_secret_access_key" => self.secret_access_key = Some(Secret::new(value)),
                    "aws_session_token" => self.session_token = Some(Secret::new(value)),
                    "region" => _ = self.region.get_or_insert_with(|| value.to_owned()),
                    _ => {}
                }
            }
        }
        match profile {
            Some(name) if !found => {
                let text = format!("{} has no profile [{name}], which AWS_PROFILE names", file.display());
                Err(Error::new(&codes::STORE_OPTION, text))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<StoreOptions> {
        let var = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        StoreOptions::from_variables(&var)
    }

    #[test]
    fn the_usual_variables_are_read_and_the_specific_one_comes_first() {
        let options = from(&[
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
            ("AWS_SESSION_TOKEN", "canary-token"),
            ("AWS_DEFAULT_REGION", "eu-north-1"),
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_S3", "http://s3"),
        ])
        .unwrap();
        assert_eq!(options.endpoint.as_deref(), Some("http://s3"));
        assert_eq!(options.region.as_deref(), Some("eu-north-1"));
        assert_eq!(options.secret_access_key, Some(Secret::new("canary-secret")));
        assert!(!format!("{options:?}").contains("canary"), "{options:?}");
    }

    #[test]
    fn a_profile_is_read_when_the_environment_has_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        let text = "[default]\naws_access_key_id = d\n# [work]\n[ work ]\naws_access_key_id=w\n\
                    aws_secret_access_key = a=b\nregion = eu-west-3\n";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let options = from(&[("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "work")]).unwrap();
        assert_eq!(options.access_key_id.as_deref(), Some("w"));
        assert_eq!(options.secret_access_key, Some(Secret::new("a=b")));
        assert_eq!(options.region.as_deref(), Some("eu-west-3"));
        let options = from(&[("AWS_SHARED_CREDENTIALS_FILE", file)]).unwrap();
        assert_eq!(options.access_key_id.as_deref(), Some("d"));
        let missing = from(&[("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "none")]);
        assert!(missing.unwrap_err().is(&codes::STORE_OPTION));
    }

    #[test]
    fn nothing_set_is_no_error() {
        assert_eq!(from(&[("HOME", "/nowhere")]).unwrap(), StoreOptions::default());
    }

    #[test]
    fn encryption_at_rest_is_written_as_the_service_writes_it() {
        for text in ["AES256", "aws:kms", "aws:kms:arn:aws:kms:eu-west-1:1:key/2"] {
            assert_eq!(text.parse::<ServerSideEncryption>().unwrap().to_string(), text);
        }
        assert!("aes".parse::<ServerSideEncryption>().is_err());
        assert!("aws:kms:".parse::<ServerSideEncryption>().is_err());
    }
}
