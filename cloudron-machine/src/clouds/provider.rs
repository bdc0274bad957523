//! The clouds by their names.

use cloudron_core::{Error, Result, codes};

/// A cloud at which machines can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// Hetzner Cloud.
    #[cfg(feature = "hetzner")]
    Hetzner,
}

impl Provider {
    /// All of them.
    pub const ALL: &[Self] = &[
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
            #[cfg(feature = "hetzner")]
            Self::Hetzner => "hetzner",
        }
    }

    /// Returns what it is, for people.
    pub fn description(self) -> &'static str {
        match self {
            #[cfg(feature = "hetzner")]
            Self::Hetzner => "Hetzner Cloud",
        }
    }

    /// Returns the environment variable that has the token; `None` for a cloud that takes keys.
    pub fn token_variable(self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "hetzner")]
            Self::Hetzner => Some("HCLOUD_TOKEN"),
        }
    }

    /// Returns the short name of its own DNS host.
    pub fn dns_host(self) -> &'static str {
        match self {
            #[cfg(feature = "hetzner")]
            Self::Hetzner => "hetzner",
        }
    }

    /// Returns whether a list of machines needs a region. Otherwise it has those of all.
    pub fn is_regional(self) -> bool {
        match self {
            #[cfg(feature = "hetzner")]
            Self::Hetzner => false,
        }
    }
}
