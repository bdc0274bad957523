//! A machine on which commands can be run, files put and ports reached.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Cancel, Code, Progress, Result, Secret};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

/// A machine on which commands can be run: a server over SSH, or this one.
#[async_trait]
pub trait Remote: Send + Sync {
    /// What it is, for messages: `root@192.0.2.7 (port 22)`, or `this machine`.
    fn describe(&self) -> String;

    /// What has to be remembered to recognise it again, as a JSON object: for SSH its port and host key. Nothing
    /// for machines that need no recognising.
    fn identity(&self) -> Option<serde_json::Value> {
        None
    }

    /// Runs a command to its end. An exit status other than 0 is an answer, not an error: see
    /// [`Output::success`] and [`answer`](crate::answer).
    ///
    /// Dropping the future closes the command's streams; the process may run on until it notices.
    ///
    /// # Errors
    /// `ssh-lost` (retryable) when the connection broke, `timed-out` after the command's time limit,
    /// `interrupted` when it was cancelled, `program-missing` when there is no such program here.
    async fn exec(&self, command: Command) -> Result<Output>;

    /// Puts a file there: whole and checked by its SHA-256, or not at all. A file that is there already with
    /// the same content is left, and a transfer that was cut goes on where it stopped, also in a later process.
    /// `mode` is the file's mode, such as `0o755`. Owned by root where the target is a server.
    ///
    /// # Errors
    /// As [`exec`](Self::exec); an unreadable file; `upload-mismatch`; `no-space` when the disk is full.
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

    /// A connection to a TCP port on the machine's own loopback address, 127.0.0.1.
    ///
    /// # Errors
    /// `ssh-refused` when nothing listens there, `ssh-lost` when the connection broke.
    async fn forward(&self, port: u16) -> Result<Box<dyn Stream>>;
}

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a command reads.
#[derive(Default)]
pub enum Stdin {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes, wiped from memory afterwards.
    Bytes(Zeroizing<Vec<u8>>),
    /// A file's content, from this offset on.
    File(PathBuf, u64),
    /// Whatever the reader gives. It may block: it is read on a thread of its own.
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
    /// The program and its arguments. Nothing secret belongs here: every user of the machine can read it.
    pub argv: Vec<String>,
    /// What it reads.
    pub stdin: Stdin,
    /// Called with each line of standard output, which then is not collected in [`Output::stdout`].
    pub on_stdout: Option<OnLine>,
    /// How long it may run.
    pub limit: Duration,
    /// Whether it needs root: then `sudo -n` is put in front where the login is another user. On this
    /// machine it is ignored.
    pub root: bool,
    /// Asks it to be given up early.
    pub cancel: Option<Cancel>,
    /// The error codes that it may tell of, besides those of this crate and of `cloudron-core`. One that is
    /// not known keeps its name in the message only.
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
    /// The time limit of a command that names none: one minute.
    pub const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

    /// A command that reads nothing, with the default time limit.
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

    /// A piece of POSIX shell, with arguments it sees as `$1` and on: never paste values into the script.
    pub fn sh<S: Into<String>>(script: impl Into<String>, arguments: impl IntoIterator<Item = S>) -> Self {
        let head = ["sh".to_string(), "-c".into(), script.into(), "sh".into()];
        Self::new(head.into_iter().chain(arguments.into_iter().map(Into::into)))
    }

    /// Gives it something to read.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Gives it a secret text to read.
    pub fn stdin_secret(self, secret: &Secret) -> Self {
        self.stdin(Stdin::Bytes(Zeroizing::new(secret.expose().as_bytes().to_vec())))
    }

    /// Gives it a value to read, as JSON. The value may hold secrets.
    ///
    /// # Panics
    /// When the value cannot be JSON, such as a map whose keys are no texts.
    pub fn stdin_json(self, value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).expect("the value is made of texts, numbers, lists and maps");
        self.stdin(Stdin::Bytes(Zeroizing::new(bytes)))
    }

    /// Calls back with each line it prints.
    pub fn each_line(mut self, callback: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_stdout = Some(Box::new(callback));
        self
    }

    /// Sets how long it may run.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it as root.
    pub fn as_root(mut self) -> Self {
        self.root = true;
        self
    }

    /// Says which error codes it may tell of.
    pub fn knowing(mut self, codes: &[&'static Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Gives it up when asked to.
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// The command as one line of shell, for traces. Nothing secret is in it, since arguments are no place for that.
    pub(crate) fn line(&self) -> String {
        let line = crate::quote::command(&self.argv);
        match line.char_indices().nth(300) {
            None => line,
            Some((end, _)) => format!("{}…", &line[..end]),
        }
    }

    /// The program's name, for messages: the arguments may be long.
    pub fn name(&self) -> String {
        let shown: Vec<&str> =
            self.argv.iter().take(3).map(String::as_str).take_while(|a| !a.contains('\n')).collect();
        shown.join(" ")
    }
}

/// How a command ended and what it printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// The exit status; 128 and the signal's number when a signal ended it, as shells say it.
    pub status: i32,
    /// Standard output, empty when it went to a callback. At most 64 MiB, or the command fails.
    pub stdout: Vec<u8>,
    /// The last 64 KiB of standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The most standard output that is collected, in bytes.
    pub const STDOUT_LIMIT: usize = 64 << 20;
    /// The most standard error that is kept, in bytes.
    pub const STDERR_LIMIT: usize = 64 << 10;

    /// An ended command: for implementations of [`Remote`].
    pub fn new(status: i32, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Self {
        Self { status, stdout: stdout.into(), stderr: stderr.into() }
    }

    /// Whether it ended with status 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// Standard output as text, invalid UTF-8 replaced, without white space at the ends.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_string()
    }
}
