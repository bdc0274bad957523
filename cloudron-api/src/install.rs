//! What installing a server takes and gives.

use std::net::SocketAddr;

use cloudron_core::{Domain, Secret, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Include;

/// What the server needs to know to be installed. It holds secrets, so it travels through standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallRequest {
    /// The machine's domain.
    pub fqdn: Domain,
    /// How the machine was made: `local`, `generic`, `ec2`, `digitalocean`.
    pub provider: String,
    /// The id of the run that makes the machine. The same run may install again; another one may not.
    pub run: String,
    /// Who starts the server and keeps it running.
    pub supervisor: Supervisor,
    /// Where it listens. Port 0 takes a free one, which then stays.
    pub listen: Vec<SocketAddr>,
    /// The URL of the backup store, such as `file:///var/backups/cloudron`.
    pub store: String,
    /// The keys for writing backups, in the text form that `cloudron_backup::WriterKeys` serializes to.
    pub writer_keys: Secret,
    /// The id of the repository that the keys are for. A store that holds another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// How an object store is spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_access: Option<StoreAccess>,
    /// The objects of a freshly initialised repository, to be put into a filesystem store that has none, so
    /// that the one who holds the backup key can make the repository at home.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository: Vec<RepositoryObject>,
    /// Folders that every backup holds besides the server's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub includes: Vec<Include>,
    /// The hour of the day (UTC, 0 to 23) in which the daily backup runs. Without one, a random one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_hour: Option<u8>,
}

/// An object of a backup repository, to be put into a store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryObject {
    /// Its key, such as `cloudron-backup.json`.
    pub key: String,
    /// Its content in base 64.
    pub base64: String,
}

/// Who starts the server and keeps it running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Supervisor {
    /// systemd, on a machine of its own.
    Systemd,
    /// Nobody: it is a process of its own that outlives the command that started it.
    Detached,
}

/// What an installed server is reached with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallAnswer {
    /// The certificate of the machine's own authority, to be pinned: PEM.
    pub ca_pem: String,
    /// The SHA-256 of that certificate, in hexadecimal.
    pub ca_fingerprint: String,
    /// The port that it listens on.
    pub port: u16,
    /// The token for the first-time setup; none when that was done already.
    pub setup_token: Option<Secret>,
    /// When the setup token stops being valid.
    pub setup_expires_at: Option<Timestamp>,
    /// The version that was installed.
    pub version: Version,
}

/// How the server speaks to an object store. The credentials are its own: they should allow it to write, list and read
/// objects, and not to delete them (see `docs/stores.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreAccess {
    /// The id of the credentials.
    pub access_key_id: String,
    /// Their secret.
    pub secret_access_key: Secret,
    /// The region of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of a service other than Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The certificates in PEM that the server trusts there besides those of its system: a private authority, or the
    /// certificate that the service signed itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_of_an_earlier_version_trusts_what_the_system_does() {
        let old = r#"{"accessKeyId": "id", "secretAccessKey": "canary", "endpoint": "https://s3.internal"}"#;
        let access: StoreAccess = serde_json::from_str(old).unwrap();
        assert_eq!((access.ca.as_deref(), access.endpoint.as_deref()), (None, Some("https://s3.internal")));
        assert!(
            !serde_json::to_string(&access).unwrap().contains("\"ca\""),
            "an earlier version reads it too"
        );
        let with = StoreAccess { ca: Some("-----BEGIN CERTIFICATE-----".into()), ..access };
        let told = serde_json::to_string(&with).unwrap();
        assert_eq!(serde_json::from_str::<StoreAccess>(&told).unwrap(), with);
    }
}
