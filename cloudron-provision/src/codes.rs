//! The error codes of this crate, and the details of errors.

/// The detail of an error of any code that left a run which can be resumed: the domain of its machine.
pub const UNFINISHED: &str = "unfinished";

cloudron_core::codes! {
    /// A command on the machine failed.
    REMOTE_COMMAND = ("remote-command", Failed,
        "A command that was run on the machine ended with an error. The message has its exit status and the last \
         lines it printed. What was done before stays.");
    /// A command on the machine gave an unintelligible response.
    REMOTE_ANSWER = ("remote-answer", Failed,
        "The program on the machine answered with something else than the JSON that was expected. Its version may \
         differ from this program's: update both.");
    /// A setup script failed on the machine.
    SETUP_SCRIPT = ("setup-script", Failed,
        "The setup script that was run in place of the installer ended with an error, or without the installer's response as \
         its last line. The message has the last lines that it printed, without the secrets that it was given. What it did \
         to a machine of one's own stays.");
    /// A text that is no setup script, or cannot be had.
    SETUP_SCRIPT_INVALID = ("setup-script-invalid", Usage,
        "What was given as setup script is none: it is longer than 1 MiB, does not begin with `#!`, or its address is not one \
         that can be trusted (https, without a password or parameters). Nothing was changed.");
    /// A run was begun with another setup script.
    SETUP_SCRIPT_CHANGED = ("setup-script-changed", Usage,
        "The unfinished run was begun with another setup script, or with one where none is given now, or with none. Its \
         SHA-256 is recorded so that a machine is not made half by one and half by another. Nothing was changed.");
    /// A program to run does not exist on this machine.
    PROGRAM_MISSING = ("program-missing", NotFound,
        "A program that has to be run does not exist, or its folder is not in the search path.");
    /// No key file exists for a name.
    SSH_KEY_MISSING = ("ssh-key-missing", NotFound,
        "No SSH key was found under the name given. A name K is looked up as a path, then as `~/.ssh/K`, \
         `~/.ssh/id_rsa_K` and `~/.ssh/id_ed25519_K`. `ssh-keygen -t ed25519 -f ~/.ssh/id_ed25519_K` makes one.");
    /// A key file that other users can read.
    SSH_KEY_MODE = ("ssh-key-mode", Denied,
        "The SSH key can be read by other users of this computer, so it must be treated as known to them. \
         Run `chmod 600` on the file; if others may have read it, replace the key.");
    /// A key file that does not contain a key. Details, where it contains the public half: `public`, the file; `private`,
    /// the file of the other half, if the names tell.
    SSH_KEY_FORMAT = ("ssh-key-format", Corrupt,
        "The file given as SSH key is no private key in OpenSSH or PEM format, or is damaged. A file that ends in \
         `.pub` is the public half: give the one without the ending. PuTTY keys are converted with `puttygen -O private-openssh`.");
    /// An encrypted key, and no way to ask for the passphrase.
    SSH_KEY_ENCRYPTED = ("ssh-key-encrypted", Denied,
        "The SSH key is encrypted and no passphrase was given. Run the command on a terminal to be asked for it, \
         or load the key into ssh-agent with `ssh-add` first.");
    /// A wrong passphrase.
    SSH_KEY_PASSPHRASE = ("ssh-key-passphrase", Denied,
        "The passphrase does not decrypt the SSH key. Check it with `ssh-keygen -y -f KEY`.");
    /// The server refused the login. Detail, where it refused the keys: `user`.
    SSH_AUTH = ("ssh-auth", Denied,
        "The server refused the login: it does not know the key, or does not let that user in. The public key has to \
         be a line of `~/.ssh/authorized_keys` of that user on the server.");
    /// No usable ssh-agent is running.
    SSH_AGENT = ("ssh-agent", Denied,
        "The SSH agent could not be reached or holds no key. `ssh-add -l` lists what it holds.");
    /// Nothing answers at that address.
    SSH_UNREACHABLE = ("ssh-unreachable", Unavailable,
        "No connection to the server's SSH port could be made. Check the address, the port and the firewall in \
         between, and that the server is running.");
    /// The connection was refused.
    SSH_REFUSED = ("ssh-refused", Unavailable,
        "The server answers at that address, but nothing listens on the SSH port. It may still be starting, or \
         listen on another port: a finished machine uses 202.");
    /// No response in time.
    SSH_TIMEOUT = ("ssh-timeout", TimedOut,
        "The server did not answer on its SSH port within the time limit. A wrong address and a firewall that drops \
         packets both look like this.");
    /// The connection broke.
    SSH_LOST = ("ssh-lost", Unavailable,
        "The SSH connection broke while it was in use. What was done before stays.");
    /// The server does not open more sessions.
    SSH_SESSIONS = ("ssh-sessions", Unavailable,
        "The server refused to run one more command over the same SSH connection: `MaxSessions` in its sshd_config is \
         reached, or its process limit. Commands that were given up count until they end.");
    /// The two sides have no algorithm in common, or the other side does not speak SSH.
    SSH_PROTOCOL = ("ssh-protocol", Failed,
        "What listens on that port does not speak SSH as expected, or offers only algorithms that are not safe any more.");
    /// A host key that is not known to be trustworthy. Detail: `fingerprint`.
    HOST_KEY_UNKNOWN = ("host-key-unknown", Denied,
        "The server's host key is not known, and nobody could be asked whether it is right. Compare the fingerprint with \
         what the server's console shows (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`).");
    /// A host key that differs from the recorded one. Details: `known_hosts`, the host, where the record is in that file;
    /// `domain`, where it is one of the run for that machine.
    HOST_KEY_CHANGED = ("host-key-changed", Denied,
        "The server shows another host key than the one recorded for it. Either the server was installed anew, or somebody \
         is in between. Nothing was sent to it. Trust the new key only when you know why it changed.");
    /// A host key that differs from the given fingerprint.
    HOST_KEY_MISMATCH = ("host-key-mismatch", Denied,
        "The server's host key does not have the fingerprint that was given, so this is another server, or somebody is in \
         between. Nothing was sent to it.");
    /// A host key that the user marked as revoked.
    HOST_KEY_REVOKED = ("host-key-revoked", Denied,
        "The server's host key is marked `@revoked` in your known_hosts file. Nothing was sent to it.");
    /// Not a host key or fingerprint.
    HOST_KEY_INVALID = ("host-key-invalid", Usage,
        "What was given is no host key or fingerprint. A fingerprint looks like `SHA256:` and 43 characters, as \
         `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it on the server.");
    /// The user rejected the host key.
    HOST_KEY_REFUSED = ("host-key-refused", Denied,
        "You answered that the host key is not the right one. Nothing was sent to the server.");
    /// The program is built for another processor architecture. Detail: `machine`, the one of the machine.
    ARCHITECTURE = ("wrong-architecture", Usage,
        "The program that would be copied to the machine is built for another processor than the machine has.");
    /// Not a Linux executable.
    NOT_A_PROGRAM = ("not-a-program", Corrupt,
        "The file for the machine is not a Linux executable (ELF), or not this program: its `version` does not answer there.");
    /// The machine does not run Linux.
    NOT_LINUX = ("machine-not-linux", Usage,
        "The machine does not run Linux. Servers are installed on Linux with systemd, such as Debian 12 or Ubuntu 24.04.");
    /// The machine has no systemd.
    NO_SYSTEMD = ("machine-no-systemd", Usage,
        "systemd does not run as process 1 of the machine. The server is a systemd service; use a distribution that has it, \
         such as Debian 12 or Ubuntu 24.04, on a whole machine rather than in a plain container.");
    /// Root rights are missing.
    NO_ROOT = ("machine-no-root", Denied,
        "The user that logs in is not root and may not use `sudo` without a password. Log in as root, or allow it in sudoers.");
    /// Too little disk space on the machine.
    MACHINE_DISK = ("machine-disk", Failed,
        "The machine has too little free disk space for the server. The message says how much is free and how much is needed.");
    /// The machine runs another server.
    MACHINE_TAKEN = ("machine-taken", Conflict,
        "The machine already runs a server of another name. Nothing on it was changed. Use another machine, or \
         remove that server first.");
    /// The machine already runs this server. Detail: `domain`.
    MACHINE_CARRIES_SERVER = ("machine-carries-server", Conflict,
        "The machine already runs a server of this name, made by another run or from another computer.");
    /// cloud-init failed or took too long.
    CLOUD_INIT = ("cloud-init", TimedOut,
        "The machine's first-boot program (cloud-init) did not finish in time. `cloud-init status --long` on the machine says \
         what it is doing.");
    /// The uploaded file differs.
    UPLOAD_MISMATCH = ("upload-mismatch", Failed,
        "The file that arrived on the machine does not have the hash of the one that was sent. It was removed again; \
         the machine's disk or memory may be faulty.");
    /// A journal that cannot be read.
    JOURNAL_CORRUPT = ("journal-corrupt", Corrupt,
        "The journal of an unfinished run has a line that is no valid record, so what was done cannot be told for certain. \
         Nothing was changed. Look at the file that the message names and at what the run has made on the machine, then \
         move the file away: the run is not known any more. Runs of other names are not affected.");
    /// A journal from a newer version.
    JOURNAL_VERSION = ("journal-version", Corrupt,
        "The journal was written by a newer version of this program. Use that version to go on.");
    /// The run does not exist.
    RUN_MISSING = ("run-missing", NotFound,
        "There is no unfinished run with that id or for that name on this computer.");
    /// Another process works on the same name.
    RUN_BUSY = ("run-busy", Conflict,
        "Another process on this computer is working on the machine of the same name. Wait for it to end.");
    /// An earlier run of the same name is unfinished. Detail: `domain`.
    RUN_EXISTS = ("run-exists", Conflict,
        "An earlier run for the machine of that name did not end. It can be resumed, or what it made can be removed.");
    /// A run that can be resumed. Detail: [`UNFINISHED`].
    RUN_UNFINISHED = ("run-unfinished", Partial,
        "The work is partly done and recorded. It can be resumed where it stopped, or what exists can be removed.");
    /// The steps of the resumed run differ. Detail: `domain`.
    RUN_PLAN_CHANGED = ("run-plan-changed", Usage,
        "The unfinished run was begun with other options, so its steps differ from those of this command. Resume with the \
         options it was begun with, or remove what exists.");
    /// A failed run was rolled back.
    RUN_ROLLED_BACK = ("run-rolled-back", Failed,
        "The unfinished run had failed and was being undone. It is undone now, and a new run can begin.");
    /// Undoing failed for some steps. Detail: `domain`.
    UNDO_FAILED = ("undo-failed", Partial,
        "Something that this run had made could not be removed again. The message lists what is left. Remove the cause and \
         undo it again.");
    /// An object of the same name exists and is not ours.
    STEP_FOREIGN = ("step-foreign", Conflict,
        "Something with the name that is needed exists already and was not made by this program. It was left as it is.");
    /// A step panicked.
    STEP_PANICKED = ("step-panicked", Failed,
        "A step of the run broke off because of a fault in the program. What it did is recorded as uncertain, and is looked \
         at again when the run is resumed.");
    /// The server did not become healthy.
    UNHEALTHY = ("unhealthy", TimedOut,
        "The server was installed and started and does not answer as it should within the time limit. \
         `journalctl -u cloudron-box` on the machine says why.");
    /// The new SSH port does not work. Detail, where it did not answer: `blocked`, the port.
    SSH_PORT = ("ssh-port", Failed,
        "The server's SSH could not be moved to another port. The port before still works and the settings were restored. \
         The message says what failed. When the new port did not answer, a firewall or a cloud's security group blocks it: \
         allow TCP port 202, or leave SSH where it is.");
    /// A port on this machine is in use.
    PORT_TAKEN = ("port-taken", Conflict,
        "The port is in use by another program. Choose another one.");
}
