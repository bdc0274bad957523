//! `cloudron machine create local`

use cloudron_core::Result;
use cloudron_machine::create::{LocalHost, On};

use super::common::Common;
use crate::machines::manager;
use crate::output::Output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Where the backups are kept, and restored from
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The port to listen on; without it, a free one
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let (common, domain) = (&options.common, options.common.domain()?);
    let on = On::Local(LocalHost { port: options.port });
    let created = common
        .creation(&manager(out)?, on, (options.store.as_deref(), None), out)
        .and_then(|creation| common.create(creation, out));
    created.map_err(|e| common.advise(e, &domain, false))
}
