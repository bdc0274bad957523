//! Opens the store at an address.

use std::sync::Arc;

use cloudron_core::{Error, Result};

use super::address::Address;
use super::fs::FsStore;
use super::{BackupStore, StoreOptions, traced};
#[cfg(not(feature = "s3"))]
use crate::codes;

/// Opens the store at an address: a path, `file:///path` or, in a build with S3 support, `s3://bucket/prefix`
/// with the options of `StoreOptions::from_env`.
///
/// # Errors
/// As [`open_store_with`] and `StoreOptions::from_env`.
pub fn open_store(url: &str) -> Result<Arc<dyn BackupStore>> {
    #[cfg(feature = "s3")]
    if url.starts_with("s3://") {
        return open_store_with(url, &StoreOptions::from_env()?);
    }
    open_store_with(url, &StoreOptions::default())
}

/// Opens the store at an address with options. Makes no request yet.
///
/// # Errors
/// `store-url` for an address of another kind, `store-option` for options that cannot be used.
pub fn open_store_with(url: &str, options: &StoreOptions) -> Result<Arc<dyn BackupStore>> {
    match Address::parse(url)? {
        Address::Folder(path) => Ok(traced::of(FsStore::new(path)?)),
        Address::Bucket => open_s3(url, options),
    }
}

/// Makes an address independent of the current folder.
///
/// # Errors
/// As [`open_store_with`]; when the current folder is needed and cannot be determined.
pub fn absolute_url(url: &str) -> Result<String> {
    match Address::parse(url)? {
        Address::Folder(path) => {
            let path = std::path::absolute(&path).map_err(|e| Error::io(&path, e))?;
            Ok(path.to_string_lossy().into_owned())
        }
        Address::Bucket => Ok(url.to_owned()),
    }
}

#[cfg(feature = "s3")]
fn open_s3(url: &str, options: &StoreOptions) -> Result<Arc<dyn BackupStore>> {
    Ok(traced::of(super::s3::S3Store::new(url, options)?))
}

#[cfg(not(feature = "s3"))]
fn open_s3(url: &str, _: &StoreOptions) -> Result<Arc<dyn BackupStore>> {
    Err(Error::new(&codes::STORE_URL, format!("{url}: this build has no S3 support"))
        .with_hint("use a folder, as in file:///var/backups, or a build with the feature `s3`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    #[test]
    fn an_address_of_another_kind_says_what_is_possible() {
        #[cfg(not(feature = "s3"))]
        assert!(open_store("s3://bucket/prefix").unwrap_err().to_string().contains("no S3"));
        assert!(open_store("ftp://x").unwrap_err().is(&codes::STORE_URL));
        assert!(open_store("").unwrap_err().is(&codes::STORE_URL));
        assert!(open_store("file://relative").unwrap_err().is(&codes::STORE_URL));
        assert_eq!(open_store("file:///x/y").unwrap().url(), "file:///x/y");
    }
}
