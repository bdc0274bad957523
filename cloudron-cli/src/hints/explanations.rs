//! What `cloudron explain` says of a code: what its crate says, and what this program has against it.

use cloudron_api::codes as api;
use cloudron_backup::codes as backup;
use cloudron_core::{Code, codes as core};
use cloudron_dns::codes as dns;
use cloudron_http::codes as http;
use cloudron_machine::codes as machine;
use cloudron_provision::codes as provision;

use crate::codes;

/// The explanation of a code, with the commands and options that help.
pub(crate) fn explanation(code: &Code) -> String {
    match MORE.iter().find(|(of, _)| *of == code) {
        Some((_, more)) => format!("{} {more}", code.explanation),
        None => code.explanation.to_owned(),
    }
}

static MORE: &[(&Code, &str)] = &[
    (&core::USAGE, "`--help` after the command lists what it takes, with examples."),
    (&core::DOMAIN_SUBLEVEL, "`--allow-subdomain` accepts the name as it is."),
    (&core::BACKUP_ID_INVALID, "`cloudron machine backup list DOMAIN` prints them."),
    (&core::INTERRUPTED, "`--resume` goes on, and `cloudron machine destroy` removes what exists."),
    (&http::CERTIFICATE, "The option --ca-file names such a file too, for one command."),
    (&http::CA_FILE, "The option --ca-file names such a file too."),
    (&backup::LIFECYCLE_HARMS, "Use `cloudron backup prune` to remove old backups."),
    (&backup::FILES_LEFT_OUT, "`--exclude` leaves them out."),
    (&backup::WRITER_KEYS, "`cloudron backup key writer` writes them anew, with the backup key."),
    (&dns::PLAN_FILE, "`cloudron dns plan --out` writes such a file, and `--plan` takes it."),
    (&machine::UNHEALTHY, "`cloudron machine status` shows each check with what was found."),
    (&provision::REMOTE_COMMAND, "Run the same command again with `--resume` once the cause is gone."),
    (&provision::SSH_REFUSED, "`--ssh-port` names another port."),
    (&provision::SSH_LOST, "The same command with `--resume` goes on."),
    (&provision::HOST_KEY_UNKNOWN, "Give the fingerprint as `--host-key SHA256:…`."),
    (
        &provision::HOST_KEY_CHANGED,
        "Then `cloudron machine trust DOMAIN` records the new key of a machine, and `--host-key SHA256:…` gives it to \
         `cloudron machine create`.",
    ),
    (&provision::ARCHITECTURE, "Give one built for it with `--server-binary PATH`."),
    (&provision::NOT_A_PROGRAM, "Give one with `--server-binary PATH`."),
    (
        &provision::MACHINE_TAKEN,
        "`cloudron machine destroy` removes it, after `cloudron machine adopt` if it was made from another computer.",
    ),
    (
        &provision::MACHINE_CARRIES_SERVER,
        "`cloudron machine adopt` manages it from this computer; `cloudron machine destroy` then removes it.",
    ),
    (&provision::CLOUD_INIT, "Run the same command with `--resume` when it is done."),
    (&provision::RUN_EXISTS, "`--resume` goes on with it; `cloudron machine destroy` removes what it made."),
    (
        &provision::RUN_UNFINISHED,
        "The same command with `--resume` goes on, and `cloudron machine destroy` removes what exists.",
    ),
    (&provision::RUN_PLAN_CHANGED, "`cloudron machine destroy` removes it."),
    (&provision::RUN_ROLLED_BACK, "Run the command again without `--resume`."),
    (
        &provision::UNDO_FAILED,
        "`cloudron machine destroy` tries again; with `--forget` it leaves on the machine what is there.",
    ),
    (&provision::STEP_PANICKED, "`--resume` does that."),
    (&provision::UNHEALTHY, "`cloudron machine logs` shows the same."),
    (&provision::SSH_PORT, "`--keep-ssh-port` does the latter."),
    (&provision::PORT_TAKEN, "`--port` names it; without the option, a free one is taken."),
    (
        &backup::STORE_EXPIRES,
        "`backup prune` does that, and `cloudron policy lifecycle` prints rules that are safe.",
    ),
    (&backup::STORE_CONDITIONAL, "With --no-conditional-writes at every command it does."),
    (&backup::OBJECT_MISSING, "`backup verify` lists all that is missing."),
    (&backup::OBJECT_CORRUPT, "`backup verify` names what depends on it."),
    (&backup::REPOSITORY_MISSING, "`backup init` creates one."),
    (&backup::REPOSITORY_OLD, "The commands are `backup upgrade` and `backup key writer`."),
    (&backup::WRITER_REVOKED, "The command is `backup key writer --name NAME`."),
    (&backup::WRITER_UNKNOWN, "`backup key list` shows those that it has."),
    (
        &backup::PRUNE_MISSING,
        "The command is `backup repair`. `--remove ID` gives up a backup, and `--forget-missing` the backups that are not \
         in the list any more.",
    ),
    (&backup::PRUNE_NO_SPACE, "`--grace 0` does the latter."),
    (&backup::PRUNE_REMOVALS, "`--dry-run` shows it, and `--allow-removals` allows it."),
    (&backup::BACKUP_KEY_UNKNOWN, "`backup key list` shows those that exist."),
    (&backup::BACKUP_UNKNOWN, "`backup list` shows those that exist."),
    (&backup::RESTORE_CONFLICT, "The option is --overwrite."),
    (&backup::PRUNE_UNSAFE, "`backup verify` says more."),
    (&dns::CONFLICT, "`--adopt` adopts them."),
    (&dns::DNS_STATE, "`--adopt` adopts them."),
    (
        &api::MACHINE_MISSING,
        "`cloudron machine list` shows the machines that are known; `cloudron machine create` makes one.",
    ),
    (&api::TOKEN_INVALID, "The commands of `cloudron machine` need no login."),
    (
        &api::BACKUP_INCOMPLETE,
        "The list is `cloudron machine backup list`. `cloudron machine include remove` leaves a folder out of the next \
         backup.",
    ),
    (&api::RESTORE_UNCONFIRMED, "`--restore-path` confirms one, and --yes all."),
    (
        &codes::NEEDS_ANSWER,
        "Give the answer as an option: --yes for questions; file:PATH, env:NAME, cmd:PROGRAM or - for secrets.",
    ),
    (
        &codes::MACHINE_UNKNOWN,
        "`cloudron machine list` shows those it knows, and `cloudron machine adopt` adopts one.",
    ),
    (&codes::MACHINE_KNOWN, "`cloudron machine destroy` removes it."),
    (
        &codes::MACHINE_DESTROYING,
        "`cloudron machine destroy` does that; `--delete-backups` deletes its backups too.",
    ),
    (
        &codes::SERVER_DEAD,
        "`cloudron machine status` says what is known; `cloudron machine logs` or `ssh` help to find out why. A local \
         machine that was stopped starts again with `cloudron machine start`.",
    ),
    (&cloudron_machine::codes::SERVER_BUSY, "`cloudron machine status` shows it."),
    (&cloudron_machine::codes::JOB_FAILED, "`cloudron machine logs` shows that."),
    (&codes::STORE_IN_USE, "`--backup latest` restores from it, and `--store` names another place."),
    (
        &cloudron_machine::codes::FOLDER_MISSING,
        "`cloudron machine include add` takes that command with `--before`.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_explained_with_the_commands_that_help_and_once() {
        let text = explanation(&backup::STORE_EXPIRES);
        assert!(text.starts_with(backup::STORE_EXPIRES.explanation) && text.contains("`backup prune`"));
        assert_eq!(explanation(&core::FAILED), core::FAILED.explanation);
        let names: BTreeSet<&str> = MORE.iter().map(|(code, _)| code.name).collect();
        assert_eq!(names.len(), MORE.len(), "a code has two lines");
    }
}
