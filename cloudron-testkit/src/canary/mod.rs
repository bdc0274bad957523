//! Checks that secrets do not leak: searches files, output, and the arguments and environment of every process on the
//! machine.
//!
//! ```
//! use cloudron_testkit::canary::Canary;
//!
//! let canary = Canary::new().secret("backup key", "correct horse battery");
//! assert!(canary.in_bytes("stdout", b"all is well").is_empty());
//! assert_eq!(
//!     canary.in_bytes("stdout", b"key=Y29ycmVjdCBob3JzZSBiYXR0ZXJ5").first().unwrap().to_string(),
//!     "backup key (base64) in stdout",
//! );
//! ```
//!
//! It finds the plain form, hexadecimal, base64 (both alphabets, at any offset within other data), URL encoding and
//! JSON escapes. It does not find data that was compressed or encrypted together with other data.

mod forms;
mod processes;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use forms::{Form, Matcher};

/// A set of secrets to search for.
#[derive(Default)]
pub struct Canary {
    matcher: Matcher,
}

/// The location of a secret. It never contains the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// The name given to [`Canary::secret`].
    pub secret: String,
    /// Its encoding: `plain`, `hex`, `base64`, `url-encoded`, `json`.
    pub form: &'static str,
    /// The file, output or process.
    pub place: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) in {}", self.secret, self.form, self.place)
    }
}

impl Canary {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `value`, with the name `name` in reports.
    ///
    /// # Panics
    ///
    /// If `value` is shorter than 8 bytes, for which random matches are likely.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        assert!(value.len() >= 8, "the canary {name:?} is too short to be found only where it leaked");
        for Form { name: form, bytes } in forms::of(value) {
            self.matcher.add(name, form, bytes);
        }
        self
    }

    /// Returns the leaks in `bytes`, at most one for each secret and form.
    #[must_use]
    pub fn in_bytes(&self, place: &str, bytes: &[u8]) -> Vec<Leak> {
        let mut found = Vec::new();
        self.matcher.scan(bytes, &mut found);
        self.leaks(place, found)
    }

    /// Returns the leaks in the content of one regular file.
    ///
    /// # Errors
    ///
    /// Errors of opening and reading it.
    pub fn in_file(&self, path: &Path) -> io::Result<Vec<Leak>> {
        let mut file = File::open(path)?;
        let mut found = Vec::new();
        let mut buffer = vec![0u8; 1 << 20];
        let mut kept = 0;
        loop {
            let length = file.read(&mut buffer[kept..])?;
            if length == 0 {
                break;
            }
            let filled = kept + length;
            self.matcher.scan(&buffer[..filled], &mut found);
            // A secret may lie across two reads.
            kept = self.matcher.longest().saturating_sub(1).min(filled);
            buffer.copy_within(filled - kept..filled, 0);
        }
        Ok(self.leaks(&path.display().to_string(), found))
    }

    /// Returns the leaks in everything below `dir`: contents, names, link targets and extended attributes. Other file
    /// systems mounted below it are not entered, and special files are not opened.
    ///
    /// # Errors
    ///
    /// Errors of the file system, except for files that vanish meanwhile, which are skipped.
    pub fn in_tree(&self, dir: &Path) -> io::Result<Vec<Leak>> {
        let device = fs::metadata(dir)?.dev();
        let mut leaks = Vec::new();
        let mut pending = vec![dir.to_owned()];
        while let Some(path) = pending.pop() {
            match self.in_entry(&path, path == dir, device, &mut pending) {
                Ok(found) => leaks.extend(found),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
                }
            }
        }
        leaks.sort();
        leaks.dedup();
        Ok(leaks)
    }

    /// Runs `work`, and meanwhile repeatedly reads the arguments and environment of every process that this user may
    /// read. This process itself is skipped: it holds the secrets.
    ///
    /// A process that lives shorter than a few milliseconds can be missed.
    pub fn while_watching_processes<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<Leak>) {
        processes::watch(self, work)
    }

    fn in_entry(
        &self,
        path: &Path,
        top: bool,
        device: u64,
        pending: &mut Vec<PathBuf>,
    ) -> io::Result<Vec<Leak>> {
        let meta = if top { fs::metadata(path)? } else { fs::symlink_metadata(path)? };
        let shown = path.display().to_string();
        let mut leaks = Vec::new();
        if !top && let Some(name) = path.file_name() {
            leaks.extend(self.in_bytes(&format!("the name of {shown}"), name.as_bytes()));
        }
        if meta.dev() != device {
            return Ok(leaks);
        }
        if meta.is_dir() {
            for child in fs::read_dir(path)? {
                pending.push(child?.path());
            }
        } else if meta.is_symlink() {
            let target = fs::read_link(path)?;
            leaks.extend(self.in_bytes(&format!("the target of {shown}"), target.as_os_str().as_bytes()));
        } else if meta.is_file() {
            leaks.extend(self.in_file(path)?);
        }
        if !meta.is_symlink() {
            for name in xattr::list(path).into_iter().flatten() {
                let value = xattr::get(path, &name).ok().flatten().unwrap_or_default();
                leaks.extend(self.in_bytes(&format!("the attribute {name:?} of {shown}"), &value));
            }
        }
        Ok(leaks)
    }

    fn leaks(&self, place: &str, mut found: Vec<usize>) -> Vec<Leak> {
        found.sort_unstable();
        found.dedup();
        let mut leaks: Vec<Leak> = found
            .into_iter()
            .map(|index| {
                let (secret, form) = self.matcher.name(index);
                Leak { secret: secret.to_owned(), form, place: place.to_owned() }
            })
            .collect();
        leaks.sort();
        leaks.dedup();
        leaks
    }
}

