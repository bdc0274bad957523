//! `cloudron backup key`

use std::path::PathBuf;

use clap::Subcommand;
use cloudron_core::{Error, Result};

use super::place::{Key, Place};
use crate::codes;
use crate::output::Output;
use crate::runtime::block_on;
use crate::state::private_file;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the keys that another machine needs to make backups
    Writer(Writer),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup key writer --store s3://bucket/home -o writer-keys.json

Backups cannot be read with these keys; whoever has them can add backups, and tell whether a known content is
stored. The file has mode 0600.")]
pub(crate) struct Writer {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: Key,
    /// The file to write, which must not exist
    #[arg(short, long, value_name = "FILE")]
    out_file: PathBuf,
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        match self {
            Self::Writer(options) => writer(&options, out),
        }
    }
}

fn writer(options: &Writer, out: &Output) -> Result<()> {
    let (_, identity) = block_on(|_| options.key.unlock(&options.place, out))?;
    let text = serde_json::to_vec(&identity.writer_keys())
        .map_err(|_| Error::new(&codes::WRITER_KEYS, "the keys cannot be written as JSON"))?;
    private_file(&options.out_file, &text)?;
    out.data("file", &options.out_file, || options.out_file.display().to_string())
}
