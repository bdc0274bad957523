//! `cloudron machine eventlog`

use cloudron_api::EventPage;
use cloudron_core::Result;
use cloudron_machine::client::Query;

use super::Which;
use crate::machines;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// Only this action, such as backup.finish
    #[arg(long)]
    action: Option<String>,
    /// Only entries that hold this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only entries of that time or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<jiff::Timestamp>,
    /// Only entries before that time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    /// Which page, from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    /// How many entries a page has
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1000))]
    per_page: u32,
    /// Do not truncate the Data column
    #[arg(long)]
    full: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let query = Query::new("/api/v1/eventlog")
        .with("page", Some(options.page))
        .with("per_page", Some(options.per_page))
        .with("action", options.action.as_ref())
        .with("search", options.search.as_ref())
        .with("since", options.since)
        .with("until", options.until)
        .build();
    let page: EventPage = interruptible(async { machines::client(&machine, out).await?.get(&query).await })?;
    out.data("eventlogs", &page.eventlogs, || render(&page, options.full))
}

fn render(page: &EventPage, full: bool) -> String {
    if page.eventlogs.is_empty() {
        return "No events.".into();
    }
    let more =
        if page.pages() > 1 { format!("page {} of {}\n", page.page, page.pages()) } else { String::new() };
    page.table(full).render() + &more
}
