//! What every way of creating a machine takes.

use std::path::PathBuf;

use cloudron_backup::{StoreOptions, Summary};
use cloudron_box::api::ActivateRequest;
use cloudron_box::check_owner;
use cloudron_box::restore::beyond;
use cloudron_box::{Include, StoreAccess};
use cloudron_core::{Domain, Error, Result, Secret, codes as core_codes};
use cloudron_provision::Remote;
use cloudron_provision::quote;

use crate::backups::folder_of;
use crate::codes;
use crate::commands::machine::folders;
use crate::output::Output;
use crate::secrets;
use crate::state::{Dirs, Machines};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// The domain that the server is for
    #[arg(long, value_name = "DOMAIN")]
    pub fqdn: String,
    /// Accept a name below a registered domain, such as cloudron.example.com
    #[arg(long)]
    pub allow_subdomain: bool,
    /// The key that encrypts all backups: one line of at least 12 characters. Without it one is made and shown once
    #[arg(long, value_name = "SECRET")]
    pub backup_key: Option<String>,
    /// Restore this backup: its ID, or latest
    #[arg(long, value_name = "ID")]
    pub backup: Option<String>,
    /// Remove the repository of an earlier server, with all its backups, from where the new one keeps its own
    #[arg(long)]
    pub discard_backups: bool,
    /// The id of the credentials that the server uses for its object store; without the right to delete (docs/stores.md)
    #[arg(long, value_name = "ID", requires = "writer_secret_access_key")]
    pub writer_access_key_id: Option<String>,
    /// The secret of these credentials; it is kept on the server
    #[arg(long, value_name = "SECRET", requires = "writer_access_key_id")]
    pub writer_secret_access_key: Option<String>,
    /// With --backup, replace existing files that differ
    #[arg(long, requires = "backup")]
    pub overwrite: bool,
    /// With --backup, put this folder back, which the lost server had included (repeatable; --yes: all of them)
    #[arg(long = "restore-path", value_name = "PATH", requires = "backup")]
    pub restore_paths: Vec<PathBuf>,
    /// Back this folder of the machine up as well (repeatable)
    #[arg(long = "include", value_name = "PATH")]
    pub includes: Vec<PathBuf>,
    /// The hour of the daily backup, UTC; without it, one at random
    #[arg(long, value_name = "HOUR", value_parser = clap::value_parser!(u8).range(0..24))]
    pub backup_hour: Option<u8>,
    /// Do the first-time setup with this e-mail address
    #[arg(long, value_name = "EMAIL", requires = "admin_password")]
    pub admin_email: Option<String>,
    /// The password for it: at least 10 characters
    #[arg(long, value_name = "SECRET", requires = "admin_email")]
    pub admin_password: Option<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Resume an interrupted run, with the same options
    #[arg(long)]
    pub resume: bool,
    /// Leave what a failed run made, rather than remove it
    #[arg(long)]
    pub keep: bool,
}

/// The owner of a new server.
pub(super) struct Owner {
    pub email: String,
    pub password: Secret,
}

impl Owner {
    /// What the server is asked for.
    pub(super) fn request(&self) -> ActivateRequest {
        let (email, password) = (self.email.clone(), self.password.clone());
        ActivateRequest { email, password, username: None, display_name: None }
    }
}

impl Common {
    /// The domain, refused when it is below a registered one, unless allowed.
    pub(super) fn domain(&self) -> Result<Domain> {
        if self.allow_subdomain { Domain::parse_any(&self.fqdn) } else { Domain::parse(&self.fqdn) }
    }

    /// Refuses a name that is taken on this computer.
    pub(super) fn refuse_known(&self, domain: &Domain, dirs: &Dirs) -> Result<()> {
        if Machines::at(dirs.machines()).find(domain)?.is_none() {
            return Ok(());
        }
        Err(Error::new(&codes::MACHINE_KNOWN, format!("the machine {domain} exists already")).with_hint(format!(
            "`cloudron machine status {domain}` shows it, `cloudron machine destroy {domain}` removes it; if it is lost \
             for good, `cloudron machine destroy {domain} --forget` first, then this command again"
        )))
    }

