//! The error codes of this crate, and those that several crates use.

crate::codes! {
    /// A failure that no other code describes.
    FAILED = ("failed", Failed,
        "The operation failed for the reason that the message gives. Nothing more specific is known.");
    /// A file or folder could not be read or written.
    IO = ("io", Failed,
        "The operating system refused to read or write a file. The message names the file and the reason. \
         Check that the path exists, that you may read or write it and that the disk works.");
    /// The disk is full.
    NO_SPACE = ("no-space", Failed,
        "There is no space left where the program has to write. Nothing that was complete before is lost. \
         Free some space, or point the command at another place, and run it again.");
    /// Missing permission for a file.
    PERMISSION = ("permission", Denied,
        "The operating system says that this user may not read or write the file that the message names. \
         Change its owner or mode, or run the command as a user that may.");
    /// A file does not exist.
    FILE_MISSING = ("file-missing", NotFound,
        "The file or folder that the message names does not exist. Check the spelling and the folder you are in.");
    /// An output file exists.
    OUTPUT_EXISTS = ("output-exists", Conflict,
        "The file or folder that the command should write exists already and would be overwritten. Choose \
         another name or remove it.");
    /// A malformed option or name.
    USAGE = ("usage", Usage,
        "The command was not understood: an option is missing, unknown or contradicts another.");
    /// Not a domain name. Detail, where it is an address: `address`.
    DOMAIN_INVALID = ("domain-invalid", Usage,
        "What was given is not a domain name. A domain is labels of 1 to 63 letters, digits and hyphens, \
         joined by dots, at most 253 characters in all (RFC 1035, section 2.3.4), such as `example.com`. \
         International names are accepted and written in their ASCII form (IDNA 2008, RFC 5891). \
         An IP address is not a domain.");
    /// A public suffix.
    DOMAIN_SUFFIX = ("domain-suffix", Usage,
        "The name is a public suffix or a single label: nobody can register names directly there and own it. \
         Give the name that you registered, such as `example.com` rather than `com`.");
    /// A sub-level domain. Detail: `registered`, the domain that it is below.
    DOMAIN_SUBLEVEL = ("domain-sublevel", Usage,
        "The name lies below the domain that was registered, such as `cloudron.example.com` below `example.com`. \
         Apps would then live two levels down and mail records would go into a zone that other services use, \
         so the registered domain is the default.");
    /// Not a backup id.
    BACKUP_ID_INVALID = ("backup-id-invalid", Usage,
        "What was given is not a backup id. Ids look like `backup_2026-11-24T03-00-00Z_v0.1.0`; \
         `latest` stands for the newest.");
    /// Not a version.
    VERSION_INVALID = ("version-invalid", Usage,
        "What was given is not a version number of the form MAJOR.MINOR.PATCH (semver.org).");
    /// Not a usable secret reference.
    SECRET_REF = ("secret-ref", Usage,
        "A secret is given as `file:PATH`, `env:NAME`, `cmd:PROGRAM`, `-` (one line from standard input) or \
         literally. The reference could not be understood, or names something that does not exist or is empty.");
    /// A command that should print a secret failed.
    SECRET_COMMAND = ("secret-command", Failed,
        "The program given as `cmd:PROGRAM` to obtain a secret did not succeed. Run it by hand: it must exit \
         with 0 and print the secret as its first line.");
    /// A deadline passed.
    TIMED_OUT = ("timed-out", TimedOut,
        "The operation did not finish within its time limit. The message says what was waited for and how long.");
    /// The user stopped it. A run that can be resumed is named by a detail.
    INTERRUPTED = ("interrupted", Interrupted,
        "The operation was stopped by Ctrl-C or a signal. What was under way is recorded.");
}
