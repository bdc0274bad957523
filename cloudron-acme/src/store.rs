//! The folder in which accounts and certificates are kept. `docs/certificates.md` describes it.
//!
//! Every file is replaced as a whole and has mode 0600. A certificate and its key are one file, so that they change in one
//! instant.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cloudron_core::atomic;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::state::{Ledger, Record};
use crate::{Error, Result, codes};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// The folder, which no other process works with while this value lives.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    _lock: File,
}

impl Store {
    /// Opens the folder, and creates it if it does not exist.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        for part in ["", "accounts", "certificates"] {
            let path = folder.join(part);
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            let closed = made.and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)));
            closed.map_err(|e| Error::io(&path, e))?;
        }
        let path = folder.join("lock");
        let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(|e| Error::io(&path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process works with {}", folder.display());
                Err(Error::new(&codes::BUSY, message))
            }
            Err(TryLockError::Error(e)) => Err(Error::io(&path, e)),
        }
    }

    /// Reads the account at a directory, as its JSON.
    pub(crate) fn account<T: DeserializeOwned>(&self, directory: &str) -> Result<Option<T>> {
        read(&self.account_file(directory))
    }

    pub(crate) fn put_account(&self, directory: &str, account: &impl Serialize) -> Result<()> {
        write(&self.account_file(directory), account)
    }

    pub(crate) fn ledger(&self) -> Result<Ledger> {
        Ok(read(&self.folder.join("ledger.json"))?.unwrap_or_default())
    }

    pub(crate) fn put_ledger(&self, ledger: &Ledger) -> Result<()> {
        write(&self.folder.join("ledger.json"), ledger)
    }

    pub(crate) fn record(&self, id: &str) -> Result<Option<Record>> {
        read(&self.file(id, "json"))
    }

    pub(crate) fn put_record(&self, id: &str, record: &Record) -> Result<()> {
        write(&self.file(id, "json"), record)
    }

    /// Reads a certificate with its key, PEM.
    pub(crate) fn certificate(&self, id: &str) -> Result<Option<String>> {
        text(&self.file(id, "pem"))
    }

    /// Puts a certificate with its key in the place of the old one.
    pub(crate) fn put_certificate(&self, id: &str, pem: &str) -> Result<()> {
        atomic::write(&self.file(id, "pem"), 0o600, pem.as_bytes())
    }

    /// Moves a certificate that cannot be used out of the way. It is kept, for whoever wants to know why.
    pub(crate) fn set_aside(&self, id: &str) -> Result<()> {
        let path = self.file(id, "pem");
        fs::rename(&path, self.file(id, "unusable")).map_err(|e| Error::io(&path, e))
    }

    /// Reads the key of the order that is under way, PEM.
    pub(crate) fn next_key(&self, id: &str) -> Result<Option<String>> {
        text(&self.file(id, "next-key"))
    }

    pub(crate) fn put_next_key(&self, id: &str, pem: &str) -> Result<()> {
        atomic::write(&self.file(id, "next-key"), 0o600, pem.as_bytes())
    }

    pub(crate) fn remove_next_key(&self, id: &str) -> Result<()> {
        let path = self.file(id, "next-key");
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(&path, e)),
            _ => Ok(()),
        }
    }

    /// Returns the path of a certificate with its key, for programs that read it themselves.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.file(id, "pem")
    }

    fn file(&self, id: &str, kind: &str) -> PathBuf {
        self.folder.join("certificates").join(format!("{id}.{kind}"))
    }

    /// The account's file has the directory's address as its name, so that staging and production do not meet.
    fn account_file(&self, directory: &str) -> PathBuf {
        let address = directory.split_once("://").map_or(directory, |(_, rest)| rest);
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
        let name: String = address.chars().take(200).map(safe).collect();
        self.folder.join("accounts").join(format!("{name}.json"))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(text) = text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|e| unreadable(path, &e.to_string()))
}

fn text(path: &Path) -> Result<Option<String>> {
    let length = match fs::metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path, e)),
        Ok(meta) => meta.len(),
    };
    if length > LARGEST {
        return Err(unreadable(path, "it is too long"));
    }
    let bytes = fs::read(path).map_err(|e| Error::io(path, e))?;
    String::from_utf8(bytes).map(Some).map_err(|_| unreadable(path, "it is no text"))
}

/// The message has the place of the fault, not what is there: that may be a key.
fn unreadable(path: &Path, why: &str) -> Error {
    let why = why.rsplit(" at line ").next().unwrap_or_default();
    let message = format!("{} cannot be understood ({why})", path.display());
    Error::new(&codes::STATE, message).with_detail("path", path.display().to_string())
}

fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::new(&codes::STATE, format!("{}: {e}", path.display())))?;
    atomic::write(path, 0o600, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_process_works_with_a_folder_and_only_its_owner_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("acme");
        let store = Store::open(&folder).unwrap();
        assert!(Store::open(&folder).unwrap_err().is(&codes::BUSY));
        store.put_certificate("a.example.com", "pem").unwrap();
        store.put_next_key("a.example.com", "key").unwrap();
        store.put_ledger(&Ledger::default()).unwrap();
        store.put_account("https://ca.example/dir", &"secret").unwrap();
        for path in ["certificates/a.example.com.pem", "certificates/a.example.com.next-key", "ledger.json"] {
            let mode = fs::metadata(folder.join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{path}");
        }
        assert_eq!(store.account::<String>("https://ca.example/dir").unwrap().unwrap(), "secret");
        assert_eq!(store.account::<String>("https://ca.example/other").unwrap(), None);
        drop(store);
        Store::open(&folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_named_and_not_quoted() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        fs::write(home.path().join("certificates/a.b.json"), "{\"names\": \"canary\"").unwrap();
        let error = store.record("a.b").unwrap_err();
        assert!(error.is(&codes::STATE) && !error.to_string().contains("canary"), "{error}");
        assert!(error.to_string().contains("a.b.json"), "{error}");
    }
}
