//! A machine reached by SSH.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, ErrorKind, Result, RetryPolicy, SystemClock};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::oneshot;

use super::auth::Credentials;
use super::channel::{Kind, Opening};
use super::session::{Handle, Nudge};
use super::{Auth, HostKey, HostKeyPolicy, SshTarget, error, handshake};
use crate::codes;
use crate::remote::{Command, Output, Remote, Stream};
use crate::{pump, quote};

/// Size of the buffer of a channel's stream, in bytes.
const PIPE: usize = 256 << 10;

/// A server with an SSH session to it. If the connection broke, the next command reconnects and trusts only the host
/// key of the first connection.
pub struct SshRemote {
    target: SshTarget,
    credentials: Arc<Credentials>,
    key: HostKey,
    limit: Duration,
    session: tokio::sync::Mutex<Arc<Handle>>,
}

/// Connects, checks the host key, and logs in. The time limit applies to connecting and to each exchange with the
/// server after that; the time that the user needs for an answer does not count.
///
/// # Errors
/// `ssh-key-missing`, `ssh-key-mode`, `ssh-key-format`, `ssh-key-encrypted`, `ssh-key-passphrase`;
/// `ssh-refused`, `ssh-unreachable`, `ssh-timeout` (all retryable); `ssh-protocol`; `host-key-unknown`,
/// `host-key-changed`, `host-key-mismatch`, `host-key-revoked`, `host-key-refused`; `ssh-auth`.
pub async fn connect(
    target: SshTarget,
    auth: &Auth,
    policy: HostKeyPolicy,
    limit: Duration,
) -> Result<SshRemote> {
    let auth = auth.clone();
    let loading = tokio::task::spawn_blocking(move || auth.load());
    let credentials = Arc::new(loading.await.map_err(|_| error::lost("reading the key broke off"))??);
    SshRemote::with(target, credentials, policy, limit).await
}

/// Returns the host keys that a server presents, one for each of its algorithms. Only what the protocol requires before
/// a login is sent, so no key has to be trusted.
///
/// # Errors
/// `ssh-refused`, `ssh-unreachable`, `ssh-timeout`; `ssh-protocol`.
pub async fn host_keys(target: SshTarget, limit: Duration) -> Result<Vec<HostKey>> {
    let shown = tokio::task::spawn_blocking(move || handshake::shown(&target, limit));
    shown.await.map_err(|_| error::lost("reading the host keys was interrupted"))?
}

impl SshRemote {
    async fn with(
        target: SshTarget,
        credentials: Arc<Credentials>,
        policy: HostKeyPolicy,
        limit: Duration,
    ) -> Result<Self> {
        let handle = Handle::connect(target.clone(), credentials.clone(), policy, limit).await?;
        let key = handle.key().clone();
        Ok(Self { target, credentials, key, limit, session: tokio::sync::Mutex::new(Arc::new(handle)) })
    }

    /// Returns the server's host key, to be recorded and then used as [`HostKeyPolicy::Pinned`].
    pub fn host_key(&self) -> &HostKey {
        &self.key
    }

    /// Returns the address of the server.
    pub fn target(&self) -> &SshTarget {
        &self.target
    }

