//! AWS settings: endpoint, region and credentials, read from the same places as by Amazon's own tools.

use std::path::{Path, PathBuf};

use cloudron_core::Secret;
use zeroize::Zeroizing;

use crate::{Error, Result, codes};

/// AWS settings for one service, from environment variables and the shared credentials file. Unset values are `None`.
/// `Debug` redacts secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwsEnvironment {
    /// Endpoint URL, if it is not Amazon's own.
    pub endpoint: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// AWS access key ID.
    pub access_key_id: Option<String>,
    /// AWS secret access key.
    pub secret_access_key: Option<Secret>,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// A file of certificates in PEM to trust.
    pub ca_bundle: Option<PathBuf>,
}

impl AwsEnvironment {
    /// Reads the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` or
    /// `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_<service>` or `AWS_ENDPOINT_URL`, and `AWS_CA_BUNDLE`. If they
    /// contain no key, reads the profile named by `AWS_PROFILE` (or `default`) in `~/.aws/credentials` or the
    /// file named by `AWS_SHARED_CREDENTIALS_FILE`.
    ///
    /// # Errors
    /// `aws-profile` if `AWS_PROFILE` names a profile that does not exist; an error of [`Error::io`] if the file cannot
    /// be read.
    pub fn of(service: &str) -> Result<Self> {
        Self::from_variables(service, &|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    }

    /// Reads the settings from the given variables instead of those of this process.
    ///
    /// # Errors
    /// Same as [`of`](Self::of).
    pub fn from_variables(service: &str, var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut found = Self {
            endpoint: var(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| var("AWS_ENDPOINT_URL")),
            region: var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")),
            access_key_id: var("AWS_ACCESS_KEY_ID"),
            secret_access_key: var("AWS_SECRET_ACCESS_KEY").map(Secret::new),
            session_token: var("AWS_SESSION_TOKEN").map(Secret::new),
            ca_bundle: var("AWS_CA_BUNDLE").map(PathBuf::from),
        };
        if found.access_key_id.is_none() {
            let named = var("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
            let file = named.or_else(|| var("HOME").map(|home| Path::new(&home).join(".aws/credentials")));
            if let Some(file) = file {
                found.add_profile(&file, var("AWS_PROFILE").as_deref())?;
            }
        }
        Ok(found)
    }

    fn add_profile(&mut self, file: &Path, profile: Option<&str>) -> Result<()> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => Zeroizing::new(text),
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
                Err(Error::new(&codes::AWS_PROFILE, text))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<AwsEnvironment> {
        let var = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        AwsEnvironment::from_variables("S3", &var)
    }

    #[test]
    fn the_usual_variables_are_read_and_the_specific_one_comes_first() {
        let found = from(&[
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
            ("AWS_SESSION_TOKEN", "canary-token"),
            ("AWS_DEFAULT_REGION", "eu-north-1"),
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_CA_BUNDLE", "/ca.pem"),
            ("AWS_ENDPOINT_URL_S3", "http://s3"),
        ])
        .unwrap();
        assert_eq!(found.endpoint.as_deref(), Some("http://s3"));
        assert_eq!(found.region.as_deref(), Some("eu-north-1"));
        assert_eq!(found.ca_bundle.as_deref(), Some(Path::new("/ca.pem")));
        assert_eq!(found.access_key_id.as_deref(), Some("id"));
        assert_eq!(found.secret_access_key, Some(Secret::new("canary-secret")));
        assert_eq!(found.session_token, Some(Secret::new("canary-token")));
        assert!(!format!("{found:?}").contains("canary"), "{found:?}");
    }

    #[test]
    fn a_profile_is_read_when_the_environment_has_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        let text = "[default]\naws_access_key_id = d\n# [work]\n[ work ]\naws_access_key_id=w\n\
                    aws_secret_access_key = a=b\nregion = eu-west-3\n";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let found = from(&[("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "work")]).unwrap();
        assert_eq!(found.access_key_id.as_deref(), Some("w"));
        assert_eq!(found.secret_access_key, Some(Secret::new("a=b")));
        assert_eq!(found.region.as_deref(), Some("eu-west-3"));
        let found = from(&[("AWS_SHARED_CREDENTIALS_FILE", file)]).unwrap();
        assert_eq!(found.access_key_id.as_deref(), Some("d"));
        let missing = from(&[("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "none")]);
        assert!(missing.unwrap_err().is(&codes::AWS_PROFILE));
    }

    #[test]
    fn nothing_set_is_no_error() {
        assert_eq!(from(&[("HOME", "/nowhere")]).unwrap(), AwsEnvironment::default());
    }
}
