//! What helps, by the code of an error.

use cloudron_backup::codes as backup;
use cloudron_core::{Code, Error, codes as core};
use cloudron_dns::codes as dns;
use cloudron_provision::codes as provision;

use crate::codes;

/// What helps after an error of one code.
struct Hint {
    code: &'static Code,
    /// Only for an error with that detail.
    detail: Option<&'static str>,
    /// Only for a command that is about a machine.
    machine: bool,
    /// Names in braces are replaced by the details of the error, and `{domain}` by the machine that the command was
    /// about.
    text: &'static str,
}

impl Hint {
    const fn of(code: &'static Code, text: &'static str) -> Self {
        Self { code, detail: None, machine: false, text }
    }

    const fn with(code: &'static Code, detail: &'static str, text: &'static str) -> Self {
        Self { code, detail: Some(detail), machine: false, text }
    }

    const fn of_machine(code: &'static Code, text: &'static str) -> Self {
        Self { code, detail: None, machine: true, text }
    }

    /// The text for that error, if it fits and all its values are known.
    fn of_error(&self, error: &Error, domain: Option<&str>) -> Option<String> {
        let fits = error.is(self.code)
            && self.detail.is_none_or(|name| error.detail(name).is_some())
            && (!self.machine || domain.is_some());
        let mut parts = self.text.split('{').filter(|_| fits);
        let mut text = parts.next()?.to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}')?;
            let value = match (error.detail(name), name) {
                (Some(value), _) => value,
                (None, "domain") => domain.unwrap_or("DOMAIN"),
                (None, _) => return None,
            };
            text = text + value + rest;
        }
        Some(text)
    }
}

/// What helps after that error: the first line of the table that fits.
pub(super) fn hint(error: &Error, domain: Option<&str>) -> Option<String> {
    TABLE.iter().find_map(|hint| hint.of_error(error, domain))
}

