//! Options shared by all ways to create a machine.

use std::path::PathBuf;

use cloudron_api::{ActivateRequest, Include, StoreAccess, StoreCredentials};
use cloudron_backup::StoreOptions;
use cloudron_box::check_owner;
use cloudron_core::{Domain, Error, Result, codes as core_codes};
use cloudron_machine::create::{CreateRequest, On, Unconfirmed};
use cloudron_machine::{Creation, Manager};
use cloudron_provision::quote;

use super::report;
use crate::output::Output;
use crate::runtime::block_on;
use crate::secrets;

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
    #[arg(visible_alias = "server-access-key-id")]
    pub writer_access_key_id: Option<String>,
    /// The secret of these credentials; it is kept on the server
    #[arg(long, value_name = "SECRET", requires = "writer_access_key_id")]
    #[arg(visible_alias = "server-secret-access-key")]
    pub writer_secret_access_key: Option<String>,
    /// With --backup, replace existing files that differ
    #[arg(long, requires = "backup")]
    pub overwrite: bool,
    /// With --backup, also restore this included folder of the lost server (repeatable; --yes: all of them)
    #[arg(long = "restore-path", value_name = "PATH", requires = "backup")]
    pub restore_paths: Vec<PathBuf>,
    /// Back this folder of the machine up as well (repeatable)
    #[arg(long = "include", value_name = "PATH")]
    pub includes: Vec<PathBuf>,
    /// The hour of the daily backup, in UTC [default: random]
    #[arg(long, value_name = "HOUR", value_parser = clap::value_parser!(u8).range(0..24))]
    pub backup_hour: Option<u8>,
    /// Run this script on the machine in place of the installer: a file, or an https address
    #[arg(long, value_name = "URL|PATH")]
    pub setup_script: Option<String>,
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
    /// Do not roll back a failed run
    #[arg(long)]
    pub keep: bool,
}

impl Common {
    /// Parses the domain. Refuses one below a registered domain unless allowed.
    pub(super) fn domain(&self) -> Result<Domain> {
        if self.allow_subdomain { Domain::parse_any(&self.fqdn) } else { Domain::parse(&self.fqdn) }
    }

    /// The secrets that may be read from standard input.
    pub(super) fn secrets(&self) -> [Option<&String>; 3] {
        [&self.backup_key, &self.admin_password, &self.writer_secret_access_key].map(Option::as_ref)
    }

    /// Prepares the creation. Reads the secrets except the backup key. `owner` is how the owner opens the store, if not as
    /// the environment says.
    pub(super) fn creation(
        &self,
        manager: &Manager,
        on: On,
        (store, owner): (Option<&str>, Option<&StoreOptions>),
        out: &Output,
    ) -> Result<Creation> {
        let domain = self.domain()?;
        let mut request = CreateRequest::local(domain.clone());
        request.on = on;
        request.store = store.map(str::to_owned);
        request.backup.clone_from(&self.backup);
        let begun = manager.begun(&domain, self.resume)?;
        if let Some(begun) = &begun {
            begun.complete(&mut request.backup, &mut request.store);
        }
        request.includes = self.includes.iter().map(Include::new).collect();
        request.owner = self.owner(out)?;
        request.store_access = self.store_access(owner, out)?;
        request.overwrite = self.overwrite;
        request.restore_paths.clone_from(&self.restore_paths);
        request.discard_backups = self.discard_backups;
        request.backup_hour = self.backup_hour;
        request.setup_script.clone_from(&self.setup_script);
        (request.resume, request.keep) = (self.resume, self.keep);
        if !self.dry_run {
            request.backup_key = secrets::given_backup_key(self.backup_key.as_deref(), out)?;
        }
        manager.creation(request)
    }

    /// Creates the machine, or prints the plan with `--dry-run`.
    pub(super) fn create(&self, creation: Creation, out: &Output) -> Result<()> {
        if self.dry_run {
            let plan = creation.plan()?;
            return out.data("steps", &plan, || plan.join("\n"));
        }
        let created = block_on(|_| creation.run())?;
        report::done(&created, out)
    }

    /// Returns the server's own credentials for an object store.
    fn store_access(&self, owner: Option<&StoreOptions>, out: &Output) -> Result<Option<StoreAccess>> {
        let given = self.writer_access_key_id.as_ref().zip(self.writer_secret_access_key.as_ref());
        let Some((id, secret)) = given else { return Ok(None) };
        secrets::one_stdin(&self.secrets())?;
        let owner = owner.cloned().map_or_else(StoreOptions::from_env, Ok)?;
        let secret = secrets::resolve(secret, "--writer-secret-access-key", out)?;
        Ok(Some(StoreAccess {
            credentials: StoreCredentials::key(id, secret),
            ca: owner.named_ca()?,
            region: owner.region,
            endpoint: owner.endpoint,
        }))
    }

    /// Returns the account for the first-time setup, if requested.
    fn owner(&self, out: &Output) -> Result<Option<ActivateRequest>> {
        let (Some(email), Some(password)) = (&self.admin_email, &self.admin_password) else {
            return Ok(None);
        };
        secrets::one_stdin(&self.secrets())?;
        let password = secrets::resolve(password, "--admin-password", out)?;
        let owner = ActivateRequest { email: email.clone(), password, username: None, display_name: None };
        // The server makes the same check, but only after it was created.
        check_owner(&owner).map_err(|e| e.while_doing("checking --admin-email and --admin-password"))?;
        Ok(Some(owner))
    }

    /// Adds a hint to the error, with options of this command. `copies` is true if the store is copied from.
    pub(super) fn advise(&self, error: Error, domain: &Domain, copies: bool) -> Error {
        let source = std::error::Error::source(&error);
        if let Some(Unconfirmed(paths)) = source.and_then(|source| source.downcast_ref()) {
            let options: Vec<String> = paths
                .iter()
                .map(|path| format!("--restore-path {}", quote::argument(&path.display().to_string())))
                .collect();
            let options = options.join(" ");
            return error
                .with_hint(format!("if you had included that, add `{options}`; nothing was changed"));
        }
        if error.hint().is_some() {
            return error;
        }
        if error.is(&core_codes::FILE_MISSING) && self.resume && error.doing().is_empty() {
            return error.with_hint("leave `--resume` out to begin one");
        }
        // The texts for these details are in the table of hints.
        let error = match self.resume {
            true => error.with_detail("resumed", domain.as_str()),
            false => error.with_detail("created", domain.as_str()),
        };
        match copies {
            true => error.with_detail("copied", domain.as_str()),
            false => error.with_detail("continued", domain.as_str()),
        }
    }
}
