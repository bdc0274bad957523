//! The error codes of this crate, and those also known to the server's clients.

pub use cloudron_api::codes::{
    ALREADY_ACTIVATED, BACKUP_INCOMPLETE, MACHINE_MISSING, RESTORE_UNCONFIRMED, TOKEN_INVALID,
};

cloudron_core::codes! {
    /// The place contains another machine.
    MACHINE_EXISTS = ("machine-exists", Conflict,
        "This place already holds a machine for another domain, or one that another run made. Two machines \
         cannot share a place. Destroy the old one first, or choose another place.");
    /// The configuration cannot be read.
    CONFIG_CORRUPT = ("config-corrupt", Corrupt,
        "The server's configuration file is not what the program wrote. Restore it from a copy, or install \
         the machine again and restore a backup.");
    /// The installation request is invalid.
    INSTALL_REQUEST = ("install-request", Usage,
        "The request to install a server is malformed or contradicts itself. The message names the part.");
    /// The store contains another repository than the keys belong to.
    STORE_OTHER = ("store-other", Conflict,
        "The place for the server's backups holds another repository than the one that the server's keys are for, \
         and every backup would fail. `cloudron machine create` with `--backup latest`, `--backup-key` or \
         `--discard-backups` says what is to become of that repository.");
    /// The machine lacks something that the installation needs.
    INSTALL_UNSUPPORTED = ("install-unsupported", Failed,
        "The machine lacks something that installing the server needs, such as systemd or useradd, or the \
         installer does not run as root. The message names it.");
    /// A system program failed.
    INSTALL_COMMAND = ("install-command", Failed,
        "A system program that installing or running the server relies on failed. The message holds what it \
         printed.");
    /// The port is taken.
    PORT_IN_USE = ("port-in-use", Conflict,
        "Another program listens on the address that the server should use. Stop that program \
         (`ss -ltnp` shows it) or choose another port.");
    /// The server is already running.
    ALREADY_RUNNING = ("already-running", Conflict,
        "A server with the same state folder runs already. There can only be one: it holds the database.");
    /// The server is not running.
    NOT_RUNNING = ("not-running", Unavailable,
        "The server of this machine does not run. `cloudron machine status` says more; its log is in the \
         folder `logs` of its state.");
    /// A part of the server does not answer another.
    PART_UNAVAILABLE = ("part-unavailable", Unavailable,
        "A part of the server did not answer another one, or ended before it had answered. systemd starts it again for \
         the next request. On the machine, `systemctl status 'cloudron-*'` shows the parts, and `journalctl -u \
         cloudron-backup` what the backup worker said.");
    /// There is no helper of root.
    NO_HELPER = ("no-helper", Conflict,
        "This server is a process of a person, in a folder of theirs. It changes nothing of the computer that it runs \
         on; only a server on a machine of its own has a helper for that.");
    /// The server did not start.
    START_FAILED = ("start-failed", Failed,
        "The server process ended before it answered. The message holds the end of its log.");
    /// The server did not answer in time.
    START_TIMEOUT = ("start-timeout", TimedOut,
        "The server process runs but did not answer within the time limit. Its log says what it waits for.");
    /// The database is damaged.
    DATABASE_CORRUPT = ("database-corrupt", Corrupt,
        "The server's database is damaged, so that nothing is read from it or written to it. `cloudron machine \
         repair-database DOMAIN` moves it aside and begins a new one: the data, the backups and their keys stay; \
         users, events and included folders are those of a new machine. To have these back as well, destroy the \
         machine, which keeps its backups, and create it again with `--backup latest`.");
    /// The database is not the expected one.
    DATABASE_LOST = ("database-lost", Corrupt,
        "The server's database is missing or empty, is older than it was, or is that of another machine. It is not \
         taken for the one of a new machine. `cloudron machine repair-database DOMAIN` takes an older one as it is, \
         with the passwords and folders of that time and without its sessions, and begins a new one where there is \
         none. If the file was only moved, put it back and run `cloudron machine start DOMAIN`.");
    /// The database was written by a newer version.
    DATABASE_NEWER = ("database-newer", Conflict,
        "The database was written by a newer version of the server than this one. Install that version or a \
         later one: going back is not possible without the backup that was made before the update.");
    /// A database operation failed.
    DATABASE = ("database", Failed,
        "The server's database refused an operation. The message holds SQLite's reason. A full disk and \
         missing permission are the usual ones.");
    /// A certificate or key is unusable.
    CERTIFICATE = ("certificate", Corrupt,
        "A certificate or private key of the server could not be read or made. Removing the file makes the \
         server create a new one at its next start; clients must then be told the new authority.");
    /// User name or password is wrong.
    LOGIN_FAILED = ("login-failed", Denied,
        "The user name or the password is wrong. After several failures the server answers more slowly. \
         `cloudron machine reset-password DOMAIN` gives the owner a new password.");
    /// Too many tries.
    TOO_MANY_TRIES = ("too-many-tries", Denied,
        "There were too many failed tries in a short time. Wait as long as the answer says and try again.");
    /// Too many concurrent logins.
    LOGIN_BUSY = ("login-busy", Unavailable,
        "More people log in at this moment than the server checks passwords for. The try does not count. Try again in \
         a few seconds.");
    /// Reserved for the owner of the machine, on the machine.
    MACHINE_ONLY = ("machine-only", Denied,
        "This is done on the machine, or with a token that was made there, and not with a login: \
         `cloudron machine retire DOMAIN` and the like.");
    /// No such session.
    SESSION_UNKNOWN = ("session-unknown", NotFound,
        "There is no such session, or it has ended. `cloudron machine sessions DOMAIN` lists them.");
    /// The setup token is wrong.
    SETUP_TOKEN_INVALID = ("setup-token-invalid", Denied,
        "The one-time setup token is wrong, was used or is older than a day. `cloudron machine setup-link \
         DOMAIN` makes a new one.");
    /// The machine has no owner yet.
    NOT_ACTIVATED = ("not-activated", Denied,
        "The first-time setup of this server was not done yet. Open the setup link, or run \
         `cloudron machine setup-link DOMAIN` for a new one.");
    /// The request is invalid.
    BAD_REQUEST = ("bad-request", Usage,
        "The request to the server's interface is malformed. The message names the field and the rule.");
    /// No such route or object.
    NO_SUCH_OBJECT = ("no-such-object", NotFound,
        "The server knows nothing at this address.");
    /// The route has no such method.
    METHOD_NOT_ALLOWED = ("method-not-allowed", Usage,
        "The address exists, but not with this HTTP method. `docs/server-interface.md` lists the routes.");
    /// The body is too large.
    BODY_TOO_LARGE = ("body-too-large", Usage,
        "The body of the request is larger than the server accepts (64 KiB).");
    /// The request took too long.
    REQUEST_TIMEOUT = ("request-timeout", TimedOut,
        "The server did not finish the request within its time limit, or the request arrived too slowly.");
    /// A job runs already.
    JOB_BUSY = ("job-busy", Conflict,
        "The server runs one job at a time, and one runs now. `cloudron machine status` shows it. Try again \
         when it is done.");
    /// A job was cut off.
    JOB_INTERRUPTED = ("job-interrupted", Failed,
        "The job was interrupted by a restart of the server. What it had stored is used by the next one.");
    /// The latest backup is too old.
    BACKUP_LATE = ("backup-late", Failed,
        "The newest backup is older than two days, the machine is that old and has none, or the last try to make one \
         failed or left something out. The event log says why: `cloudron machine eventlog DOMAIN`. After that, \
         `cloudron machine backup create DOMAIN` makes one at once.");
    /// The store's content is not as expected.
    STORE_DIFFERS = ("store-differs", Corrupt,
        "The backup store is not what the server's keys and the index say: it holds another repository, packs are \
         missing or have another size, or the newest backup is not there. Backups made before may not restore. \
         `cloudron machine backup verify DOMAIN` says which. If a disk is not mounted, mount it; if you removed \
         something on purpose, `cloudron machine backup create DOMAIN` stores what is missing again.");
    /// The machine is retired.
    MACHINE_RETIRED = ("machine-retired", Conflict,
        "This server was retired, because another machine took over: it keeps its data but runs no jobs and \
         accepts no changes. `cloudron machine unretire DOMAIN` reverses this.");
    /// There is no update.
    NO_UPDATE = ("no-update", Conflict,
        "There is no update to apply: the server knows of no version newer than its own.");
    /// The folder to include is invalid.
    INCLUDE_INVALID = ("include-invalid", Usage,
        "The folder cannot be included in the backup: it must be an absolute path without `..`, must not lie \
         in another included folder, and must not hold the server's own state or store.");
    /// The folder is not included.
    INCLUDE_MISSING = ("include-missing", NotFound,
        "The folder is not among the included ones. `cloudron machine include list DOMAIN` prints them.");
    /// The name cannot be passed on.
    PROXY_HOST = ("proxy-host", Usage,
        "The name cannot be passed on to a program: it must be one label below the machine's domain, such as \
         `blog.example.com`, other than `my`, because the machine's certificate has these names; and the program must have \
         an address and a port, such as `127.0.0.1:8080`.");
    /// The name is not passed on.
    PROXY_MISSING = ("proxy-missing", NotFound,
        "The name is not among those that the machine passes on. `cloudron proxy list DOMAIN` prints them.");
    /// There is no front.
    NO_FRONT = ("no-front", Conflict,
        "This server has no front that could pass names on: it is a process of a person, or was installed by an earlier \
         version. `cloudron box reinstall` on the machine gives it one.");
    /// A hook command failed.
    HOOK_FAILED = ("hook-failed", Failed,
        "The command that runs before or after a folder's backup failed or took too long. The folder is in the \
         backup as it was found, but its content may be old or inconsistent, so the job counts as failed. The \
         server's log holds the command's output.");
    /// The backup contains no server state.
    RESTORE_NO_STATE = ("restore-no-state", Corrupt,
        "The backup does not hold the state of a server: it may be of some folders only, made by \
         `cloudron backup create`. Restore it with `cloudron backup restore`.");
    /// The server runs during a restore.
    RESTORE_RUNNING = ("restore-running", Conflict,
        "A restore replaces the server's database, so the server must not run. Stop it first.");
    /// A program of the machine failed.
    SYSTEM_COMMAND = ("system-command", Failed,
        "A program of the machine that a change of its firewall, its SSH server or its updates needs failed. The \
         message holds what it printed. Nothing of the change is in force, or it is taken back.");
    /// The policy of the firewall is invalid.
    FIREWALL_POLICY = ("firewall-policy", Usage,
        "What is to pass the firewall is malformed, contradicts itself, or would lock everybody out. The message names \
         the part.");
    /// A change of the firewall is on trial.
    FIREWALL_PENDING = ("firewall-pending", Conflict,
        "A change of the firewall waits for its confirmation over a new connection. Confirm it, or wait until the \
         machine takes it back, and try again.");
    /// The change of the firewall was taken back.
    FIREWALL_REVERTED = ("firewall-reverted", Conflict,
        "The change of the firewall was not confirmed in time, or was taken back: what was in force before is in force \
         again. If nobody could get in while it was tried, the change has to be another one.");
    /// The connection does not prove that the firewall lets new ones in.
    FIREWALL_SAME_CONNECTION = ("firewall-same-connection", Usage,
        "A firewall leaves connections alone that exist already, so only a new one proves that its owner still gets in. \
         Connect to the machine anew, from outside, and confirm the change there.");
    /// The change of the firewall closes something.
    FIREWALL_NARROWER = ("firewall-narrower", Conflict,
        "The change closes something that the firewall lets in now, so it could cut its owner off. It has to be tried \
         first, and confirmed over a new connection.");
    /// The firewall is not what it should be.
    FIREWALL_CHANGED = ("firewall-changed", Unverified,
        "What is in force, or the file with the rules, is not what was written: another program or somebody by hand \
         changed it. The message names the difference.");
    /// The machine has no firewall rules.
    FIREWALL_MISSING = ("firewall-missing", NotFound,
        "This machine has no confirmed firewall rules that could be loaded.");
    /// The change to SSH would lock its owner out.
    SSH_LOCKOUT = ("ssh-lockout", Conflict,
        "The change allows SSH with keys only, and the user who would be left has no key that the machine accepts. Add \
         one to the user's `authorized_keys` and log in with it first.");
    /// The SSH server refuses its settings.
    SSH_SETTINGS = ("ssh-settings", Failed,
        "The SSH server of the machine refuses the settings, or does not follow them. The settings that it had before \
         are in place. The message holds what it printed.");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    #[test]
    fn every_code_is_explained_and_means_one_thing_in_all_crates() {
        let others = cloudron_core::codes::ALL.iter().chain(cloudron_backup::codes::ALL);
        let mut seen: BTreeSet<&str> = others.map(|c| c.name).collect();
        for code in ALL {
            assert!(seen.insert(code.name), "{}", code.name);
            assert!(code.explanation.ends_with(['.', ')']) && code.explanation.len() > 40, "{}", code.name);
        }
    }
}
