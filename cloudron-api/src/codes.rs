//! The error codes that a server reports and that its clients act upon.

cloudron_core::codes! {
    /// No server is installed in this place.
    MACHINE_MISSING = ("machine-missing", NotFound,
        "No server is installed in this place: neither its settings nor its state are there.");
    /// No valid token was sent.
    TOKEN_INVALID = ("token-invalid", Denied,
        "The request carries no access token, or one that is unknown, has expired or was ended. Log in again.");
    /// The machine already has an owner.
    ALREADY_ACTIVATED = ("already-activated", Conflict,
        "The first-time setup of this server was done already. Log in with the account that it created.");
    /// Some of the folders are missing from the backup.
    BACKUP_INCOMPLETE = ("backup-incomplete", Partial,
        "The backup was made, but something was left out or not consistent: the message names the folders \
         whose hook command failed or which do not exist. The other folders are in it, and the list of backups marks it as \
         incomplete. The server's log holds the output of the commands.");
    /// The backup contains folders that were not confirmed.
    RESTORE_UNCONFIRMED = ("restore-unconfirmed", Usage,
        "The backup holds folders beyond the server's own state and data, and they were not confirmed: an \
         attacker on the lost server could have added any folder. Look at the names, then confirm each one.");
}
