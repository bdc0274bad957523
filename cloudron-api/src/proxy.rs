//! Names that the front of a machine passes on to programs there.

use std::net::SocketAddr;

#[cfg(feature = "clap")]
use clap::Subcommand;
use cloudron_core::table::Table;
use cloudron_core::{Domain, Result};
use serde::{Deserialize, Serialize};

/// A name, and the program that answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRoute {
    /// The host name.
    pub host: String,
    /// The address of the program, on the machine or near it.
    pub to: SocketAddr,
    /// Whether the program speaks HTTP/2 without TLS, as gRPC does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub h2c: bool,
}

/// The name that is to be given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyHost {
    /// The host name.
    pub host: String,
}

impl ProxyRoute {
    /// Returns a table of routes.
    pub fn table(routes: &[Self]) -> Table {
        let mut table = Table::new(["Host", "Program", "Speaks"]);
        for route in routes {
            let speaks = if route.h2c { "HTTP/2" } else { "HTTP/1.1" };
            table.row([route.host.clone(), route.to.to_string(), speaks.to_owned()]);
        }
        table
    }
}

/// What an owner says about the names of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Subcommand))]
pub enum ProxyCall {
    /// Pass a name on to a program that runs on the machine
    Add {
        /// The name, one label below the machine's domain, such as blog.example.com
        host: String,
        /// The address and port of the program, such as 127.0.0.1:8080
        #[cfg_attr(feature = "clap", arg(long, value_name = "ADDRESS:PORT"))]
        to: SocketAddr,
        /// The program speaks HTTP/2 without TLS, as gRPC does
        #[cfg_attr(feature = "clap", arg(long))]
        h2c: bool,
    },
    /// Give a name up
    Remove {
        /// The name
        host: String,
    },
    /// List the names that a machine passes on
    List {
        /// The machine's domain
        #[cfg_attr(feature = "clap", arg(value_name = "DOMAIN"))]
        domain: String,
    },
}

impl ProxyCall {
    /// Returns the domain of the machine: what is above the name.
    ///
    /// # Errors
    /// `domain-invalid` and the like.
    pub fn domain(&self) -> Result<Domain> {
        match self {
            Self::List { domain } => Domain::parse_any(domain),
            Self::Add { host, .. } | Self::Remove { host } => {
                Domain::parse_any(host.split_once('.').map_or("", |(_, above)| above))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_named_by_what_is_above_the_name() {
        let of = |host: &str| ProxyCall::Remove { host: host.to_owned() }.domain();
        assert_eq!(of("blog.example.com").unwrap().as_str(), "example.com");
        assert!(of("localhost").is_err());
        assert_eq!(
            ProxyCall::List { domain: "my.example.com".into() }.domain().unwrap().as_str(),
            "example.com"
        );
    }
}
