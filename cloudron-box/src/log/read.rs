//! Reading the log: its last lines, and new ones.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::rotate::older;
use crate::{Error, Result};

/// The number of bytes read at a time.
const STEP: u64 = 64 * 1024;

/// Returns the last lines of the log, oldest first, including older files; and a follower that continues
/// after them.
pub(crate) fn tail(path: &Path, count: usize) -> Result<(Vec<String>, Follower)> {
    let follower = Follower::behind(path)?;
    let mut lines = last_lines(path, follower.offset, count)?;
    let mut n = 1;
    while lines.len() < count && older(path, n).exists() {
        let file = older(path, n);
        let size = std::fs::metadata(&file).map_err(|e| Error::io(&file, e))?.len();
        let mut earlier = last_lines(&file, size, count - lines.len())?;
        earlier.append(&mut lines);
        lines = earlier;
        n += 1;
    }
    Ok((lines, follower))
}

/// Returns the last lines of a file before the offset `end`.
fn last_lines(path: &Path, end: u64, count: usize) -> Result<Vec<String>> {
    let failed = |e| Error::io(path, e);
    let mut file = match File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(failed)?,
    };
    let (mut start, mut text) = (end, Vec::new());
    while start > 0 && text.iter().filter(|b| **b == b'\n').count() <= count {
        let step = STEP.min(start);
        start -= step;
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut part = Vec::new();
        (&mut file).take(step).read_to_end(&mut part).map_err(failed)?;
        part.append(&mut text);
        text = part;
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    // The first line read may be incomplete.
    let whole = if start > 0 { &lines[1.min(lines.len())..] } else { &lines[..] };
    Ok(whole[whole.len().saturating_sub(count)..].iter().map(|l| (*l).to_owned()).collect())
}

/// Reads new lines of the log from a position, even if the file is rotated meanwhile.
#[derive(Debug)]
pub(crate) struct Follower {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    rest: Vec<u8>,
}

impl Follower {
    fn behind(path: &Path) -> Result<Self> {
        let (file, offset) = match File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => (None, 0),
            opened => {
                let file = opened.map_err(|e| Error::io(path, e))?;
                let size = file.metadata().map_err(|e| Error::io(path, e))?.len();
                (Some(file), size)
            }
        };
        Ok(Self { path: path.to_owned(), file, offset, rest: Vec::new() })
    }

    /// Returns the complete lines written since the last call.
    pub(crate) fn more(&mut self) -> Result<Vec<String>> {
        self.read_on()?;
        if self.rotated() {
            // Lines written between the two checks are in the old file, which is still open.
            self.read_on()?;
            self.file = File::open(&self.path).ok();
            self.offset = 0;
            self.read_on()?;
        }
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else { return Ok(Vec::new()) };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }

    fn read_on(&mut self) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let failed = |e| Error::io(&self.path, e);
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let count = file.read_to_end(&mut self.rest).map_err(failed)?;
        self.offset += count as u64;
        Ok(())
    }

    fn rotated(&self) -> bool {
        let inode = |file: &File| file.metadata().map(|m| m.ino()).ok();
        let current = std::fs::metadata(&self.path).map(|m| m.ino()).ok();
        current.is_some() && self.file.as_ref().and_then(inode) != current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::rotate::Rotating;

    #[test]
    fn the_tail_spans_rotated_files_and_the_follower_misses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("box.log");
        let mut log = Rotating::open(&path, 1000).unwrap();
        let text = |n: u32| format!("line {n:04} ............................");
        for n in 0..60 {
            log.write(format!("{}\n", text(n)).as_bytes());
        }
        let (lines, mut follower) = tail(&path, 40).unwrap();
        assert_eq!(lines, (20..60).map(text).collect::<Vec<_>>());
        let mut seen = Vec::new();
        for n in 60..160 {
            log.write(format!("{}\n", text(n)).as_bytes());
            seen.extend(follower.more().unwrap());
        }
        assert_eq!(seen, (60..160).map(text).collect::<Vec<_>>());
    }

    #[test]
    fn half_a_line_waits_for_its_other_half() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("box.log");
        std::fs::write(&path, "old\n").unwrap();
        let (_, mut follower) = tail(&path, 0).unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        use std::io::Write;
        file.write_all(b"ha").unwrap();
        assert!(follower.more().unwrap().is_empty());
        file.write_all(b"lf\n").unwrap();
        assert_eq!(follower.more().unwrap(), ["half"]);
    }
}
