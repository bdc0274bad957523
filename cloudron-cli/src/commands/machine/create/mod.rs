//! `cloudron machine create`

mod bucket;
mod cloud;
mod common;
mod generic;
mod local;
mod report;

use clap::Subcommand;
use cloudron_core::Result;

use crate::output::Output;

pub(super) use bucket::Bucket;
pub(super) use report::only_copy;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A server on this computer: no cloud, no root, no Docker
    Local(Box<local::Options>),
    /// A server on any Linux machine with systemd that answers SSH
    Generic(Box<generic::Options>),
    /// A server on a machine that is made at Amazon's EC2
    #[command(alias = "aws")]
    Ec2(Box<cloud::Options>),
    /// A server on a machine that is made at DigitalOcean
    #[command(alias = "do")]
    Digitalocean(Box<cloud::Options>),
    /// A server on a machine that is made at Hetzner Cloud
    Hetzner(Box<cloud::Options>),
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        match self {
            Self::Local(options) => local::run(&options, out),
            Self::Generic(options) => generic::run(&options, out),
            Self::Ec2(options) => cloud::run("ec2", &options, out),
            Self::Digitalocean(options) => cloud::run("digitalocean", &options, out),
            Self::Hetzner(options) => cloud::run("hetzner", &options, out),
        }
    }
}
