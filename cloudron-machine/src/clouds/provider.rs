//! The clouds by their names.

use cloudron_core::{Error, Result, codes};

/// A cloud at which machines can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// DigitalOcean.
    #[cfg(feature = "digitalocean")]
    DigitalOcean,
    /// Amazon's EC2.
    #[cfg(feature = "ec2")]
    Ec2,
    /// Hetzner Cloud.
    #[cfg(feature = "hetzner")]
    Hetzner,
}

impl Provider {
    /// All of them.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "digitalocean")]
        Self::DigitalOcean,
        #[cfg(feature = "ec2")]
        Self::Ec2,
        #[cfg(feature = "hetzner")]
        Self::Hetzner,
    ];

    /// Finds the cloud of a short name.
    ///
    /// # Errors
    /// `usage` with the names that there are.
    pub fn find(id: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|provider| provider.id() == id).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|provider| provider.id()).collect();
            let message = format!("{id:?} is none of the clouds {}", names.join(", "));
            Error::new(&codes::USAGE, message)
        })
    }

    /// Returns its short name, as in records and journals: `hetzner`.
    pub fn id(self) -> &'static str {
        match self {
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => "digitalocean",
            #[cfg(feature = "ec2")]
            Self::Ec2 => "ec2",
            #[cfg(feature = "hetzner")]
            Self::Hetzner => "hetzner",
        }
    }

    /// Returns what it is, for people.
    pub fn description(self) -> &'static str {
        match self {
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => "DigitalOcean",
            #[cfg(feature = "ec2")]
            Self::Ec2 => "Amazon EC2",
            #[cfg(feature = "hetzner")]
            Self::Hetzner => "Hetzner Cloud",
        }
    }

    /// Returns the environment variable that has the token; `None` for a cloud that takes keys.
    pub fn token_variable(self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => Some("DIGITALOCEAN_TOKEN"),
            #[cfg(feature = "ec2")]
            Self::Ec2 => None,
            #[cfg(feature = "hetzner")]
            Self::Hetzner => Some("HCLOUD_TOKEN"),
        }
    }

    /// Returns whether it takes an access key rather than a token, and its buckets are in its regions: it is Amazon's.
    pub fn is_amazon(self) -> bool {
        self.token_variable().is_none()
    }

    /// Returns the short name of its own DNS host.
    pub fn dns_host(self) -> &'static str {
        match self {
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => "digitalocean",
            #[cfg(feature = "ec2")]
            Self::Ec2 => "route53",
            #[cfg(feature = "hetzner")]
            Self::Hetzner => "hetzner",
        }
    }

    /// Returns the services whose addresses can be [set](super::Account::at) one by one: those of the cloud, its DNS host,
    /// and the store of buckets.
    pub fn services(self) -> &'static [&'static str] {
        match self {
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => &["digitalocean", "dns", "s3"],
            #[cfg(feature = "ec2")]
            Self::Ec2 => &["ec2", "ssm", "iam", "route53", "dns", "s3"],
            #[cfg(feature = "hetzner")]
            Self::Hetzner => &["hetzner", "dns", "s3"],
        }
    }

    /// Returns the region that is asked for the others, at a cloud whose interface is one for each region.
    pub(crate) fn first_region(self) -> Option<&'static str> {
        self.is_regional().then_some("us-east-1")
    }

    /// Returns whether a list of machines needs a region. Otherwise it has those of all.
    pub fn is_regional(self) -> bool {
        match self {
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => false,
            #[cfg(feature = "ec2")]
            Self::Ec2 => true,
            #[cfg(feature = "hetzner")]
            Self::Hetzner => false,
        }
    }
}
