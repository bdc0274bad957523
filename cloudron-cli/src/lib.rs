//! The `cloudron` command line: parses, composes the libraries, renders.
//!
//! The program is [`run`]. What it takes is also there as a value, [`command`], for tests, manuals and completions.

mod cli;
mod codes;
mod commands;
mod help;
mod hints;
mod machines;
mod output;
mod runtime;
mod secrets;
mod tracing_setup;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use cloudron_core::{Domain, memory};

use crate::cli::Cli;
use crate::output::Output;

/// Describes all commands and options of the program.
#[must_use]
pub fn command() -> clap::Command {
    help::with_texts(Cli::command())
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn run() -> ExitCode {
    memory::keep_private();
    output::tell_panics();
    let matches = command().try_get_matches();
    let domain = matches.as_ref().ok().and_then(domain);
    let cli = matches.and_then(|m| Cli::from_arg_matches(&m)).unwrap_or_else(|error| output::usage(&error));
    let out = Output::new(cli.global.output, cli.global.yes);
    // The server has its own log, which needs the global subscriber.
    if !matches!(&cli.command, cli::Command::Box(call) if call.command.is_service()) {
        tracing_setup::start(cli.global.verbose, &out);
    }
    match cli.run(&out) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let error = hints::complete(error, domain.as_ref());
            out.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Returns the domain that a command is about.
fn domain(matches: &ArgMatches) -> Option<Domain> {
    match matches.subcommand() {
        Some((_, below)) => domain(below),
        None => {
            let typed = ["domain", "fqdn"].iter().find_map(|id| matches.try_get_one::<String>(id).ok()?);
            Domain::parse_any(typed?).ok()
        }
    }
}
