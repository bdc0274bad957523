//! `cloudron dns export`

use clap::ValueEnum;
use cloudron_core::{Result, ResultExt};
use cloudron_dns::{Name, Scope, zone_file};

use super::provider::HostOptions;
use crate::output::Output;
use crate::runtime::unless_stopped;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The domain
    domain: String,
    #[command(flatten)]
    host: HostOptions,
    /// How the zone is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "zone")]
    format: ZoneFormat,
}

/// How a zone is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ZoneFormat {
    /// A zone file
    Zone,
    /// Record sets as JSON
    Json,
}

pub(super) fn run(options: &Options, out: &Output) -> Result<()> {
    let name = Name::parse(&options.domain)?;
    let host = options.host.host();
    let provider = host.open(&[], out)?;
    let snapshot = unless_stopped("stopped", async {
        let zone = host.find_zone(&*provider, &name).await?;
        let doing = || format!("reading the zone {} at {}", zone.apex, provider.id());
        provider.read(&zone, Scope::Zone).await.doing(doing)
    })?;
    if out.is_json() || options.format == ZoneFormat::Json {
        return out.json_object(snapshot.export());
    }
    out.text(&zone_file::write(&snapshot.zone.apex, snapshot.sets.values()))?;
    zone_file::check_complete(snapshot.sets.values())
        .hint(|| "their contents are comments in the file; --format json has them as `opaque`".to_owned())
}
