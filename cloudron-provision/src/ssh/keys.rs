//! Key files: finding them, and determining their type before use.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloudron_core::{Error, Result};
use zeroize::Zeroizing;

use crate::codes;

/// Returns the user's home folder, from `HOME`.
pub fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from)
}

/// Finds the key file for a name: the path itself, then `~/.ssh/NAME`, `~/.ssh/id_rsa_NAME` and
/// `~/.ssh/id_ed25519_NAME`.
///
/// # Errors
/// `ssh-key-missing`, with the paths that were tried.
pub fn find(name: &str, home: Option<&Path>) -> Result<PathBuf> {
    let mut tried = Vec::new();
    match (name.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => tried.push(home.join(rest)),
        _ => tried.push(PathBuf::from(name)),
    }
    if let (false, Some(home)) = (name.contains('/') || name.is_empty(), home) {
        let ssh = home.join(".ssh");
        tried.extend([
            ssh.join(name),
            ssh.join(format!("id_rsa_{name}")),
            ssh.join(format!("id_ed25519_{name}")),
        ]);
    }
    if let Some(path) = tried.iter().find(|p| p.is_file()) {
        return Ok(path.clone());
    }
    let list = tried.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(Error::new(&codes::SSH_KEY_MISSING, format!("there is no SSH key {name:?}; looked for {list}"))
        .with_hint("give the path of a private key, or make one with `ssh-keygen -t ed25519`"))
}

