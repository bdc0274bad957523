//! SSH authentication.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cloudron_core::{Error, Result, Secret};
use ssh2::Session;

use super::error;
use super::keys::{self, KeyFile};
use super::watch::Watch;
use crate::codes;

/// Asks the user for the passphrase of a key file; `None` cancels. Called on a thread that may block, at most three
/// times.
pub type AskPassphrase = Arc<dyn Fn(&Path) -> Option<Secret> + Send + Sync>;

/// The credentials for a login: a key file, or the keys of ssh-agent.
#[derive(Clone)]
pub struct Auth {
    key: Option<String>,
    agent: Option<PathBuf>,
    ask: Option<AskPassphrase>,
    home: Option<PathBuf>,
    passphrases: Passphrases,
}

/// The correct passphrases, by key file. All connections of one [`Auth`] share them.
type Passphrases = Arc<Mutex<Vec<(PathBuf, Secret)>>>;

impl Default for Auth {
    /// Uses the keys of ssh-agent, then the usual files in `~/.ssh`.
    fn default() -> Self {
        let agent = std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty()).map(PathBuf::from);
        Self { key: None, agent, ask: None, home: keys::home(), passphrases: Passphrases::default() }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("key", &self.key).field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Auth {
    /// Uses that key, found as described at [`keys::find`]. If it is encrypted and ssh-agent holds it, the agent is
    /// used.
    pub fn key(name: impl Into<String>) -> Self {
        Self { key: Some(name.into()), ..Self::default() }
    }

    /// Asks for the passphrase of an encrypted key: once for all connections.
    pub fn ask_passphrase(mut self, ask: AskPassphrase) -> Self {
        self.ask = Some(ask);
        self
    }

    /// Does not use ssh-agent.
    pub fn without_agent(mut self) -> Self {
        self.agent = None;
        self
    }

    /// Uses the ssh-agent at that socket instead of the one in `SSH_AUTH_SOCK`.
    pub fn agent_at(mut self, socket: impl Into<PathBuf>) -> Self {
        self.agent = Some(socket.into());
        self
    }

    /// Uses another home folder.
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Reads the key files, so that problems with them are reported before connecting.
    pub(super) fn load(&self) -> Result<Credentials> {
        let mut keys = Vec::new();
        match (&self.key, &self.home) {
            (Some(name), home) => {
                let key = KeyFile::read(&keys::find(name, home.as_deref())?)?;
                if key.encrypted() && self.ask.is_none() && self.agent.is_none() {
                    return Err(locked(key.path()));
                }
                keys.push(key);
            }
            (None, Some(home)) => {
                for name in ["id_ed25519", "id_ecdsa", "id_rsa"] {
                    let path = home.join(".ssh").join(name);
                    if path.is_file() {
                        keys.push(KeyFile::read(&path)?);
                    }
                }
            }
            (None, None) => {}
        }
        if keys.is_empty() && self.agent.is_none() {
            let message =
                "there is no SSH key: no agent runs, and ~/.ssh has no id_ed25519, id_ecdsa or id_rsa";
            return Err(Error::new(&codes::SSH_KEY_MISSING, message));
        }
        let named = self.key.is_some();
        Ok(Credentials {
            keys,
            named,
            agent: self.agent.clone(),
            ask: self.ask.clone(),
            passphrases: self.passphrases.clone(),
        })
    }
}

fn locked(path: &Path) -> Error {
    Error::new(
        &codes::SSH_KEY_ENCRYPTED,
        format!("the SSH key {} is encrypted, and there is nobody to ask for its passphrase", path.display()),
    )
    .with_hint(format!("run the command on a terminal, or load the key first: ssh-add {}", path.display()))
}

/// Loaded keys, and the passphrases given so far, so that a reconnection does not ask again.
pub(super) struct Credentials {
    keys: Vec<KeyFile>,
    named: bool,
    agent: Option<PathBuf>,
    ask: Option<AskPassphrase>,
    passphrases: Passphrases,
}

impl Credentials {
    /// Logs in. The time that the user takes to type a passphrase does not count for the watch.
    pub(super) fn authenticate(&self, session: &Session, user: &str, watch: &Watch) -> Result<()> {
        match session.auth_methods(user) {
            // The server accepted the login without authentication.
            _ if session.authenticated() => return Ok(()),
            Ok(methods) if methods.split(',').any(|m| m == "publickey") => {}
            Ok(methods) => {
                let message = format!("the server lets {user} in by {methods} only, not by key");
                return Err(Error::new(&codes::SSH_AUTH, message));
            }
            Err(e) => return Err(error::of(&e, "asking how to log in")),
        }
        let mut tried = Vec::new();
        if let Some(socket) = &self.agent
            && self.by_agent(session, socket, user, &mut tried)?
        {
            return Ok(());
        }
        for key in &self.keys {
            if self.by_file(session, user, key, watch)? {
                return Ok(());
            }
            tried.push(key.path().display().to_string());
        }
        let tried = if tried.is_empty() { "no key".to_string() } else { tried.join(", ") };
        let message = format!("the server refused to let {user} in with {tried}");
        Err(Error::new(&codes::SSH_AUTH, message).with_detail("user", user))
    }

