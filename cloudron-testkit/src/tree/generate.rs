//! Trees like those on real servers, with every kind of entry that a backup must preserve.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};

use super::rng::Rng;

/// The result of [`generate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Content of regular files in bytes; holes of sparse files are not counted, and a hard link is counted once.
    pub bytes: u64,
    /// Number of regular files, folders, links and other entries, without the top folder.
    pub entries: u64,
    /// True if the file system supports `user.*` extended attributes.
    pub xattrs: bool,
}

/// Words of source code, mail and notes: text that compresses about as well.
const WORDS: [&str; 32] = [
    "the",
    "and",
    "server",
    "backup",
    "return",
    "Subject:",
    "let",
    "fn",
    "value",
    "http://example.com/",
    "invoice",
    "2024-03-17",
    "<div>",
    "</div>",
    "{",
    "}",
    "from",
    "with",
    "error",
    "Gruesse",
    "naive",
    "photo",
    "index",
    "1024",
    "true",
    "false",
    "self",
    "import",
    "müde",
    "データ",
    "to",
    "of",
];

/// Folder names, some of which cause errors in careless programs.
const FOLDERS: [&str; 12] = [
    "mail",
    "photos",
    "notes",
    "src",
    "Übung und Töne",
    "資料",
    "with space",
    "-dash",
    "a'quote\"",
    "new\nline",
    ".hidden",
    "🙂",
];

/// Fills `dir` (created if missing) with a tree that depends only on `seed` and `bytes`.
///
/// It has about `bytes` of content: many small text files, a few large ones of both text and incompressible bytes, and
/// one of each entry that backup programs treat differently: names that are not UTF-8 or contain newlines, hard and
/// symbolic links of every kind, unusual modes, a sparse file, xattrs, a FIFO, empty folders, times with nanoseconds.
/// Owners remain those of the caller. The same arguments give the same content, names, modes and times, except for hard
/// links and xattrs that the file system does not support.
///
/// # Errors
///
/// Errors of the file system, with the path in the message.
pub fn generate(dir: &Path, seed: u64, bytes: u64) -> io::Result<Made> {
    fs::create_dir_all(dir)?;
    let mut maker = Maker {
        rng: Rng::new(seed),
        made: Made { bytes: 0, entries: 0, xattrs: false },
        folders: Vec::new(),
        times: Vec::new(),
    };
    maker.oddities(&dir.join("odd"))?;
    maker.bulk(dir, bytes)?;
    maker.set_times()?;
    Ok(maker.made)
}

struct Maker {
    rng: Rng,
    made: Made,
    folders: Vec<PathBuf>,
    /// All created paths, parents before children. Times are set last and in reverse order, because creating a child
    /// changes the time of its parent.
    times: Vec<PathBuf>,
}

impl Maker {
    /// Creates small files in nested folders, with a large file for every eight parts of content.
    fn bulk(&mut self, dir: &Path, bytes: u64) -> io::Result<()> {
        self.folders.push(dir.to_owned());
        let big = (bytes / 8).max(1);
        let mut number = 0u64;
        while self.made.bytes < bytes {
            let left = bytes - self.made.bytes;
            if number.is_multiple_of(24) && self.folders.len() < 400 {
                self.folder(number)?;
            }
            let folder = self.rng.pick(&self.folders.clone()).clone();
            let (size, text) = match number {
                n if n % 500 == 499 => (big.min(left), n % 1000 == 499),
                n if n % 20 == 19 => (self.rng.below(200_000), true),
                n if n % 10 == 9 => (self.rng.below(60_000), false),
                n if n % 31 == 30 => (0, true),
                _ => (self.rng.below(8_000), true),
            };
            // Few small files cannot make up much content: past 6000 files the rest is big ones.
            let size = if number > 6000 { big.min(left) } else { size.min(left) };
            let name =
                format!("{number:05}-{}.{}", self.rng.pick(&WORDS[..4]), if text { "txt" } else { "bin" });
            self.file(&folder.join(name), size, text)?;
            number += 1;
        }
        Ok(())
    }

    fn folder(&mut self, number: u64) -> io::Result<()> {
        let parent = self.rng.pick(&self.folders.clone()).clone();
        // Folders are not nested without limit: paths stay shorter than 4096 bytes.
        let parent = if parent.components().count() > 20 { self.folders[0].clone() } else { parent };
        let path = parent.join(format!("{}{number}", self.rng.pick(&FOLDERS)));
        self.make_dir(&path)?;
        self.folders.push(path);
        Ok(())
    }

