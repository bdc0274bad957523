//! The machine to make at a cloud.

use std::path::PathBuf;
use std::time::Duration;

use cloudron_core::{Error, Result, codes};
use cloudron_provision::ssh::keys::public_line;
use serde::{Deserialize, Serialize};

use crate::create::Dns;

/// What a machine is made of. What is `None` is the cloud's default, as documented. It holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudSettings {
    /// The size or type of machine.
    pub size: Option<String>,
    /// The region or location.
    pub region: Option<String>,
    /// The image.
    pub image: Option<String>,
    /// The size of the disk in GB, at a cloud where it is chosen.
    pub disk_size: Option<u32>,
    /// True if the machine gets a private network of its own.
    pub network: bool,
    /// True if it gets an address that outlives it: a reserved or elastic one.
    pub reserved_ip: bool,
    /// An existing subnet. Together with `security_group`.
    pub subnet: Option<String>,
    /// An existing security group. Together with `subnet`.
    pub security_group: Option<String>,
    /// An existing instance profile, whose role the server uses for its bucket.
    pub instance_profile: Option<String>,
    /// True if a role is made for the server's bucket, and removed with the machine.
    pub server_role: bool,
    /// The user that the image lets in. If `None`, as the image is known to do, or root.
    pub user: Option<String>,
    /// The public key that may log in, as in authorized_keys. If empty, that of the machine's private key file.
    pub public_key: String,
}

impl CloudSettings {
    /// Refuses settings that contradict each other.
    ///
    /// # Errors
    /// `usage`.
    pub(crate) fn check(&self) -> Result<()> {
        match self.subnet.is_some() == self.security_group.is_some() {
            true => Ok(()),
            false => {
                let text = "a subnet and a security group go together: give both or neither";
                Err(Error::new(&codes::USAGE, text))
            }
        }
    }
}

/// A machine that a cloud is to make, and how it is reached.
#[derive(Debug, Clone)]
pub struct CloudMachine {
    /// What it is made of.
    pub settings: CloudSettings,
    /// The private key file. If `None`, the SSH agent is used, and the settings must have the public key.
    pub ssh_key: Option<PathBuf>,
    /// The user to log in as, with passwordless sudo. If `None`, the one that the image has, or root.
    pub ssh_user: Option<String>,
    /// The SSH port of the image.
    pub ssh_port: u16,
    /// True if SSH keeps its port. Otherwise it moves to port 202.
    pub keep_ssh_port: bool,
    /// Time limit for the machine to boot until it answers.
    pub boot: Duration,
    /// The program to install, if the machine's architecture differs from this computer's.
    pub program: Option<PathBuf>,
    /// How the DNS records are handled. [`Dns::Account`] is the cloud's own host.
    pub dns: Dns,
}

impl Default for CloudMachine {
    fn default() -> Self {
        Self {
            settings: CloudSettings::default(),
            ssh_key: None,
            ssh_user: None,
            ssh_port: 22,
            keep_ssh_port: false,
            boot: Duration::from_secs(300),
            program: None,
            dns: Dns::Account { name_servers: Vec::new() },
        }
    }
}

impl CloudMachine {
    /// Returns the machine with the default settings, for login with this private key.
    pub fn new(ssh_key: impl Into<PathBuf>) -> Self {
        Self { ssh_key: Some(ssh_key.into()), ..Self::default() }
    }

    /// Returns the settings with the public key. Refuses settings that contradict each other.
    ///
    /// # Errors
    /// `usage`; errors of reading the key.
    pub(crate) fn complete(&self) -> Result<CloudSettings> {
        let mut settings = self.settings.clone();
        settings.check()?;
        settings.user = settings.user.or_else(|| self.ssh_user.clone());
        if settings.public_key.is_empty() {
            let key = self.ssh_key.as_deref().ok_or_else(|| {
                let text = "the machine needs to know the SSH key that may log in";
                Error::new(&codes::USAGE, text)
            })?;
            settings.public_key = public_line(key)?;
        }
        Ok(settings)
    }
}
