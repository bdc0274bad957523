//! The cloudron command line: parses, composes the libraries, renders.

mod backups;
mod cli;
mod client;
mod codes;
mod commands;
mod connect;
mod help;
mod memory;
mod output;
#[cfg(test)]
mod promises;
mod query;
mod records;
mod runtime;
mod secrets;
mod ssh;
mod state;
mod target;
mod time;
mod tracing_setup;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::output::Output;

fn main() -> ExitCode {
    memory::keep_private();
    output::tell_panics();
    let matches = help::flowing(Cli::command()).try_get_matches();
    let cli = matches.and_then(|m| Cli::from_arg_matches(&m)).unwrap_or_else(|error| output::usage(&error));
    let out = Output::new(cli.global.output, cli.global.yes);
    // The server has a log of its own, which a second listener would keep from being written.
    if !matches!(&cli.command, cli::Command::Box(call) if call.command == cloudron_api::BoxCommand::Serve) {
        tracing_setup::start(cli.global.verbose, &out);
    }
    match cli.run(&out) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            out.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}
