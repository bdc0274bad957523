//! `cloudron completions`

use clap::CommandFactory;
use cloudron_core::Result;

use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut crate::cli::Cli::command(), "cloudron", &mut script);
    out.text(&String::from_utf8_lossy(&script))
}
