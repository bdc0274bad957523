//! `cloudron dns`: the DNS library for any domain, with no machine.

pub(crate) mod account;
mod apply;
mod check;
mod desired;
mod diagnosis;
mod dkim_key;
mod export;
mod mail;
mod plan;
pub(crate) mod provider;
mod render;
mod wait;
pub(crate) mod work;

use clap::Subcommand;
use cloudron_core::Result;

use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what would change in a zone; writes nothing
    Plan(plan::Options),
    /// Apply the desired records to a zone
    Apply(apply::Options),
    /// Say which records a domain needs, and whether every authoritative name server has them
    Check(check::Options),
    /// Print a whole zone as a zone file or JSON
    Export(export::Options),
    /// Wait until every authoritative name server has the records
    Wait(wait::Options),
    /// Generate a DKIM key and print its record
    DkimKey(dkim_key::Options),
}

impl Command {
    /// Runs the command. Returns its exit code.
    pub(crate) fn run(self, out: &Output) -> Result<u8> {
        match self {
            Self::Plan(options) => plan::run(&options, out),
            Self::Apply(options) => apply::run(&options, out).map(|()| 0),
            Self::Check(options) => check::run(&options, out).map(|()| 0),
            Self::Export(options) => export::run(&options, out).map(|()| 0),
            Self::Wait(options) => wait::run(&options, out).map(|()| 0),
            Self::DkimKey(options) => dkim_key::run(&options, out).map(|()| 0),
        }
    }
}
