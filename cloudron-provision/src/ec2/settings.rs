//! The settings of a machine.

use cloudron_core::{Error, Result};

use super::{BucketPlace, Region};
use crate::cloud::{codes, names};

/// The public parameter that names the newest image of Debian 12, up to the architecture.
const DEBIAN: &str = "/aws/service/debian/release/12/latest/";

/// The machine to create.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The region: `eu-central-1`.
    pub region: String,
    /// The type of instance: `t3.small`.
    pub instance_type: String,
    /// The size of the disk in GiB.
    pub disk_size: u32,
    /// The image: its ID, or the name of a public parameter that has it. `None` is the newest Debian 12.
    pub image: Option<String>,
    /// The user that the image lets in. `None` is the one that images of Debian or Ubuntu have.
    pub user: Option<String>,
    /// The public key that may log in, as in authorized_keys; empty if [`key_name`](Self::key_name) is given.
    pub public_key: String,
    /// A key pair that the account has, in place of a public key.
    pub key_name: Option<String>,
    /// A subnet that the account has. It comes with a security group.
    pub subnet: Option<String>,
    /// A security group that the account has. It comes with a subnet.
    pub security_group: Option<String>,
    /// True if the machine gets an address that stays when it is stopped.
    pub elastic_ip: bool,
    /// True if the machine gets a network of its own although the account has a default one.
    pub own_vpc: bool,
    /// The profile with the permissions of the machine in the account.
    pub instance_profile: Option<String>,
    /// A place in a bucket for which the machine gets a role of its own, in place of a profile that there is.
    pub server_role: Option<BucketPlace>,
    /// True if the machine gets an IPv6 address where its subnet has some.
    pub ipv6: bool,
}

impl Settings {
    /// A `t3.small` with 30 GiB and Debian 12 in the default network of a region, with IPv6 where there is some.
    pub fn new(region: impl Into<String>, public_key: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            instance_type: "t3.small".into(),
            disk_size: 30,
            image: None,
            user: None,
            public_key: public_key.into(),
            key_name: None,
            subnet: None,
            security_group: None,
            elastic_ip: false,
            own_vpc: false,
            instance_profile: None,
            server_role: None,
            ipv6: true,
        }
    }

    /// The public key itself, in base 64.
    pub(super) fn key_body(&self) -> &str {
        names::key_body(&self.public_key)
    }

    /// Returns the image's ID, or the name of the parameter that has it, for an architecture.
    pub(super) fn image_for(&self, architecture: &str) -> String {
        let name = if architecture == "arm64" { "arm64" } else { "amd64" };
        self.image.clone().unwrap_or_else(|| format!("{DEBIAN}{name}"))
    }

    pub(super) fn parsed_region(&self) -> Result<Region> {
        Region::parse(&self.region).map_err(|e| Error::new(&codes::SETTINGS, e.message()))
    }

    pub(super) fn check(&mut self) -> Result<()> {
        self.parsed_region()?;
        self.check_key()?;
        if self.server_role.is_some() && self.instance_profile.is_some() {
            let text = "an instance has one profile: give one, or have a role made for it";
            return Err(Error::new(&codes::SETTINGS, text));
        }
        let id = |prefix: &str, text: &str| {
            text.strip_prefix(prefix).is_some_and(|rest| {
                (1..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
            })
        };
        let parameter = |text: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
            text.starts_with("/aws/service/") && text.len() <= 512 && text.bytes().all(fits)
        };
        let kind = |text: &str| {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
            text.contains('.') && text.len() <= 64 && text.bytes().all(fits)
        };
        let profile = |text: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
            (1..=128).contains(&text.len()) && text.bytes().all(fits)
        };
        let user = |text: &str| crate::cloud::is_user(text);
        let kept = [
            ("a type of instance", Some(&self.instance_type), &kind as &dyn Fn(&str) -> bool),
            ("an image", self.image.as_ref(), &|text| id("ami-", text) || parameter(text)),
            ("a subnet", self.subnet.as_ref(), &|text| id("subnet-", text)),
            ("a security group", self.security_group.as_ref(), &|text| id("sg-", text)),
            ("an instance profile", self.instance_profile.as_ref(), &profile),
            ("a user", self.user.as_ref(), &user),
        ];
        for (what, text, fits) in kept {
            if let Some(text) = text.filter(|text| !fits(text)) {
                return wrong(format!("{} cannot be the name of {what}", shown(text)));
            }
        }
        if !(8..=16384).contains(&self.disk_size) {
            return wrong(format!("a disk has 8 to 16384 GiB, not {}", self.disk_size));
        }
        if self.subnet.is_some() != self.security_group.is_some() {
            return wrong("a subnet and a security group are given together or not at all");
        }
        if self.own_vpc && self.subnet.is_some() {
            return wrong("a network of its own has no subnet that exists already");
        }
        Ok(())
    }

    fn check_key(&mut self) -> Result<()> {
        // A file ends in a line break, and may hold several keys.
        self.public_key = self.public_key.trim().to_owned();
        if let Some(name) = &self.key_name {
            let fits = |c: char| c.is_ascii_graphic() || c == ' ';
            if !(1..=255).contains(&name.len()) || !name.chars().all(fits) {
                return wrong(format!("{} cannot be the name of a key pair", shown(name)));
            }
            if !self.public_key.is_empty() {
                return wrong("either a public key or the name of a key pair is given, not both");
            }
            return Ok(());
        }
        match names::public_key(&self.public_key)?.algorithm() {
            "ssh-ed25519" | "ssh-rsa" => Ok(()),
            other => wrong(format!("EC2 takes keys of ssh-ed25519 and ssh-rsa, not {other}")),
        }
    }
}

