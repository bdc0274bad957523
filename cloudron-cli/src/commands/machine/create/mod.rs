//! `cloudron machine create`

mod common;
mod generic;
mod local;
mod report;

use clap::Subcommand;
use cloudron_core::Result;

use crate::commands::not_yet::{self, Anything};
use crate::output::Output;

pub(super) use report::only_copy;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A server on this computer: no cloud, no root, no Docker
    Local(Box<local::Options>),
    /// A server on any Linux machine with systemd that answers SSH
    Generic(Box<generic::Options>),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true, alias = "aws")]
    Ec2(Anything),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true, alias = "do")]
    Digitalocean(Anything),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true)]
    Hetzner(Anything),
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        match self {
            Self::Local(options) => local::run(&options, out),
            Self::Generic(options) => generic::run(&options, out),
            Self::Ec2(_) => not_yet::at_cloud("machine create", "ec2"),
            Self::Digitalocean(_) => not_yet::at_cloud("machine create", "digitalocean"),
            Self::Hetzner(_) => not_yet::at_cloud("machine create", "hetzner"),
        }
    }
}