    /// Creates one of each entry that a backup is likely to handle wrongly.
    fn oddities(&mut self, dir: &Path) -> io::Result<()> {
        self.make_dir(dir)?;
        self.names(&dir.join("names"))?;
        self.links(&dir.join("links"))?;
        self.modes(&dir.join("modes"))?;
        self.sparse(&dir.join("sparse.img"))?;
        self.xattrs(&dir.join("xattrs"))?;
        self.make_dir(&dir.join("empty"))?;
        self.make_dir(&dir.join("empty/within"))?;
        self.file(&dir.join("empty-file"), 0, true)?;
        self.file(&dir.join("one-byte"), 1, true)?;
        self.file(&dir.join("block"), 4096, false)?;
        let fifo = dir.join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o620), 0)
            .map_err(|e| at(&fifo, e.into()))?;
        self.note(fifo);
        Ok(())
    }

    fn names(&mut self, dir: &Path) -> io::Result<()> {
        self.make_dir(dir)?;
        for name in FOLDERS {
            self.file(&dir.join(name), 40, true)?;
        }
        // The same letter composed and decomposed: two files, unless names are normalised.
        self.file(&dir.join("\u{e9}"), 1, true)?;
        self.file(&dir.join("e\u{301}"), 1, true)?;
        self.file(&dir.join(OsString::from_vec(b"latin1-\xe9t\xe9-\xff.txt".to_vec())), 99, true)?;
        self.file(&dir.join("x".repeat(255)), 10, true)?;
        for name in ["*", "?", "\\", "tab\t", " leading", "trailing ", "$(id)", "%s%n", "~", "a:b", "#"] {
            self.file(&dir.join(name), 5, true)?;
        }
        let mut deep = dir.to_owned();
        for level in 0..24 {
            deep.push(format!("level-{level}"));
            self.make_dir(&deep)?;
        }
        self.file(&deep.join("bottom"), 17, true)
    }

    fn links(&mut self, dir: &Path) -> io::Result<()> {
        self.make_dir(dir)?;
        self.make_dir(&dir.join("other"))?;
        self.file(&dir.join("target"), 5000, false)?;
        for name in ["hard-1", "other/hard-2"] {
            fs::hard_link(dir.join("target"), dir.join(name)).map_err(|e| at(&dir.join(name), e))?;
            self.made.entries += 1;
        }
        let latin1 = OsString::from_vec(b"not-utf8-\xe9".to_vec());
        let links: [(&str, &OsStr); 7] = [
            ("to-file", "target".as_ref()),
            ("to-folder", "other".as_ref()),
            ("dangling", "no/such/file".as_ref()),
            ("absolute", "/etc/hostname".as_ref()),
            ("upwards", "../../../../../../etc/passwd".as_ref()),
            ("loop", "loop".as_ref()),
            ("not-utf8", &latin1),
        ];
        for (name, target) in links {
            symlink(target, dir.join(name)).map_err(|e| at(&dir.join(name), e))?;
            self.note(dir.join(name));
        }
        Ok(())
    }

    fn modes(&mut self, dir: &Path) -> io::Result<()> {
        self.make_dir(dir)?;
        for mode in [0o400, 0o600, 0o640, 0o644, 0o666, 0o700, 0o755, 0o777, 0o4755, 0o2755, 0o1644] {
            let path = dir.join(format!("file-{mode:04o}"));
            self.file(&path, 30, true)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(|e| at(&path, e))?;
        }
        for mode in [0o700, 0o755, 0o1777, 0o2775, 0o555] {
            let path = dir.join(format!("folder-{mode:04o}"));
            self.make_dir(&path)?;
            self.file(&path.join("inside"), 3, true)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(|e| at(&path, e))?;
        }
        Ok(())
    }

    /// Creates 64 MiB of which 12 KiB are data: at the start, in the middle, and with a hole at the end.
    fn sparse(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::create(path).map_err(|e| at(path, e))?;
        let mut block = [0u8; 4096];
        for offset in [0u64, 20 << 20, 40 << 20] {
            self.rng.fill(&mut block);
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&block)?;
        }
        file.set_len(64 << 20)?;
        self.made.bytes += 3 * 4096;
        self.note(path.to_owned());
        Ok(())
    }

    fn xattrs(&mut self, path: &Path) -> io::Result<()> {
        self.file(path, 12, true)?;
        let text = xattr::set(path, "user.comment", "größer".as_bytes());
        self.made.xattrs = text.is_ok();
        if self.made.xattrs {
            xattr::set(path, "user.binary", &[0, 255, 10, 13, 0])?;
            xattr::set(path, "user.empty", &[])?;
        }
        Ok(())
    }

    fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path).map_err(|e| at(path, e))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|e| at(path, e))?;
        self.note(path.to_owned());
        Ok(())
    }

    fn file(&mut self, path: &Path, size: u64, text: bool) -> io::Result<()> {
        let file = File::create_new(path).map_err(|e| at(path, e))?;
        file.set_permissions(fs::Permissions::from_mode(if size % 7 == 3 { 0o600 } else { 0o644 }))?;
        let mut out = BufWriter::with_capacity(64 * 1024, file);
        let mut left = size;
        let mut block = [0u8; 4096];
        while left > 0 {
            let length = left.min(block.len() as u64) as usize;
            if text {
                self.text(&mut block[..length]);
            } else {
                self.rng.fill(&mut block[..length]);
            }
            out.write_all(&block[..length]).map_err(|e| at(path, e))?;
            left -= length as u64;
        }
        out.flush().map_err(|e| at(path, e))?;
        self.made.bytes += size;
        self.note(path.to_owned());
        Ok(())
    }

    fn text(&mut self, block: &mut [u8]) {
        let mut at = 0;
        while at < block.len() {
            let word = self.rng.pick(&WORDS).as_bytes();
            let length = word.len().min(block.len() - at);
            block[at..at + length].copy_from_slice(&word[..length]);
            at += length;
            if at < block.len() {
                block[at] = if self.rng.below(12) == 0 { b'\n' } else { b' ' };
                at += 1;
            }
        }
    }

    fn note(&mut self, path: PathBuf) {
        self.made.entries += 1;
        self.times.push(path);
    }

    /// Sets times between 1970 and 2025 with nanoseconds; one before 1970 and one after 2038.
    fn set_times(&mut self) -> io::Result<()> {
        for (index, path) in std::mem::take(&mut self.times).iter().enumerate().rev() {
            let seconds = match index {
                5 => -86_400,
                6 => 4_102_444_800,
                _ => self.rng.below(1_735_689_600) as i64,
            };
            let nanoseconds = if index % 9 == 0 { 0 } else { self.rng.below(1_000_000_000) as i64 };
            let stamp = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
            let both = Timestamps { last_access: stamp, last_modification: stamp };
            rustix::fs::utimensat(CWD, path, &both, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| at(path, e.into()))?;
        }
        Ok(())
    }
}

/// Adds the path to an error, which the operating system does not include.
pub(super) fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
