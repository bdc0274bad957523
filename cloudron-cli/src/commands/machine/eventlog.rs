//! `cloudron machine eventlog`

use cloudron_api::{EventEntry, EventPage};
use cloudron_core::Result;
use cloudron_machine::client::Query;

use super::Which;
use crate::machines;
use crate::output::{Output, Table};
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
    let mut table = Table::new(["Time", "Action", "Source", "Data"]);
    for event in &page.eventlogs {
        let time = event.creation_time.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        table.row([time, event.action.clone(), event.source.name().unwrap_or("-").into(), data(event, full)]);
    }
    let pages = page.total.div_ceil(u64::from(page.per_page.max(1)));
    let more = if pages > 1 { format!("page {} of {pages}\n", page.page) } else { String::new() };
    table.render() + &more
}

fn data(event: &EventEntry, full: bool) -> String {
    let text = event.data.to_string();
    if full || text.chars().count() <= 80 { text } else { text.chars().take(79).chain(['…']).collect() }
}
