//! A log file with a maximum size.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::system::files;
use crate::{Error, Result};

/// The number of older files that are kept: `box.log.1` is the newest of them.
const KEPT: u32 = 3;

/// A log file that is renamed when it reaches a size, and then started again.
#[derive(Debug)]
pub(super) struct Rotating {
    path: PathBuf,
    limit: u64,
    file: File,
    size: u64,
}

impl Rotating {
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self> {
        let (file, size) = append(path)?;
        Ok(Self { path: path.to_owned(), limit, file, size })
    }

    /// Writes one line. Errors are ignored, because a log that cannot be written, such as on a full disk,
    /// must not stop the server.
    pub(super) fn write(&mut self, line: &[u8]) {
        if self.size > 0 && self.size + line.len() as u64 > self.limit {
            let _ = self.rotate();
        }
        // One call, so that lines of several writers do not mix.
        if self.file.write_all(line).is_ok() {
            self.size += line.len() as u64;
        }
    }

    fn rotate(&mut self) -> Result<()> {
        for n in (1..KEPT).rev() {
            let (from, to) = (older(&self.path, n), older(&self.path, n + 1));
            if from.exists() {
                fs::rename(&from, to).map_err(|e| Error::io(from, e))?;
            }
        }
        fs::rename(&self.path, older(&self.path, 1)).map_err(|e| Error::io(&self.path, e))?;
        (self.file, self.size) = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> Result<(File, u64)> {
    let file = files::open_own(path, OpenOptions::new().append(true).create(true))?;
    let size = file.metadata().map_err(|e| Error::io(path, e))?.len();
    Ok((file, size))
}

/// Returns the path of the `n`-th older file.
pub(super) fn older(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_three_older_files_and_no_more_than_its_size() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("box.log");
        let mut log = Rotating::open(&path, 100).unwrap();
        for n in 0..100 {
            log.write(format!("line {n:02} ........................\n").as_bytes());
        }
        let names: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
        assert_eq!(names.len(), 4);
        assert!(fs::metadata(&path).unwrap().len() <= 100);
        assert!(fs::read_to_string(&path).unwrap().contains("line 99"));
        assert!(!older(&path, 4).exists());
    }
}
