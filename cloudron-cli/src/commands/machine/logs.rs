//! `cloudron machine logs`

use cloudron_api::LogLine;
use cloudron_core::{ErrorKind, Result};
use cloudron_machine::client::Query;

use super::Which;
use crate::codes;
use crate::machines;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// How many lines of the past
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    lines: u32,
    /// Follow new lines until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<u8> {
    let machine = options.which.machine()?;
    let path = Query::new("/api/v1/cloudron/logs")
        .with("lines", Some(options.lines))
        .with("follow", options.follow.then_some(true))
        .build();
    block_on(|cancel| async move {
        let client = machines::client(&machine, out).await?;
        let lines = client.lines(&path, options.follow, |line| print(line, out));
        let ended = tokio::select! {
            ended = lines => ended.map(|()| 0),
            // The usual end of following a log, so no message is printed.
            () = cancel.cancelled() => Ok(ErrorKind::Interrupted.exit_code()),
        };
        match ended {
            Err(error) if error.is(&codes::SERVER_DEAD) => {
                let log = client.program().last_of_log(options.lines).await?;
                for line in log.lines() {
                    print(line, out)?;
                }
                out.warn(&format!("{error}; these are the last lines of its log"));
                if options.follow { Err(error) } else { Ok(0) }
            }
            other => other,
        }
    })
}

/// Prints a log line: unchanged as JSON, or formatted as text.
fn print(line: &str, out: &Output) -> Result<()> {
    if out.is_json() {
        return out.json_of_another(line);
    }
    let entry: Option<LogLine> = serde_json::from_str(line).ok();
    out.line(&entry.map_or_else(|| line.to_owned(), |entry| render(&entry)))
}

fn render(entry: &LogLine) -> String {
    let time = entry.time.strftime("%Y-%m-%d %H:%M:%SZ");
    let fields: String = entry.fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    format!("{time} {:<5} {}{fields}", entry.level, entry.message)
}