/// Returns the public half of a private key file as a line of authorized_keys: of the file
/// itself, if its format has that in clear, otherwise of `KEY.pub` beside it.
///
/// # Errors
/// `ssh-key-format` if there is no such file and the private key does not tell; as [`KeyFile::read`].
pub fn public_line(path: &Path) -> Result<String> {
    let file = KeyFile::read(path)?;
    if let Some(key) = file.public_blob().and_then(|blob| super::HostKey::from_blob(blob).ok()) {
        return Ok(key.to_string());
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    let line = std::fs::read_to_string(&beside).ok().and_then(|text| one_key(&text));
    line.ok_or_else(|| {
        let (path, beside) = (path.display(), beside.display());
        let message = format!("the public half of {path} is not known: {beside} does not have it");
        Error::new(&codes::SSH_KEY_FORMAT, message)
            .with_hint(format!("make it with `ssh-keygen -y -f {path} > {beside}`"))
    })
}

/// Returns the only line of a file with a public key.
fn one_key(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().filter(|line| line.parse::<super::HostKey>().is_ok())?;
    lines.next().is_none().then(|| line.to_owned())
}

/// A private key in the form of its file, possibly encrypted.
pub struct KeyFile {
    path: PathBuf,
    text: Zeroizing<String>,
    encrypted: bool,
    public: Option<Vec<u8>>,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile")
            .field("path", &self.path)
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

impl KeyFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// `ssh-key-mode` if other users can read it; `ssh-key-format`; `permission` and similar codes.
    pub fn read(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if path.extension().is_some_and(|e| e == "pub") {
            return Err(public_half(path));
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let message =
                format!("the SSH key {} has the mode {mode:04o}: others may read it", path.display());
            return Err(
                Error::new(&codes::SSH_KEY_MODE, message).with_hint(format!("chmod 600 {}", path.display()))
            );
        }
        if metadata.len() > 1 << 20 {
            return Err(no_key(path, "it is too large"));
        }
        let bytes = Zeroizing::new(std::fs::read(path).map_err(|e| Error::io(path, e))?);
        let text = std::str::from_utf8(&bytes).map_err(|_| no_key(path, "it is not a text"))?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let text = text.trim_start();
        let key = |encrypted, public| Self {
            path: path.into(),
            text: Zeroizing::new(text.into()),
            encrypted,
            public,
        };
        if let Some(body) =
            between(text, "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")
        {
            let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
            let raw =
                STANDARD.decode(&*body).map(Zeroizing::new).map_err(|_| no_key(path, "it is damaged"))?;
            let (encrypted, public) = open_ssh(&raw).ok_or_else(|| no_key(path, "it is damaged"))?;
            return Ok(key(encrypted, Some(public)));
        }
        if text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            return Ok(key(true, None));
        }
        if text.starts_with("-----BEGIN ")
            && text.lines().next().is_some_and(|l| l.contains("PRIVATE KEY-----"))
        {
            return Ok(key(text.contains("Proc-Type: 4,ENCRYPTED"), None));
        }
        if ["ssh-", "ecdsa-", "sk-"].iter().any(|p| text.starts_with(p)) {
            return Err(public_half(path));
        }
        if text.starts_with("PuTTY-User-Key-File") {
            let hint = format!("convert it: puttygen {} -O private-openssh -o KEY", path.display());
            return Err(no_key(path, "it has PuTTY's format").with_hint(hint));
        }
        Err(no_key(path, "it is in no format that is known"))
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether a passphrase is needed.
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Returns the public key in wire format, if the file contains it in clear (OpenSSH format).
    pub fn public_blob(&self) -> Option<&[u8]> {
        self.public.as_deref()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

fn public_half(path: &Path) -> Error {
    let error = no_key(path, "it is the public half").with_detail("public", path.display().to_string());
    match path.extension().filter(|e| *e == "pub") {
        Some(_) => error.with_detail("private", path.with_extension("").display().to_string()),
        None => error,
    }
}

fn no_key(path: &Path, why: &str) -> Error {
    Error::new(&codes::SSH_KEY_FORMAT, format!("{} is not a usable SSH private key: {why}", path.display()))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.strip_prefix(start)?.split_once(end)?.0)
}

/// Parses the head of OpenSSH's format (PROTOCOL.key): whether the rest is encrypted, and the public key.
fn open_ssh(raw: &[u8]) -> Option<(bool, Vec<u8>)> {
    let mut rest = raw.strip_prefix(b"openssh-key-v1\0")?;
    let mut string = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (value, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(value)
    };
    let cipher = string()?;
    let (_kdf, _options) = (string()?, string()?);
    let (count, after) = rest.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*count) != 1 {
        return None;
    }
    let (length, after) = after.split_first_chunk::<4>()?;
    let public = after.get(..u32::from_be_bytes(*length) as usize)?;
    Some((cipher != b"none", public.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    fn home_with(files: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        for file in files {
            write(home.path().join(".ssh").join(file), "x").unwrap();
        }
        home
    }

    #[test]
    fn a_name_is_looked_up_in_the_documented_order() {
        let home = home_with(&["k", "id_rsa_k", "id_ed25519_k", "id_rsa_r", "id_ed25519_r", "id_ed25519_e"]);
        let file =
            |n: &str| find(n, Some(home.path())).unwrap().file_name().unwrap().to_str().unwrap().to_string();
        assert_eq!((file("k"), file("r"), file("e")), ("k".into(), "id_rsa_r".into(), "id_ed25519_e".into()));
        assert_eq!(find("~/.ssh/k", Some(home.path())).unwrap(), home.path().join(".ssh/k"));
    }

    #[test]
    fn a_missing_key_says_what_was_tried() {
        let home = home_with(&[]);
        let error = find("nope", Some(home.path())).unwrap_err();
        assert_eq!(error.kind().exit_code(), 3);
        for tried in [".ssh/nope", "id_rsa_nope", "id_ed25519_nope"] {
            assert!(error.message().contains(tried), "{error}");
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_command_that_helps() {
        let home = home_with(&["k"]);
        let path = home.path().join(".ssh/k");
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = KeyFile::read(&path).unwrap_err();
        assert_eq!(error.kind().exit_code(), 4);
        assert_eq!(error.hint(), Some(format!("chmod 600 {}", path.display()).as_str()));
    }

    #[test]
    fn what_is_no_private_key_is_said_to_be_what_it_is() {
        let refused = |text| KeyFile::parse(Path::new("k"), text).unwrap_err();
        assert_eq!(refused("ssh-ed25519 AAAA me").detail("public"), Some("k"));
        assert!(refused("PuTTY-User-Key-File-3: x").hint().unwrap().contains("puttygen"));
        assert!(refused("").is(&codes::SSH_KEY_FORMAT));
        assert!(
            refused("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----")
                .is(&codes::SSH_KEY_FORMAT)
        );
    }

    #[test]
    fn encrypted_pem_keys_are_recognised() {
        let pem = |text| KeyFile::parse(Path::new("k"), text).unwrap().encrypted();
        assert!(pem("-----BEGIN ENCRYPTED PRIVATE KEY-----\nx"));
        assert!(pem("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0\n\nx"));
        assert!(!pem("-----BEGIN RSA PRIVATE KEY-----\nx"));
    }
}
