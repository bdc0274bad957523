//! A machine that can run commands, receive files and connect to its ports.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Cancel, Code, Progress, Result, Secret};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

/// A machine on which commands can be run: a server reached by SSH, or this machine.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Describes the machine in messages: `root@192.0.2.7 (port 22)`, or `this machine`.
    fn describe(&self) -> String;

    /// Returns what has to be recorded to recognise the machine again, as a JSON object: for SSH its port and host key.
    /// Returns `None` for machines that need not be recognised.
    fn identity(&self) -> Option<serde_json::Value> {
        None
    }

    /// Runs a command to its end. An exit status other than 0 is a result, not an error: see [`Output::success`] and
    /// [`answer`](crate::answer).
    ///
    /// Dropping the future closes the command's streams; the process may continue to run until it notices.
    ///
    /// # Errors
    /// `ssh-lost` (retryable) if the connection broke, `timed-out` after the command's time limit, `interrupted` if it
    /// was cancelled, `program-missing` if the program does not exist on this machine.
    async fn exec(&self, command: Command) -> Result<Output>;

    /// Writes a file atomically and verifies its SHA-256. A file that already exists with the same content is kept, and
    /// an interrupted transfer continues where it stopped, even in a later process. `mode` is the file's mode, such as
    /// `0o755`. On a server, root owns the file.
    ///
    /// # Errors
    /// As [`exec`](Self::exec); an unreadable file; `upload-mismatch`; `no-space` if the disk is full.
    async fn upload(
        &self,
        local: &Path,
        remote: &str,
        mode: u32,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<()> {
        crate::upload::by_exec(self, local, remote, mode, progress, cancel).await
    }

    /// Connects to a TCP port on the machine's own loopback address, 127.0.0.1.
    ///
    /// # Errors
    /// `ssh-refused` if nothing listens there, `ssh-lost` if the connection broke.
    async fn forward(&self, port: u16) -> Result<Box<dyn Stream>>;
}

/// A bidirectional byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The standard input of a command.
#[derive(Default)]
pub enum Stdin {
    /// Empty input.
    #[default]
    Empty,
    /// These bytes, wiped from memory afterwards.
    Bytes(Zeroizing<Vec<u8>>),
    /// The content of a file, from this offset in bytes.
    File(PathBuf, u64),
    /// The data of a reader. It may block: it is read on a separate thread.
    Reader(Box<dyn Read + Send>),
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Bytes(_) => "Bytes(…)",
            Self::File(..) => "File(…)",
            Self::Reader(_) => "Reader(…)",
        })
    }
}

/// Called with each line that a command prints, without its line end.
pub type OnLine = Box<dyn FnMut(&str) + Send>;

/// A command to run, built up by its methods.
///
/// ```
/// use cloudron_provision::Command;
/// use std::time::Duration;
///
/// let command = Command::new(["systemctl", "is-active", "cloudron-box"]).within(Duration::from_secs(10)).as_root();
/// assert_eq!(command.argv[0], "systemctl");
/// ```
#[non_exhaustive]
pub struct Command {
    /// The program and its arguments. Do not put secrets here: every user of the machine can read them.
    pub argv: Vec<String>,
    /// The standard input.
    pub stdin: Stdin,
    /// Called with each line of standard output, which then is not collected in [`Output::stdout`].
    pub on_stdout: Option<OnLine>,
    /// Time limit.
    pub limit: Duration,
    /// True if the command needs root: then `sudo -n` is prepended if the login is another user. Ignored on this
    /// machine.
    pub root: bool,
    /// Cancels the command.
    pub cancel: Option<Cancel>,
    /// The error codes that the command may report, in addition to those of this crate and of `cloudron-core`. An
    /// unknown code only appears in the message.
    pub codes: Vec<&'static Code>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("argv", &self.argv)
            .field("stdin", &self.stdin)
            .field("limit", &self.limit)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Command {
    /// Default time limit of a command: one minute.
    pub const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

    /// Creates a command with empty input and the default time limit.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Stdin::Empty,
            on_stdout: None,
            limit: Self::DEFAULT_LIMIT,
            root: false,
            cancel: None,
            codes: Vec::new(),
        }
    }

    /// Creates a command from a POSIX shell script, with arguments `$1` and so on. Never insert values into the script
    /// itself.
    pub fn sh<S: Into<String>>(script: impl Into<String>, arguments: impl IntoIterator<Item = S>) -> Self {
        let head = ["sh".to_string(), "-c".into(), script.into(), "sh".into()];
        Self::new(head.into_iter().chain(arguments.into_iter().map(Into::into)))
    }

    /// Sets the standard input.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets a secret text as standard input.
    pub fn stdin_secret(self, secret: &Secret) -> Self {
        self.stdin(Stdin::Bytes(Zeroizing::new(secret.expose().as_bytes().to_vec())))
    }

    /// Sets a value as standard input, as JSON. The value may contain secrets.
    ///
    /// # Panics
    /// If the value cannot be represented in JSON, such as a map whose keys are not strings.
    pub fn stdin_json(self, value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).expect("the value is made of texts, numbers, lists and maps");
        self.stdin(Stdin::Bytes(Zeroizing::new(bytes)))
    }

    /// Calls `callback` with each line of standard output.
    pub fn each_line(mut self, callback: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_stdout = Some(Box::new(callback));
        self
    }

    /// Sets the time limit.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the command as root.
    pub fn as_root(mut self) -> Self {
        self.root = true;
        self
    }

    /// Sets the error codes that the command may report.
    pub fn knowing(mut self, codes: &[&'static Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Cancels the command through `cancel`.
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Formats the command as one shell line, for traces. It contains no secrets, because arguments must not.
    pub(crate) fn line(&self) -> String {
        let line = crate::quote::command(&self.argv);
        match line.char_indices().nth(300) {
            None => line,
            Some((end, _)) => format!("{}…", &line[..end]),
        }
    }

    /// Returns the program's name, for messages: the arguments may be long.
    pub fn name(&self) -> String {
        let shown: Vec<&str> =
            self.argv.iter().take(3).map(String::as_str).take_while(|a| !a.contains('\n')).collect();
        shown.join(" ")
    }
}

/// The outcome of a command and its output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// The exit status; 128 plus the signal number if a signal ended the command, as in shells.
    pub status: i32,
    /// Standard output, empty if it was passed to a callback. At most 64 MiB, otherwise the command fails.
    pub stdout: Vec<u8>,
    /// The last 64 KiB of standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Maximum amount of standard output that is collected, in bytes.
    pub const STDOUT_LIMIT: usize = 64 << 20;
    /// Maximum amount of standard error that is kept, in bytes.
    pub const STDERR_LIMIT: usize = 64 << 10;

    /// Creates the output of a finished command: for implementations of [`Remote`].
    pub fn new(status: i32, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Self {
        Self { status, stdout: stdout.into(), stderr: stderr.into() }
    }

    /// Returns whether the exit status is 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// Returns standard output as text, with invalid UTF-8 replaced and surrounding white space removed.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_string()
    }
}