    /// Opens a new session to the same server on another port, with the same credentials. It trusts only the same host
    /// key.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn connect_on(&self, port: u16) -> Result<Self> {
        let pinned = HostKeyPolicy::Pinned(vec![self.key.clone()]);
        Self::with(self.target.clone().on_port(port), self.credentials.clone(), pinned, self.limit).await
    }

    /// Returns the session, or a new one if it is known to be lost.
    async fn session(&self) -> Result<Arc<Handle>> {
        let mut session = self.session.lock().await;
        if !session.alive() {
            let pinned = HostKeyPolicy::Pinned(vec![self.key.clone()]);
            *session = Arc::new(
                Handle::connect(self.target.clone(), self.credentials.clone(), pinned, self.limit).await?,
            );
        }
        Ok(session.clone())
    }

    /// Opens a channel. If the session turns out to be lost before the channel is open, it is replaced once. If the
    /// server has no free session, it is asked again for a while: nothing has been done yet.
    async fn open(&self, kind: impl Fn() -> Kind) -> Result<Opened> {
        let policy = RetryPolicy::attempts(12).waits(Duration::from_millis(50), Duration::from_secs(1));
        let attempt = || async {
            match self.open_on(self.session().await?, kind()).await {
                Err(e) if e.is(&codes::SSH_LOST) => {
                    tracing::info!(reason = %e, "connecting anew");
                    self.open_on(self.session().await?, kind()).await
                }
                other => other,
            }
            .map_err(|e| if e.is(&codes::SSH_SESSIONS) { e } else { e.retryable(false) })
        };
        let outcome = policy.within(Duration::from_secs(10)).run(&SystemClock, attempt).await;
        outcome.map_err(|e| {
            let passing = e.kind() == ErrorKind::Unavailable || e.is(&codes::SSH_TIMEOUT);
            e.retryable(passing)
        })
    }

    async fn open_on(&self, session: Arc<Handle>, kind: Kind) -> Result<Opened> {
        let separate_errors = matches!(kind, Kind::Exec(_));
        let (input, theirs_in) = tokio::io::duplex(PIPE);
        let (output, theirs_out) = tokio::io::duplex(PIPE);
        let (errors, theirs_err) = tokio::io::duplex(PIPE);
        let (started, opened) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let opening = Opening {
            kind,
            input: Box::new(theirs_in),
            output: Box::new(theirs_out),
            errors: separate_errors.then(|| Box::new(theirs_err) as Box<dyn AsyncWrite + Send + Unpin>),
            started,
            ended,
        };
        session.open(opening)?;
        let nudge = session.nudge();
        opened.await.map_err(|_| error::lost("its thread ended"))??;
        Ok(Opened { input, output, errors, end, _nudge: nudge, _session: session })
    }
}

/// Returns the command line for the user's shell on the server.
fn shell_command(argv: &[String], root: bool, user: &str) -> String {
    let quoted = quote::command(argv);
    if root && user != "root" { format!("sudo -n -- {quoted}") } else { quoted }
}

/// The ends of an open channel. Dropping them closes the channel.
struct Opened {
    input: DuplexStream,
    output: DuplexStream,
    errors: DuplexStream,
    end: oneshot::Receiver<Result<i32>>,
    // Dropped after `end`, so that the thread wakes up and sees that the receiver was dropped.
    _nudge: Nudge,
    _session: Arc<Handle>,
}

#[async_trait]
impl Remote for SshRemote {
    fn describe(&self) -> String {
        self.target.describe()
    }

    fn identity(&self) -> Option<serde_json::Value> {
        Some(
            serde_json::json!({ "host": self.target.host, "port": self.target.port, "user": self.target.user, "host_key": self.key }),
        )
    }

    async fn exec(&self, command: Command) -> Result<Output> {
        if command.argv.iter().any(|a| a.contains('\0')) {
            return Err(Error::new(
                &cloudron_core::codes::USAGE,
                "an argument of a command holds a zero byte",
            ));
        }
        let (name, traced) = (command.name(), command.line());
        let (limit, cancel) = (command.limit, command.cancel.clone());
        let line = shell_command(&command.argv, command.root && self.target.sudo, &self.target.user);
        let work = async {
            let opened = self.open(|| Kind::Exec(line.clone())).await?;
            // Dropped in reverse order, so that the thread is woken after the receiver of the end was dropped.
            let Opened { _nudge, _session, input, output, errors, mut end } = opened;
            let running = async {
                let ended =
                    async { (&mut end).await.unwrap_or_else(|_| Err(error::lost("its thread ended"))) };
                tokio::try_join!(ended, pump::collect(output, command.on_stdout), pump::tail(errors))
            };
            let (status, stdout, stderr) =
                pump::while_feeding(pump::feed(command.stdin, input), running).await?;
            Ok(Output::new(status, stdout, stderr))
        };
        pump::traced(&self.target.host, traced, pump::bounded(&name, limit, cancel, work)).await
    }

    async fn forward(&self, port: u16) -> Result<Box<dyn Stream>> {
        tracing::debug!(machine = self.target.host, port, "opens a connection to a port there");
        let name = format!("a connection to port {port}");
        let opened = pump::bounded(&name, self.limit * 2, None, self.open(|| Kind::Port(port))).await?;
        Ok(Box::new(Forwarded(opened)))
    }
}

/// A forwarded connection.
struct Forwarded(Opened);

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0.output).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0.input).poll_write(cx, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0.input).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0.input).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_login_that_is_not_root_uses_sudo_and_only_where_root_is_needed() {
        let argv = ["cat".to_string(), "a b".to_string()];
        assert_eq!(shell_command(&argv, true, "root"), "cat 'a b'");
        assert_eq!(shell_command(&argv, true, "debian"), "sudo -n -- cat 'a b'");
        assert_eq!(shell_command(&argv, false, "debian"), "cat 'a b'");
    }
}
