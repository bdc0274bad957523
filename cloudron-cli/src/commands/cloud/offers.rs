//! `cloudron machine regions` and `cloudron machine sizes`

use cloudron_core::{Error, Result, codes};
use cloudron_machine::clouds::Provider;
use cloudron_provision::cloud::{Region, Size};

use super::account::{Account, provider};
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The cloud
    #[arg(value_name = "CLOUD", value_parser = provider())]
    cloud: Provider,
    #[command(flatten)]
    account: Account,
}

/// Lists the regions.
pub(crate) fn regions(options: &Options, out: &Output) -> Result<()> {
    let manager = options.account.manager(options.cloud, out)?;
    let regions = interruptible(manager.regions())?;
    out.data("regions", &regions, || Region::table(&regions).render())
}

/// Lists the sizes in a region.
pub(crate) fn sizes(options: &Options, out: &Output) -> Result<()> {
    let Some(region) = &options.account.place.region else {
        let message = "sizes and their prices are those of a region";
        return Err(Error::new(&codes::USAGE, message)
            .with_hint("give it with --region; the `regions` command lists them"));
    };
    let manager = options.account.manager(options.cloud, out)?;
    let sizes = interruptible(manager.sizes(region))?;
    out.data("sizes", &sizes, || Size::table(&sizes).render())
}