    /// Tries the keys of the agent: only the named key, if one is named. A missing agent is not an error.
    fn by_agent(
        &self,
        session: &Session,
        socket: &Path,
        user: &str,
        tried: &mut Vec<String>,
    ) -> Result<bool> {
        let Ok(mut agent) = session.agent() else { return Ok(false) };
        if agent.set_identity_path(socket).is_err()
            || agent.connect().is_err()
            || agent.list_identities().is_err()
        {
            return Ok(false);
        }
        let wanted = |blob: &[u8]| !self.named || self.keys.iter().any(|k| k.public_blob() == Some(blob));
        // A server closes the connection after a few keys, six by default.
        let identities = agent.identities().unwrap_or_default();
        for identity in identities.iter().filter(|i| wanted(i.blob())).take(5) {
            match agent.userauth(user, identity) {
                Ok(()) => {
                    tracing::debug!(user, key = identity.comment(), "the agent's key was accepted");
                    return Ok(true);
                }
                Err(e) if error::is_lost(&e) => return Err(error::of(&e, "logging in")),
                Err(_) => tried.push(format!("the agent's key {}", identity.comment())),
            }
        }
        Ok(false)
    }

    /// Tries one key file and returns whether the server accepted it.
    fn by_file(&self, session: &Session, user: &str, key: &KeyFile, watch: &Watch) -> Result<bool> {
        if !key.encrypted() {
            return self.offer(session, user, key, None).map(|o| o == Offer::Taken);
        }
        if let Some(known) = self.remembered(key.path()) {
            return self.offer(session, user, key, Some(&known)).map(|o| o == Offer::Taken);
        }
        let Some(ask) = &self.ask else { return Err(locked(key.path())) };
        for _ in 0..3 {
            let Some(passphrase) = watch.paused(|| ask(key.path())) else { return Err(locked(key.path())) };
            match self.offer(session, user, key, Some(&passphrase))? {
                Offer::Taken => {
                    self.remember(key.path(), passphrase);
                    return Ok(true);
                }
                Offer::Refused => return Ok(false),
                Offer::Locked => {}
            }
        }
        Err(Error::new(
            &codes::SSH_KEY_PASSPHRASE,
            format!("the passphrase does not open {}", key.path().display()),
        ))
    }

    fn offer(
        &self,
        session: &Session,
        user: &str,
        key: &KeyFile,
        passphrase: Option<&Secret>,
    ) -> Result<Offer> {
        tracing::debug!(user, key = %key.path().display(), "offers a key");
        let passphrase = passphrase.map(Secret::expose);
        match session.userauth_pubkey_memory(user, None, key.text(), passphrase) {
            Ok(()) => Ok(Offer::Taken),
            Err(e) if error::is_lost(&e) => Err(error::of(&e, "logging in")),
            Err(e) if error::is_unreadable_key(&e) && key.encrypted() => Ok(Offer::Locked),
            Err(e) if error::is_unreadable_key(&e) => {
                let message = format!(
                    "{} could not be read as an SSH private key: {}",
                    key.path().display(),
                    e.message()
                );
                Err(Error::new(&codes::SSH_KEY_FORMAT, message))
            }
            Err(_) => Ok(Offer::Refused),
        }
    }

    fn remembered(&self, path: &Path) -> Option<Secret> {
        let known = self.passphrases.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.iter().find(|(p, _)| p == path).map(|(_, s)| s.clone())
    }

    fn remember(&self, path: &Path, passphrase: Secret) {
        let mut known = self.passphrases.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.push((path.into(), passphrase));
    }
}

/// The outcome of offering a key.
#[derive(Debug, PartialEq, Eq)]
enum Offer {
    Taken,
    Refused,
    /// The key could not be decrypted.
    Locked,
}
