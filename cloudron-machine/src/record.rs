//! Record files: one JSON value each, with a `schema` number.

use std::path::Path;

use cloudron_core::{Error, Result, atomic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codes;
use crate::state_dir::private_dir;

/// The member that every record file has.
#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// Reads a record file. Returns `None` if it does not exist. `broken` builds the error from the reason.
pub(crate) fn load<T: DeserializeOwned>(path: &Path, broken: impl Fn(String) -> Error) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => parse(&bytes, broken).map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path, e)),
    }
}

/// Parses the bytes of a record file.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], broken: impl Fn(String) -> Error) -> Result<T> {
    let found = serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))?;
    match serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))? {
        Schema { schema: 1 } => Ok(found),
        Schema { schema } => Err(broken(format!("it has schema {schema}, this program knows 1"))),
    }
}

/// Writes a record atomically, with mode 0600.
pub(crate) fn store(path: &Path, record: &impl Serialize) -> Result<()> {
    private_dir(path.parent().unwrap_or(Path::new(".")))?;
    let text = serde_json::to_vec_pretty(record)
        .map_err(|e| Error::new(&codes::MACHINE_RECORD, format!("{}: {e}", path.display())))?;
    atomic::write(path, 0o600, &text)
}

/// Removes a file if it exists.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
    }
}
