//! The commands, their options and their help.

use clap::{Args, Parser, Subcommand};
use cloudron_core::Result;

use crate::commands;
use crate::output::{Format, Output};

/// Turn a domain name into a running, self-maintained server, and keep it for years
#[derive(Debug, Parser)]
#[command(name = "cloudron", version, propagate_version = false, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// How data is printed: text, or json for one object with a `schema` number
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    #[arg(hide_possible_values = true, help_heading = "Global options")]
    pub output: Format,
    /// Trace what happens on stderr: -v steps, -vv requests and commands, -vvv or DEBUG=* everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Answer every question with yes
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create, back up, restore and manage servers
    #[command(subcommand, arg_required_else_help = true)]
    Machine(commands::machine::Command),
    /// Back up and restore any folder, with no server
    #[command(subcommand, arg_required_else_help = true)]
    Backup(commands::backup::Command),
    /// Plan, write, check and export the DNS records of a domain
    #[command(subcommand, arg_required_else_help = true)]
    Dns(commands::dns::Command),
    /// Give names to programs that run on a machine
    #[command(subcommand, arg_required_else_help = true)]
    Proxy(cloudron_api::ProxyCall),
    /// Say what a machine at a cloud costs a month
    Cost(commands::cloud::cost::Options),
    /// Print what credentials need, and print and set the lifecycle rules of a bucket
    #[command(subcommand, arg_required_else_help = true)]
    Policy(commands::policy::Command),
    /// Describe an error code, or list all of them
    Explain(commands::explain::Options),
    /// Print the completions of a shell
    Completions(commands::completions::Options),
    /// Print the version
    Version,
    /// The server's side: run on the machine itself
    #[command(name = "box", hide = true, arg_required_else_help = true)]
    Box(cloudron_api::BoxCall),
}

impl Cli {
    /// Runs the command. Returns the exit code, which for a command that ran a program is the program's.
    pub(crate) fn run(self, out: &Output) -> Result<u8> {
        match self.command {
            Command::Machine(command) => command.run(out),
            Command::Backup(command) => command.run(out).map(|()| 0),
            Command::Dns(command) => command.run(out),
            Command::Proxy(call) => commands::machine::proxy(call, out).map(|()| 0),
            Command::Cost(options) => commands::cloud::cost::run(&options, out).map(|()| 0),
            Command::Policy(command) => command.run(out).map(|()| 0),
            Command::Explain(options) => commands::explain::run(&options, out).map(|()| 0),
            Command::Completions(options) => commands::completions::run(&options, out).map(|()| 0),
            Command::Version => commands::version::run(out).map(|()| 0),
            Command::Box(call) => commands::server::run(&call, out).map(|()| 0),
        }
    }
}