static TABLE: &[Hint] = &[
    // Names and secrets.
    Hint::of(&core::DOMAIN_SUBLEVEL, "use {registered}, or add --allow-subdomain"),
    Hint::with(&core::DOMAIN_INVALID, "address", "give the address with --ip, and the domain with --fqdn"),
    Hint::of(&codes::NEEDS_ANSWER, "add --yes to answer every question with yes"),
    // Machines.
    Hint::of(
        &codes::MACHINE_UNKNOWN,
        "`cloudron machine list` shows the machines that are; one that another computer made becomes known with \
         `cloudron machine adopt {domain}`, on another machine with --ip ADDRESS",
    ),
    Hint::of(
        &codes::MACHINE_KNOWN,
        "`cloudron machine status {domain}` shows it, `cloudron machine destroy {domain}` removes it; if it is lost for \
         good, `cloudron machine destroy {domain} --forget` first, then this command again",
    ),
    Hint::of(&codes::MACHINE_DESTROYING, "`cloudron machine destroy {domain}` finishes it"),
    Hint::of(
        &codes::SERVER_DEAD,
        "`cloudron machine start {domain}` starts it; `cloudron machine logs {domain}` shows its last messages",
    ),
    // Runs.
    Hint::of(
        &provision::RUN_EXISTS,
        "add `--resume` to go on with it, or `cloudron machine destroy {domain}` removes what it made",
    ),
    Hint::of(
        &provision::RUN_PLAN_CHANGED,
        "give the options that the run was begun with, or `cloudron machine destroy {domain}` removes what it made",
    ),
    Hint::of(&provision::RUN_ROLLED_BACK, "leave `--resume` out to begin anew"),
    Hint::of(
        &provision::UNDO_FAILED,
        "`cloudron machine destroy {domain}` tries again; `cloudron machine destroy {domain} --forget` gives up",
    ),
    Hint::of(
        &provision::MACHINE_CARRIES_SERVER,
        "`cloudron machine adopt {domain}` manages it from this computer",
    ),
    Hint::of(&provision::ARCHITECTURE, "give a program built for {machine} with `--server-binary PATH`"),
    Hint::of(
        &provision::NOT_A_PROGRAM,
        "give a cloudron program that runs on the machine with `--server-binary PATH`",
    ),
    // SSH.
    Hint::of(
        &provision::SSH_KEY_MISSING,
        "give one with `--ssh-key`, or make one with `ssh-keygen -t ed25519`",
    ),
    Hint::with(&provision::SSH_KEY_FORMAT, "private", "give the private key: `--ssh-key {private}`"),
    Hint::with(
        &provision::SSH_KEY_FORMAT,
        "public",
        "give the private key, the file without `.pub`, with `--ssh-key`",
    ),
    Hint::with(
        &provision::SSH_AUTH,
        "user",
        "add the public key to ~/.ssh/authorized_keys of {user} on the server, or give another with `--ssh-key`",
    ),
    Hint::of(&provision::SSH_REFUSED, "check the port (`--ssh-port`), and that the SSH server is running"),
    Hint::of(&provision::SSH_LOST, "run the same command with `--resume`"),
    Hint::of(
        &provision::HOST_KEY_UNKNOWN,
        "compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the server's console, then give \
         `--host-key {fingerprint}`",
    ),
    Hint::with(
        &provision::HOST_KEY_CHANGED,
        "known_hosts",
        "find out why it changed; when the new key is right, give its fingerprint with `--host-key SHA256:…`",
    ),
    Hint::with(
        &provision::HOST_KEY_CHANGED,
        "domain",
        "find out why it changed; when the new key is right, `cloudron machine trust {domain}` records it",
    ),
    Hint::of(&provision::HOST_KEY_CHANGED, "find out why it changed before you trust it"),
    Hint::with(
        &provision::SSH_PORT,
        "blocked",
        "allow TCP port {blocked} in the machine's firewall and in the cloud's security group, or run the same command \
         with `--keep-ssh-port`, which leaves SSH where it is",
    ),
    Hint::of(
        &provision::SSH_PORT,
        "run the same command with `--keep-ssh-port`, which leaves SSH where it is",
    ),
    // Stores and repositories.
    Hint::with(
        &backup::STORE_URL,
        "address",
        "use a path, file:///folder or s3://bucket/prefix (with --endpoint for a service other than Amazon's); a folder \
         of that name is written ./{address}",
    ),
    Hint::of(
        &backup::STORE_EXPIRES,
        "remove the rule {rule} from the bucket; `cloudron policy lifecycle --store {store}` prints rules that are safe, \
         and `cloudron backup prune --store {store}` deletes old backups",
    ),
    Hint::of_machine(
        &backup::STORE_CONDITIONAL,
        "suspend versioning for the bucket, or use a store that can write an object only if there is none",
    ),
    Hint::with(
        &backup::STORE_CONDITIONAL,
        "versioned",
        "suspend versioning for the bucket, or add --no-conditional-writes to every command; only one computer at a time \
         may use the repository then",
    ),
    Hint::of(
        &backup::STORE_CONDITIONAL,
        "add --no-conditional-writes to every command; only one computer at a time may use the repository then",
    ),
    Hint::of_machine(
        &backup::REPOSITORY_MISSING,
        "check the address of the store; `cloudron machine status {domain}` shows what its server finds there",
    ),
    Hint::of(&backup::REPOSITORY_MISSING, "check the address; `cloudron backup init` makes a repository"),
    Hint::with(
        &backup::REPOSITORY_LOST,
        "begun",
        "give the key of then with --backup-key, which finishes that repository, or choose another address",
    ),
    Hint::of(&backup::BACKUP_UNKNOWN, "list the backups that exist with `backup list`"),
    Hint::with(&backup::PATH_UNKNOWN, "path", "`backup ls` shows the paths in a backup"),
    Hint::of(&backup::PRUNE_UNSAFE, "nothing was deleted; `backup verify` says more"),
    Hint::with(
        &backup::RESTORE_CONFLICT,
        "kept",
        "restore to another folder, or add --overwrite to replace them",
    ),
    // DNS.
    Hint::of(&dns::DNS_STATE, "restore it from a copy, or remove it: changes then need --adopt once"),
    Hint::with(
        &dns::CONFLICT,
        "adoptable",
        "remove these records at your DNS host, or add --adopt to replace them",
    ),
    Hint::with(
        &dns::CONFLICT,
        "deletions",
        "check that the right zone and the right records were given; add --allow-deletions to delete them",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_has_the_values_of_its_error() {
        let public = || Error::new(&provision::SSH_KEY_FORMAT, "no").with_detail("public", "/k");
        let of = |error: &Error| hint(error, Some("example.com"));
        assert_eq!(of(&Error::new(&provision::SSH_KEY_FORMAT, "no")), None);
        assert!(of(&public()).unwrap().contains("without `.pub`"));
        let known = public().with_detail("private", "/k");
        assert_eq!(of(&known).unwrap(), "give the private key: `--ssh-key /k`");
        let other = Error::new(&provision::RUN_EXISTS, "no").with_detail("domain", "example.org");
        assert!(of(&other).unwrap().contains("destroy example.org"));
        assert_eq!(of(&Error::new(&backup::STORE_EXPIRES, "of an older server, without details")), None);
    }

    #[test]
    fn what_helps_a_machine_is_not_what_helps_a_repository() {
        let missing = Error::new(&backup::REPOSITORY_MISSING, "no");
        assert!(hint(&missing, None).unwrap().contains("`cloudron backup init`"));
        assert!(hint(&missing, Some("example.com")).unwrap().contains("status example.com"));
    }
}
