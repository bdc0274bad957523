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

/// Options with which the original command asks a cloud for the list of backups.
#[derive(Debug, clap::Args)]
pub(crate) struct FromCloud {
    #[arg(long, hide = true, value_name = "CLOUD")]
    provider: Option<String>,
    #[arg(long, hide = true, value_name = "REGION", requires = "provider")]
    region: Option<String>,
    #[arg(long, hide = true, value_name = "ID", requires = "provider")]
    access_key_id: Option<String>,
    #[arg(long, hide = true, value_name = "SECRET", requires = "provider")]
    secret_access_key: Option<String>,
    #[arg(long, hide = true, value_name = "BUCKET", requires = "provider")]
    backup_bucket: Option<String>,
    #[arg(long, hide = true, value_name = "TOKEN", requires = "provider")]
    token: Option<String>,
}

impl FromCloud {
    /// Refuses these options.
    ///
    /// # Errors
    /// `not-yet` if one was given.
    pub(crate) fn refuse(&self) -> Result<()> {
        match self.provider {
            None => Ok(()),
            Some(_) => refuse("machine backup list"),
        }
    }
}

/// Refuses a command.
pub(crate) fn refuse(command: &str) -> Result<()> {
    at_cloud(command, "")
}

/// Refuses a command for that cloud.
pub(crate) fn at_cloud(command: &str, cloud: &str) -> Result<()> {
    let text = |key: &str| {
        let found = TEXTS.iter().find(|(name, _)| *name == key);
        found.map_or_else(
            || format!("`{command}` is not in this version"),
            |(_, text)| text.replace("{cloud}", cloud),
        )
    };
    Err(Error::new(&codes::NOT_YET, text(command)).with_hint(text(&format!("{command} instead"))))
}