/// Fails with the list of `leaks` if there are any.
///
/// # Panics
///
/// If `leaks` is not empty.
#[track_caller]
pub fn assert_none(leaks: &[Leak]) {
    let lines: Vec<String> = leaks.iter().take(40).map(Leak::to_string).collect();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), lines.join("\n"));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const SECRET: &str = "s3cret/kanari+\"Ü\"";

    fn canary() -> Canary {
        Canary::new().secret("token", SECRET)
    }

    #[test]
    fn a_secret_across_two_reads_of_a_big_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        for shift in 0..40 {
            let mut content = vec![b'.'; (1 << 20) - 20 + shift];
            content.extend(SECRET.as_bytes());
            content.extend(vec![b'.'; 100]);
            let path = dir.path().join("big");
            fs::write(&path, content).unwrap();
            assert_eq!(canary().in_file(&path).unwrap().len(), 1, "shift {shift}");
        }
    }

    #[test]
    fn contents_names_targets_and_attributes_of_a_tree_are_searched() {
        let dir = tempfile::tempdir().unwrap();
        let canary = Canary::new().secret("word", "kanarienvogel");
        fs::create_dir(dir.path().join("below")).unwrap();
        fs::write(dir.path().join("below/content"), "x kanarienvogel").unwrap();
        fs::write(dir.path().join("kanarienvogel.txt"), "").unwrap();
        symlink("/kanarienvogel", dir.path().join("link")).unwrap();
        fs::write(dir.path().join("clean"), "nothing").unwrap();
        let tagged = xattr::set(dir.path().join("clean"), "user.note", b"kanarienvogel").is_ok();
        let leaks = canary.in_tree(dir.path()).unwrap();
        assert_eq!(leaks.len(), 3 + usize::from(tagged), "{leaks:#?}");
    }

    #[test]
    fn a_clean_tree_with_a_fifo_is_scanned_without_waiting_for_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        crate::tree::generate(dir.path(), 1, 10_000).unwrap();
        assert_none(&canary().in_tree(dir.path()).unwrap());
    }

    #[test]
    fn the_report_does_not_repeat_the_secret() {
        let leaks = canary().in_bytes("a log", format!("x{SECRET}x").as_bytes());
        assert_eq!(leaks[0].to_string(), "token (plain) in a log");
        assert!(!format!("{leaks:?}").contains("kanari"));
    }
}
