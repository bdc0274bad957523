//! The request and answer of installing a server.

use std::net::SocketAddr;

use cloudron_core::{Domain, Secret, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Include;

/// The request to install a server. It contains secrets, so it is passed on standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallRequest {
    /// The machine's domain.
    pub fqdn: Domain,
    /// Provider of the machine: `local`, `generic`, `ec2`, `digitalocean`.
    pub provider: String,
    /// ID of the run that creates the machine. Only the same run may install again.
    pub run: String,
    /// How the server is started and kept running.
    pub supervisor: Supervisor,
    /// Addresses to listen on. Port 0 selects a free port, which is then kept.
    pub listen: Vec<SocketAddr>,
    /// URL of the backup store, such as `file:///var/backups/cloudron`.
    pub store: String,
    /// The keys for writing backups, as serialized by `cloudron_backup::WriterKeys`.
    pub writer_keys: Secret,
    /// ID of the repository that the keys belong to. A store with another repository is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// Access to an object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_access: Option<StoreAccess>,
    /// The objects of a newly initialised repository, to be written into a filesystem store that has none, so
    /// that the repository can be made on the computer of the backup key's owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository: Vec<RepositoryObject>,
    /// Folders that every backup holds besides the server's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub includes: Vec<Include>,
    /// Hour of the daily backup (UTC, 0 to 23). If `None`, a random hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_hour: Option<u8>,
}

/// An object of a backup repository, to be written into a store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryObject {
    /// The object's key, such as `cloudron-backup.json`.
    pub key: String,
    /// The object's content in base64.
    pub base64: String,
}

/// How a server is started and kept running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Supervisor {
    /// By systemd, on a machine of its own.
    Systemd,
    /// As a detached process that outlives the command that started it.
    Detached,
}

/// The answer to an installation: how to connect to the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallAnswer {
    /// Certificate of the machine's own authority, to be pinned, PEM.
    pub ca_pem: String,
    /// SHA-256 of that certificate, in hexadecimal.
    pub ca_fingerprint: String,
    /// The port that the server listens on.
    pub port: u16,
    /// The token for the first-time setup, or `None` if that was already done.
    pub setup_token: Option<Secret>,
    /// Time at which the setup token expires.
    pub setup_expires_at: Option<Timestamp>,
    /// The installed version.
    pub version: Version,
}

/// The server's access to an object store. The credentials are its own: they should allow it to write, list
/// and read objects, but not to delete them (see `docs/stores.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreAccess {
    /// The credentials.
    #[serde(flatten)]
    pub credentials: StoreCredentials,
    /// Region of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Endpoint of a service other than Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The certificates in PEM that the server trusts there besides those of its system: a private authority, or the
    /// certificate that the service signed itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// The server's credentials for an object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoreCredentials {
    /// A key.
    #[serde(rename_all = "camelCase")]
    Key {
        /// The access key ID.
        access_key_id: String,
        /// The secret access key.
        secret_access_key: Secret,
    },
    /// Those of the role of the EC2 instance that the server runs on, which are on no disk.
    Instance {
        /// Written as `{"instance": "role"}`.
        instance: InstanceRole,
    },
}

/// Where an instance's credentials are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InstanceRole {
    /// From its role.
    Role,
}

impl StoreCredentials {
    /// Credentials of the instance's role.
    pub const INSTANCE: Self = Self::Instance { instance: InstanceRole::Role };

    /// Returns a key.
    pub fn key(access_key_id: impl Into<String>, secret_access_key: Secret) -> Self {
        Self::Key { access_key_id: access_key_id.into(), secret_access_key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_of_an_earlier_version_trusts_what_the_system_does() {
        let old = r#"{"accessKeyId": "id", "secretAccessKey": "canary", "endpoint": "https://s3.internal"}"#;
        let access: StoreAccess = serde_json::from_str(old).unwrap();
        assert_eq!(access.credentials, StoreCredentials::key("id", Secret::new("canary")));
        assert_eq!((access.ca.as_deref(), access.endpoint.as_deref()), (None, Some("https://s3.internal")));
        assert!(
            !serde_json::to_string(&access).unwrap().contains("\"ca\""),
            "an earlier version reads it too"
        );
        let with = StoreAccess { ca: Some("-----BEGIN CERTIFICATE-----".into()), ..access };
        let told = serde_json::to_string(&with).unwrap();
        assert_eq!(serde_json::from_str::<StoreAccess>(&told).unwrap(), with);
    }

    #[test]
    fn credentials_are_a_whole_key_or_the_instances_and_nothing_between() {
        let of = serde_json::from_str::<StoreAccess>;
        let instance = of(r#"{"instance": "role", "region": "eu-central-1"}"#).unwrap();
        assert_eq!(instance.credentials, StoreCredentials::INSTANCE);
        assert_eq!(
            serde_json::to_string(&instance).unwrap(),
            r#"{"instance":"role","region":"eu-central-1"}"#
        );
        for wrong in
            [r#"{}"#, r#"{"accessKeyId": "id"}"#, r#"{"instance": "other"}"#, r#"{"instance": true}"#]
        {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
