//! Parses the address of a store.

use std::path::PathBuf;

use cloudron_core::{Error, Result};

use crate::codes;

/// The location of a store.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket, `s3://…`.
    Bucket,
}

impl Address {
    /// Parses an address. Text that may mean something other than a folder is refused: otherwise a backup to
    /// `sftp:host:/backups` would be written to a local folder of that name, unnoticed until the disk is lost.
    ///
    /// # Errors
    /// `store-url`, with a suggestion of what to write instead.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.starts_with("s3://") {
            return Ok(Self::Bucket);
        }
        let path = match text.strip_prefix("file:") {
            Some(rest) => of_file_url(text, rest)?,
            None => check_path(text)?,
        };
        if path.contains(char::is_control) {
            let text = format!("{text:?}: there is a control character in the address of the store");
            return Err(
                Error::new(&codes::STORE_URL, text).with_hint("write it without line breaks and the like")
            );
        }
        Ok(Self::Folder(path.into()))
    }
}

/// Returns the path in `file:///path` or `file:/path` (RFC 8089).
fn of_file_url<'t>(text: &str, rest: &'t str) -> Result<&'t str> {
    let path = match rest.strip_prefix("//") {
        Some(path) => path,
        None => rest,
    };
    if path.starts_with('/') {
        return Ok(path);
    }
    let text = format!("{text}: a file:// address has an absolute path, as in file:///folder");
    Err(Error::new(&codes::STORE_URL, text).with_hint("write file:/// and the path, or the path alone"))
}

/// Refuses text that does not look like a path. Any path can be written with `./` in front.
fn check_path(text: &str) -> Result<&str> {
    let refused = |why: String, hint: String| Err(Error::new(&codes::STORE_URL, why).with_hint(hint));
    let first = text.split('/').next().unwrap_or_default();
    if text.trim().is_empty() {
        return refused(
            "the address of the store is empty".into(),
            "give a path, file:///folder or s3://bucket/prefix".into(),
        );
    }
    if text.trim() != text {
        return refused(
            format!("{text:?}: the address of the store starts or ends with a blank"),
            format!("write {}", text.trim()),
        );
    }
    if let Some((scheme, _)) = first.split_once(':') {
        let why = format!("{text}: no store is called {scheme}:");
        return Err(Error::new(&codes::STORE_URL, why).with_detail("address", text));
    }
    if first.starts_with('~') || first.starts_with('$') {
        return refused(
            format!("{text}: the shell did not replace {first}"),
            format!(
                "write the path in full, without quotes around {first}; a folder of that name is written ./{text}"
            ),
        );
    }
    if first.contains('\\') {
        return refused(
            format!("{text}: a path has slashes, not backslashes"),
            format!(
                "mount what is shared, and give the path of the folder; a folder of that name is written ./{text}"
            ),
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clearly_a_path_is_a_folder() {
        for path in
            ["/var/backups", "backups", "./sftp:x", "../x", "/mnt/a:b", "a b/c", "x/~y", "s3/x", "./~x"]
        {
            assert_eq!(Address::parse(path).unwrap(), Address::Folder(path.into()), "{path}");
        }
        for url in ["file:///x/y", "file:/x/y"] {
            assert_eq!(Address::parse(url).unwrap(), Address::Folder("/x/y".into()), "{url}");
        }
        assert_eq!(Address::parse("s3://bucket/x").unwrap(), Address::Bucket);
    }

    #[test]
    fn what_may_name_another_store_is_refused_with_what_to_write() {
        for text in [
            "sftp:user@host:/srv",
            "sftp://user@host/srv",
            "b2:bucket:x",
            "rest:https://host/",
            "rclone:remote:x",
            "gs://bucket",
            "gs:bucket:/",
            "azure:c:/",
            "s3:https://host/bucket",
            "s3:bucket/x",
            "S3://bucket",
            "host:/srv",
            "user@host:srv",
            "[::1]:/srv",
            "C:\\backups",
            "\\\\server\\share",
            "~/backups",
            "~alice/x",
            "$HOME/x",
            "file:relative",
            "file://relative",
            "file://host/x",
            "FILE:///x",
            " /x",
            "/x\n",
            "/x\ny",
            "",
            " ",
            "ftp://x",
        ] {
            let error = Address::parse(text).unwrap_err();
            let helps = error.hint().is_some() || error.detail("address") == Some(text);
            assert!(error.is(&codes::STORE_URL) && helps, "{text:?}: {error:?}");
        }
    }
}
