//! AWS settings: endpoint, region and credentials, read from the same places as by Amazon's own tools.

use std::path::{Path, PathBuf};

use cloudron_core::Secret;
use zeroize::Zeroizing;

use crate::{Error, Result, codes};

/// AWS settings for one service, from environment variables and the profile in both of Amazon's files. Unset values are
/// `None`.
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
    /// The command line of the profile that prints credentials, if there is no key.
    pub credential_process: Option<String>,
    /// The setting of the profile that leads to credentials in another way, such as `sso_session` or `role_arn`, if there
    /// is neither a key nor a command line.
    pub other_source: Option<&'static str>,
}

/// The settings of a profile that lead to credentials in other ways.
const OTHER_SOURCES: [&str; 5] =
    ["sso_session", "sso_start_url", "role_arn", "web_identity_token_file", "credential_source"];

impl AwsEnvironment {
    /// Reads the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` or
    /// `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_<service>` or `AWS_ENDPOINT_URL`, and `AWS_CA_BUNDLE`. What they do not
    /// contain is read from the profile named by `AWS_PROFILE` (or `default`): in `~/.aws/credentials` or the file named
    /// by `AWS_SHARED_CREDENTIALS_FILE`, and then in `~/.aws/config` or the file named by `AWS_CONFIG_FILE`. A key and its
    /// secret always come from the same place.
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
            credential_process: None,
            other_source: None,
        };
        let (key, region) = (found.access_key_id.is_some(), found.region.is_some());
        if key && region {
            return Ok(found);
        }
        let file = |variable: &str, usual: &str| {
            let named = var(variable).map(PathBuf::from);
            named.or_else(|| var("HOME").map(|home| Path::new(&home).join(usual)))
        };
        let profile = var("AWS_PROFILE");
        let name = profile.as_deref().unwrap_or("default");
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let config = file("AWS_CONFIG_FILE", ".aws/config");
        let in_config = if name == "default" { name.to_owned() } else { format!("profile {name}") };
        let mut known = false;
        if !key && let Some(file) = &credentials {
            known |= found.add_profile(file, name)?;
        }
        if let Some(file) = &config {
            known |= found.add_profile(file, &in_config)?;
        }
        match (profile, credentials.or(config)) {
            (Some(name), Some(file)) if !known && !key => {
                let text = format!("{} has no profile [{name}], which AWS_PROFILE names", file.display());
                Err(Error::new(&codes::AWS_PROFILE, text))
            }
            _ => Ok(found),
        }
    }

    /// Adds what is missing from a section of a file. Returns whether there is such a section.
    fn add_profile(&mut self, file: &Path, section: &str) -> Result<bool> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => Zeroizing::new(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(Error::io(file, e)),
        };
        let keyless = self.access_key_id.is_none();
        let (mut found, mut inside) = (false, false);
        for line in text.lines().map(str::trim).filter(|l| !l.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                inside = name.split_whitespace().eq(section.split_whitespace());
                found |= inside;
            } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
                let value = value.trim();
                match key.trim() {
                    "aws_access_key_id" if keyless => self.access_key_id = Some(value.to_owned()),
                    "aws_secret_access_key" if keyless => self.secret_access_key = Some(Secret::new(value)),
                    "aws_session_token" if keyless => self.session_token = Some(Secret::new(value)),
                    "credential_process" if keyless => self.credential_process = Some(value.to_owned()),
                    "region" => _ = self.region.get_or_insert_with(|| value.to_owned()),
                    other if keyless => {
                        let source = OTHER_SOURCES.iter().find(|known| **known == other).copied();
                        self.other_source = self.other_source.or(source);
                    }
                    _ => {}
                }
            }
        }
        if self.access_key_id.is_some() {
            self.credential_process = None;
        }
        if self.access_key_id.is_some() || self.credential_process.is_some() {
            self.other_source = None;
        }
        Ok(found)
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
    fn both_files_are_read_and_a_key_is_never_put_together_from_two() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name).to_str().unwrap().to_owned()
        };
        let credentials = write("credentials", "[work]\naws_access_key_id = c\naws_secret_access_key = cs\n");
        let config = write(
            "config",
            "[default]\nregion = us-west-2\n[profile work]\nregion = eu-west-1\naws_access_key_id = k\n\
             aws_session_token = t\ncredential_process = x\n[profile  tool]\ncredential_process = /bin/x --json\n\
             sso_session = s\n[profile sso]\nsso_session = s\n[tool]\nregion = wrong\n",
        );
        let with = |pairs: &[(&str, &str)]| {
            let files = [("AWS_SHARED_CREDENTIALS_FILE", &*credentials), ("AWS_CONFIG_FILE", &*config)];
            from(&[&files[..], pairs].concat())
        };
        let work = with(&[("AWS_PROFILE", "work")]).unwrap();
        assert_eq!((work.access_key_id.as_deref(), work.region.as_deref()), (Some("c"), Some("eu-west-1")));
        assert_eq!((work.session_token, work.credential_process), (None, None));
        let tool = with(&[("AWS_PROFILE", "tool")]).unwrap();
        assert_eq!(tool.credential_process.as_deref(), Some("/bin/x --json"));
        assert_eq!((tool.region, tool.other_source), (None, None));
        assert_eq!(with(&[("AWS_PROFILE", "sso")]).unwrap().other_source, Some("sso_session"));
        assert!(with(&[("AWS_PROFILE", "none")]).unwrap_err().is(&codes::AWS_PROFILE));
        let both = with(&[("AWS_ACCESS_KEY_ID", "e"), ("AWS_PROFILE", "tool")]).unwrap();
        assert_eq!((both.access_key_id.as_deref(), both.credential_process), (Some("e"), None));
        assert_eq!(with(&[("AWS_ACCESS_KEY_ID", "e")]).unwrap().region.as_deref(), Some("us-west-2"));
    }

    #[test]
    fn nothing_set_is_no_error() {
        assert_eq!(from(&[("HOME", "/nowhere")]).unwrap(), AwsEnvironment::default());
    }
}
