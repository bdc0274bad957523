//! `cloudron cost`

use cloudron_core::Result;
use cloudron_machine::clouds::Provider;

use super::account::{Account, provider};
use super::settings::Settings;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The cloud
    #[arg(value_name = "CLOUD", value_parser = provider())]
    cloud: Provider,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    account: Account,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let manager = options.account.manager(options.cloud, out)?;
    let settings = options.settings.in_region(options.account.place.region.clone());
    let plan = interruptible(manager.cloud_cost(&settings))?;
    out.data("cost", &plan.to_json(), || plan.costs())
}
