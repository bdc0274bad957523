//! `cloudron machine logs`

use cloudron_box::api::LogLine;
use cloudron_core::Result;

use super::Which;
use crate::connect::Session;
use crate::output::Output;
use crate::query::Query;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine logs example.com
  cloudron machine logs example.com --lines 1000 --output json
  cloudron machine logs -f example.com")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// How many lines of the past
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    lines: u32,
    /// Go on with new lines until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let path = Query::new("/api/v1/cloudron/logs")
        .with("lines", Some(options.lines))
        .with("follow", options.follow.then_some(true))
        .build();
    block_on(|cancel| async move {
        let session = Session::open(&machine, out).await?;
        let lines = session.client.lines(&path, |line| out.text(&render(line, out.is_json())));
        tokio::select! {
            ended = lines => ended,
            () = cancel.cancelled() => cancel.check(),
        }
    })
}

/// A line as the server wrote it for programs, or for people.
fn render(line: &str, json: bool) -> String {
    let Ok(entry) = serde_json::from_str::<LogLine>(line) else { return line.to_owned() };
    if json {
        return line.to_owned();
    }
    let time = entry.time.strftime("%Y-%m-%d %H:%M:%SZ");
    let fields: String = entry.fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    format!("{time} {:<5} {}{fields}", entry.level, entry.message)
}
