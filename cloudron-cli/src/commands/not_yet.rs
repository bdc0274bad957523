//! Commands of the original Cloudron that this version does not have. They fail and name the command to use
//! instead.

use std::ffi::OsString;

use cloudron_core::{Error, Result};

use crate::codes;

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
            Some(_) => error(
                "`machine backup list --provider` is not in this version",
                "`cloudron machine backup list DOMAIN --store s3://BUCKET/PREFIX` lists what is in a bucket; \
                 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION in the environment give access to it",
            ),
        }
    }
}

/// `machine create ec2` and other clouds.
pub(crate) fn create(cloud: &str) -> Result<()> {
    error(
        &format!("`machine create {cloud}` is not in this version: it cannot make a machine at {cloud}"),
        "make a Debian or Ubuntu machine there yourself, then `cloudron machine create generic --fqdn DOMAIN \
         --ip ADDRESS --ssh-key KEY` makes it a server",
    )
}

/// `machine restore`.
pub(crate) fn restore() -> Result<()> {
    error(
        "`machine restore` is not in this version: a new machine is created from a backup",
        "`cloudron machine create generic --fqdn DOMAIN --ip ADDRESS --ssh-key KEY --backup latest --store STORE` \
         restores a server; `cloudron machine create local --help` and `create generic --help` say more",
    )
}

/// `machine migrate`.
pub(crate) fn migrate() -> Result<()> {
    error(
        "`machine migrate` is not in this version: a server moves by a backup",
        "`cloudron machine backup create DOMAIN`, then `cloudron machine backup download DOMAIN --repository DIR`, \
         then `cloudron machine create generic --fqdn DOMAIN --ip NEW-ADDRESS --ssh-key KEY --backup latest --store DIR`",
    )
}

/// `machine update` and `machine hotfix`.
pub(crate) fn update(command: &str) -> Result<()> {
    error(
        &format!("`machine {command}` is not in this version: a server gets another program by a restore"),
        "make a backup with `cloudron machine backup create DOMAIN`, and with the newer program create the server on \
         another machine from it, with `--backup latest`",
    )
}

/// `policy iam`.
pub(crate) fn iam() -> Result<()> {
    error(
        "`policy iam` is not in this version",
        "docs/stores.md has the policies to paste into the console, under \"Permissions\"",
    )
}

fn error(message: &str, hint: &str) -> Result<()> {
    Err(Error::new(&codes::NOT_YET, message).with_hint(hint))
}
