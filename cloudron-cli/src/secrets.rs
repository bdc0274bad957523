//! Secrets in options.

use cloudron_backup::keys::backup_key_in_environment;
use cloudron_core::secret_ref::Exposure;
use cloudron_core::{Error, Result, Secret, SecretRef, codes};

use crate::output::Output;

/// Resolves the secret that an option refers to. Warns if it is in the argument list or in a file that others
/// may read.
pub(crate) fn resolve(reference: &str, option: &str, out: &Output) -> Result<Secret> {
    let reference = SecretRef::parse(reference);
    match reference.exposure() {
        Some(Exposure::File(path)) => out.warn(&format!(
            "other users of this computer may read {0}: `chmod 600 {0}` keeps it to you",
            path.display()
        )),
        Some(Exposure::Arguments) => out.warn(&format!(
            "the secret given with {option} is visible in the process list; file:PATH, env:NAME, cmd:PROGRAM or - are not"
        )),
        None => {}
    }
    reference.resolve(&mut std::io::stdin().lock()).map_err(|e| e.while_doing(format!("reading {option}")))
}

/// Returns the backup key given by the option, `CLOUDRON_BACKUP_KEY_FILE` or `CLOUDRON_BACKUP_KEY`.
pub(crate) fn given_backup_key(option: Option<&str>, out: &Output) -> Result<Option<Secret>> {
    if let Some(reference) = option {
        return resolve(reference, "--backup-key", out).map(Some);
    }
    match backup_key_in_environment() {
        Some(reference) => resolve(&reference, "the environment's backup key", out).map(Some),
        None => Ok(None),
    }
}

/// Returns the backup key, and asks for it if it was not given.
pub(crate) fn backup_key(option: Option<&str>, out: &Output) -> Result<Secret> {
    match given_backup_key(option, out)? {
        Some(key) => Ok(key),
        None => out.ask_secret("The backup key", "--backup-key"),
    }
}

/// Refuses two options that both read standard input.
pub(crate) fn one_stdin(references: &[Option<&String>]) -> Result<()> {
    if references.iter().flatten().filter(|r| r.as_str() == "-").count() > 1 {
        return Err(Error::new(&codes::USAGE, "only one secret can be read from standard input")
            .with_hint("give the others as file:PATH, env:NAME or cmd:PROGRAM"));
    }
    Ok(())
}