fn wrong<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::new(&codes::SETTINGS, why))
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me\n";

    fn refused(change: impl Fn(&mut Settings)) -> String {
        let mut settings = Settings::new("eu-central-1", KEY);
        change(&mut settings);
        let error = settings.check().unwrap_err();
        assert!(error.is(&codes::SETTINGS), "{error:?}");
        error.message().to_owned()
    }

    #[test]
    fn each_setting_is_checked_before_anything_is_sent() {
        Settings::new("eu-central-1", KEY).check().unwrap();
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=";
        for (part, change) in [
            ("region", (&|s: &mut Settings| s.region = "evil.example/x-1".into()) as &dyn Fn(&mut Settings)),
            ("type of instance", &|s| s.instance_type = "t3 small".into()),
            ("image", &|s| s.image = Some("/etc/passwd".into())),
            ("image", &|s| s.image = Some("ami-".into())),
            ("user", &|s| s.user = Some("-x".into())),
            ("disk", &|s| s.disk_size = 7),
            ("together", &|s| s.subnet = Some("subnet-1".into())),
            ("together", &|s| s.security_group = Some("sg-1".into())),
            ("security group", &|s| {
                s.subnet = Some("subnet-1".into());
                s.security_group = Some("default".into());
            }),
            ("already", &|s| {
                s.own_vpc = true;
                s.subnet = Some("subnet-1".into());
                s.security_group = Some("sg-1".into());
            }),
            ("instance profile", &|s| s.instance_profile = Some("a b".into())),
            ("not both", &|s| s.key_name = Some("work".into())),
            ("key pair", &|s| s.key_name = Some("\u{1b}".into())),
            ("one line", &|s| s.public_key = "work".into()),
            ("one line", &|s| s.public_key = format!("{KEY}{KEY}")),
            ("not ecdsa", &|s| s.public_key = ecdsa.into()),
        ] {
            let message = refused(change);
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn the_image_follows_the_architecture_unless_it_is_given() {
        let mut settings = Settings::new("eu-central-1", KEY);
        assert_eq!(settings.image_for("x86_64"), "/aws/service/debian/release/12/latest/amd64");
        assert_eq!(settings.image_for("arm64"), "/aws/service/debian/release/12/latest/arm64");
        settings.image = Some("ami-1".into());
        assert_eq!(settings.image_for("arm64"), "ami-1");
    }
}
