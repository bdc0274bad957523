//! The error codes of this crate.

cloudron_core::codes! {
    /// An answer is needed and no user can be prompted.
    NEEDS_ANSWER = ("needs-answer", Usage,
        "The command needs an answer or a secret, and its input is not a terminal where somebody could be asked.");
    /// No machine with this name is known on this computer.
    MACHINE_UNKNOWN = ("machine-unknown", NotFound,
        "This computer knows no machine of that name. A machine that was created on another computer becomes known here \
         when it is adopted.");
    /// A machine with this name exists.
    MACHINE_KNOWN = ("machine-known", Conflict,
        "A machine of that name exists already. Work with it, remove it, or choose another domain.");
    /// The destruction of a machine was interrupted.
    MACHINE_DESTROYING = ("machine-destroying", Conflict,
        "The removal of this machine was begun and did not end, so that parts of it may be missing. Removing it again \
         finishes that. Its backups stay unless they are to be deleted too.");
    /// The record of a machine cannot be read.
    MACHINE_RECORD = ("machine-record", Corrupt,
        "The file in which this computer remembers the machine is damaged. Restore it from a copy, or remove it \
         and create or adopt the machine again.");
    /// The server does not answer.
    SERVER_DEAD = ("server-dead", Unavailable,
        "The server of that machine does not answer. It may be stopped, restarting or unreachable.");
    /// A server that answers with a failed check.
    UNHEALTHY = ("machine-unhealthy", Failed,
        "The server answers, and at least one of its own checks fails: the database, the disk, the store or the \
         age of the newest backup.");
    /// The server answered with an error.
    SERVER_REFUSED = ("server-refused", Failed,
        "The server understood the request and did not carry it out. The message is the server's own.");
    /// The server is busy.
    SERVER_BUSY = ("server-busy", Conflict,
        "The server does one job at a time, and one is running now. Try again when it is over.");
    /// The server did not accept the token.
    SERVER_DENIED = ("server-denied", Denied,
        "The server did not accept the token that this computer presented.");
    /// A job on the server failed.
    JOB_FAILED = ("job-failed", Failed,
        "A job that was started on the server failed there. The message is the server's own, and the server's log shows what \
         led to it.");
    /// A repository exists and no key was given for it.
    STORE_IN_USE = ("store-in-use", Conflict,
        "The place for backups already holds a repository, and the command would have made a new key for it. \
         Give the key of that repository, restore from it, or choose another place.");
    /// A folder to back up does not exist.
    FOLDER_MISSING = ("folder-missing", NotFound,
        "The folder that is to be backed up does not exist on the machine, so that every backup would be incomplete. \
         Make it there first, or give the command that makes it before each backup.");
    /// The only backups of a machine would be removed with it.
    BACKUPS_ON_MACHINE = ("backups-on-machine", Conflict,
        "The machine is to be removed, and the only backups are on its disk, or it cannot be told whether they are. Copy \
         them to another place first, or say that they are to be removed too. Nothing was changed.");
    /// Several runs made something for one domain.
    SEVERAL_RUNS = ("cloud-several-runs", Conflict,
        "Several runs have made something for this domain at the cloud, so that it is not clear which one is to be \
         resumed. Nothing was changed. Removing the machine removes what all of them made.");
    /// A machine in the records is not in the account.
    NOT_IN_ACCOUNT = ("machine-not-in-account", NotFound,
        "The cloud's account has nothing of this machine. It was removed in another way, or it belongs to another account, \
         project or region. So that it is not lost sight of, its record was kept.");
}