    /// Has the owner confirm the folders that a backup puts back beyond the server's own.
    pub(super) fn confirm_beyond(&self, summary: &Summary, out: &Output) -> Result<()> {
        let named: Vec<PathBuf> =
            self.restore_paths.iter().chain(&self.includes).map(|path| path.components().collect()).collect();
        let open: Vec<String> = beyond(summary)
            .iter()
            .filter(|path| !named.contains(path))
            .map(|path| path.display().to_string())
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        out.say(&format!(
            "Beyond the server's own state and data, this backup puts back: {}",
            open.join(", ")
        ));
        if let Ok(true) = out.confirm("Are these the folders that you had included?") {
            return Ok(());
        }
        let options: Vec<String> =
            open.iter().map(|path| format!("--restore-path {}", quote::argument(path))).collect();
        Err(Error::new(
            &cloudron_box::codes::RESTORE_UNCONFIRMED,
            format!("the backup also puts back {}, which nobody confirmed", open.join(", ")),
        )
        .with_hint(format!("if you had included that, add `{}`; nothing was changed", options.join(" "))))
    }

    /// Refuses to restore from the repository that is to be removed.
    pub(super) fn refuse_contradiction(&self, copy: bool) -> Result<()> {
        if self.discard_backups && self.backup.is_some() && !copy {
            return Err(Error::new(
                &core_codes::USAGE,
                "--discard-backups would remove what --backup restores",
            )
            .with_hint("leave `--discard-backups` out"));
        }
        Ok(())
    }

    /// The server's own credentials for its store, which only an object store needs.
    ///
    /// # Errors
    /// `usage` when they are missing, or given for a folder.
    pub(super) fn store_access(&self, store: &str, out: &Output) -> Result<Option<StoreAccess>> {
        let given = self.writer_access_key_id.as_ref().zip(self.writer_secret_access_key.as_ref());
        let usage = |text: &str| Error::new(&core_codes::USAGE, text.to_owned());
        match (folder_of(store), given) {
            (Some(_), None) => Ok(None),
            (Some(_), Some(_)) => Err(usage("credentials for an object store mean nothing without --store s3://…")),
            (None, None) => Err(usage("the server needs credentials of its own for an object store").with_hint(
                "make some that cannot delete, as docs/stores.md says, and give them with --writer-access-key-id ID and \
                 --writer-secret-access-key file:PATH; those of the owner stay on this computer",
            )),
            (None, Some((id, secret))) => {
                secrets::one_stdin(&[self.backup_key.as_ref(), self.admin_password.as_ref(), Some(secret)])?;
                let owner = StoreOptions::from_env()?;
                Ok(Some(StoreAccess {
                    access_key_id: id.clone(),
                    secret_access_key: secrets::resolve(secret, "--writer-secret-access-key", out)?,
                    region: owner.region,
                    endpoint: owner.endpoint,
                }))
            }
        }
    }

    /// The folders to include, which must be absolute paths on the machine.
    pub(super) fn includes(&self) -> Result<Vec<Include>> {
        if let Some(path) = self.includes.iter().find(|p| !p.is_absolute()) {
            return Err(Error::new(
                &core_codes::USAGE,
                format!("--include {} is not an absolute path", path.display()),
            )
            .with_hint("give the folder's full path on the machine"));
        }
        Ok(self.includes.iter().map(Include::new).collect())
    }

    /// Who does the first-time setup, if that was asked for.
    pub(super) fn owner(&self, out: &Output) -> Result<Option<Owner>> {
        let (Some(email), Some(password)) = (&self.admin_email, &self.admin_password) else {
            return Ok(None);
        };
        secrets::one_stdin(&[self.backup_key.as_ref(), self.admin_password.as_ref()])?;
        let password = secrets::resolve(password, "--admin-password", out)?;
        let owner = Owner { email: email.clone(), password };
        // The server would say the same, after it was made.
        check_owner(&owner.request())
            .map_err(|e| e.while_doing("checking --admin-email and --admin-password"))?;
        Ok(Some(owner))
    }

    /// Refuses to include folders that do not exist on the machine. What is restored may bring them.
    pub(super) async fn check_folders(&self, remote: &dyn Remote) -> Result<()> {
        if self.resume || self.backup.is_some() {
            return Ok(());
        }
        let missing = match folders::missing(remote, &self.includes()?).await {
            // The first step says what is wrong with a machine where commands fail.
            Err(e) if e.is(&cloudron_provision::codes::REMOTE_COMMAND) => return Ok(()),
            other => other?,
        };
        match missing.first() {
            None => Ok(()),
            Some(path) => Err(folders::error(path).with_hint(format!(
                "make the folder on the machine first, or leave `--include {}` out",
                path.display()
            ))),
        }
    }
}
