//! The description of a tree: everything that a restore must restore, in comparable form.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::generate::at;

/// The kind of an entry, with the properties of that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Length in bytes, including holes.
        size: u64,
        /// SHA-256 of the content, in hexadecimal.
        sha256: String,
        /// The smallest path, relative to the top, of the same file; `None` if there is no other name in the tree.
        hard_link: Option<PathBuf>,
        /// True if at least 64 KiB of the length use no space on disk.
        sparse: bool,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink {
        /// The target, as written.
        target: PathBuf,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block or character device.
    Device {
        /// The kernel's number of the device.
        number: u64,
        /// True for a block device, false for a character device.
        block: bool,
    },
}

/// One path of a tree, with all its properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Permission bits with set-ID and sticky bits; 0 for symbolic links, for which the system fixes them.
    pub mode: u32,
    /// User ID of the owner.
    pub uid: u32,
    /// Group ID.
    pub gid: u32,
    /// Time of last modification, in nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Extended attributes, by name. Names outside `user.`, `trusted.` and `security.capability` belong to the system
    /// and are omitted.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::File { size, sha256, hard_link, sparse } => {
                write!(f, "file {size} bytes sha256:{sha256}")?;
                if let Some(first) = hard_link {
                    write!(f, " linked-with:{first:?}")?;
                }
                if *sparse {
                    f.write_str(" sparse")?;
                }
            }
            Kind::Folder => f.write_str("folder")?,
            Kind::Symlink { target } => write!(f, "symlink to {target:?}")?,
            Kind::Fifo => f.write_str("fifo")?,
            Kind::Socket => f.write_str("socket")?,
            Kind::Device { number, block } => {
                write!(f, "{} device {number}", if *block { "block" } else { "character" })?
            }
        }
        write!(f, " mode:{:04o} owner:{}:{} mtime:{}", self.mode, self.uid, self.gid, self.mtime_ns)?;
        for (name, value) in &self.xattrs {
            write!(f, " {}={}", String::from_utf8_lossy(name), hex::encode(value))?;
        }
        Ok(())
    }
}

/// Describes everything below `dir`, by relative path; the top folder itself has the path `""`.
///
/// # Errors
///
/// Errors of the file system, with the path in the message: an unreadable file is an error, not omitted.
pub fn digest(dir: &Path) -> io::Result<BTreeMap<PathBuf, Entry>> {
    let mut found = BTreeMap::new();
    let mut inodes: HashMap<(u64, u64), Vec<PathBuf>> = HashMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        // `join("")` would add a slash, which follows a symbolic link at the top; that is wanted there.
        let path = dir.join(&relative);
        let meta = fs::symlink_metadata(&path).map_err(|e| at(&path, e))?;
        if meta.is_dir() {
            for child in fs::read_dir(&path).map_err(|e| at(&path, e))? {
                pending.push(relative.join(child.map_err(|e| at(&path, e))?.file_name()));
            }
        } else if meta.nlink() > 1 {
            inodes.entry((meta.dev(), meta.ino())).or_default().push(relative.clone());
        }
        found.insert(relative, describe(&path, &meta)?);
    }
    for paths in inodes.into_values().filter(|paths| paths.len() > 1) {
        let first = paths.iter().min().cloned();
        for path in &paths {
            if let Some(Entry { kind: Kind::File { hard_link, .. }, .. }) = found.get_mut(path) {
                hard_link.clone_from(&first);
            }
        }
    }
    Ok(found)
}

/// Returns the SHA-256 of a file's content, in hexadecimal.
///
/// # Errors
///
/// Errors of opening and reading `path`.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path).map_err(|e| at(path, e))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).map_err(|e| at(path, e))? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}

fn describe(path: &Path, meta: &fs::Metadata) -> io::Result<Entry> {
    let file_type = meta.file_type();
    let kind = if file_type.is_file() {
        Kind::File {
            size: meta.len(),
            sha256: sha256_file(path)?,
            hard_link: None,
            sparse: meta.blocks() * 512 + 64 * 1024 <= meta.len(),
        }
    } else if file_type.is_dir() {
        Kind::Folder
    } else if file_type.is_symlink() {
        Kind::Symlink { target: fs::read_link(path).map_err(|e| at(path, e))? }
    } else if file_type.is_fifo() {
        Kind::Fifo
    } else if file_type.is_socket() {
        Kind::Socket
    } else {
        Kind::Device { number: meta.rdev(), block: file_type.is_block_device() }
    };
    Ok(Entry {
        mode: if file_type.is_symlink() { 0 } else { meta.mode() & 0o7777 },
        uid: meta.uid(),
        gid: meta.gid(),
        mtime_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
        xattrs: xattrs(path)?,
        kind,
    })
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let names = match xattr::list(path) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(BTreeMap::new()),
        Err(error) => return Err(at(path, error)),
    };
    let mut found = BTreeMap::new();
    for name in names {
        let shown = name.to_string_lossy();
        if shown.starts_with("user.") || shown.starts_with("trusted.") || shown == "security.capability" {
            let value = xattr::get(path, &name).map_err(|e| at(path, e))?.unwrap_or_default();
            found.insert(name.into_vec(), value);
        }
    }
    Ok(found)
}
