//! Commands of the original Cloudron that this version does not have. They fail and name the command to use
//! instead.

use std::ffi::OsString;
use std::sync::LazyLock;

use cloudron_core::{Error, Result};

use crate::codes;
use crate::hints::entries;

static TEXTS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| entries(include_str!("../hints/not_yet.txt")));

/// Whatever else was typed: nothing of it is looked at.
#[derive(Debug, clap::Args)]
pub(crate) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0.., hide = true)]
    rest: Vec<OsString>,
}

/// Refuses a command.
pub(crate) fn refuse(command: &str) -> Result<()> {
    let text = |key: &str| {
        let found = TEXTS.iter().find(|(name, _)| *name == key);
        found.map_or_else(|| format!("`{command}` is not in this version"), |(_, text)| text.clone())
    };
    Err(Error::new(&codes::NOT_YET, text(command)).with_hint(text(&format!("{command} instead"))))
}
