//! Random trees with every kind of entry.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cloudron_testkit::tree::Rng;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat};

use crate::common::noise;

/// Sizes around the limits at which files are treated differently.
const SIZES: [usize; 14] = [
    0,
    1,
    4095,
    (64 << 10) - 1,
    64 << 10,
    (128 << 10) - 1,
    128 << 10,
    (128 << 10) + 1,
    (256 << 10) + 1,
    1 << 20,
    (1 << 20) + 1,
    4 << 20,
    (4 << 20) + 1,
    5_000_000,
];

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn name(rng: &mut Rng) -> Vec<u8> {
    let length = [1, 3, 12, 255][rng.below(4) as usize];
    let mut name: Vec<u8> = (0..length).map(|_| rng.below(256) as u8).collect();
    name.iter_mut().filter(|b| **b == 0 || **b == b'/').for_each(|b| *b = b'\n');
    if name == b"." || name == b".." { b"dots".to_vec() } else { name }
}

fn set_time(path: &Path, rng: &mut Rng) {
    let seconds = match rng.below(4) {
        0 => -(rng.below(2_000_000_000) as i64),
        1 => 1 << 33,
        _ => rng.below(2_000_000_000) as i64,
    };
    let time = Timespec { tv_sec: seconds, tv_nsec: rng.below(1_000_000_000) as i64 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A tree that changes at random, with every kind of entry.
pub struct Garden {
    pub rng: Rng,
    pub root: PathBuf,
    pub folders: Vec<PathBuf>,
    pub files: Vec<PathBuf>,
}

impl Garden {
    pub fn new(root: PathBuf, seed: u64) -> Self {
        Self { rng: Rng::new(seed), folders: vec![root.clone()], files: Vec::new(), root }
    }

    pub fn new_path(&mut self) -> Option<PathBuf> {
        let folder = self.rng.pick(&self.folders.clone()).clone();
        let path = folder.join(OsStr::from_bytes(&name(&mut self.rng)));
        (path.as_os_str().len() < 3900 && path.symlink_metadata().is_err()).then_some(path)
    }

    pub fn plant(&mut self) {
        let Some(path) = self.new_path() else { return };
        match self.rng.below(12) {
            0 | 1 => {
                std::fs::create_dir(&path).unwrap();
                let modes =
                    if is_root() { [0o755, 0o000, 0o1777, 0o2750] } else { [0o755, 0o700, 0o1777, 0o2750] };
                std::fs::set_permissions(&path, PermissionsExt::from_mode(*self.rng.pick(&modes))).unwrap();
                self.folders.push(path.clone());
            }
            2 => symlink(OsStr::from_bytes(&name(&mut self.rng)), &path).unwrap(),
            3 => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap(),
            4 if !self.files.is_empty() => {
                let first = self.rng.pick(&self.files.clone()).clone();
                std::fs::hard_link(first, &path).unwrap();
                return;
            }
            5 => {
                // Holes of 128 KiB and more at random places. Shorter ones may be filled.
                let file = std::fs::File::create(&path).unwrap();
                let at = (128 << 10) + self.rng.below(3 << 20);
                std::os::unix::fs::FileExt::write_at(
                    &file,
                    &noise(1 + self.rng.below(300_000) as usize, 1),
                    at,
                )
                .unwrap();
                file.set_len(at + (1 << 20) + self.rng.below(1 << 20)).unwrap();
                self.files.push(path.clone());
            }
            6 if is_root() => {
                let kind = *self.rng.pick(&[FileType::BlockDevice, FileType::CharacterDevice]);
                let number = rustix::fs::makedev(self.rng.below(200) as u32, self.rng.below(200) as u32);
                mknodat(CWD, &path, kind, Mode::from_raw_mode(0o600), number).unwrap();
            }
            _ => {
                self.write(&path);
                self.files.push(path.clone());
            }
        }
        set_time(&path, &mut self.rng);
    }

    pub fn write(&mut self, path: &Path) {
        let size = match self.rng.below(3) {
            0 => *self.rng.pick(&SIZES),
            _ => self.rng.below(3000) as usize,
        };
        std::fs::write(path, noise(size, self.rng.below(256) as u8)).unwrap();
        if self.rng.below(3) == 0 {
            let value = noise(self.rng.below(200) as usize, 3);
            // Some file systems do not support them.
            let _ = xattr::set(path, "user.some thing", &value);
            let _ = xattr::set(path, "user.größe", &value);
        }
        let modes = [0o644, 0o600, 0o4755, 0o2711, 0o1644, 0o444, if is_root() { 0 } else { 0o400 }];
        std::fs::set_permissions(path, PermissionsExt::from_mode(*self.rng.pick(&modes))).unwrap();
        if is_root() && self.rng.below(3) == 0 {
            let (uid, gid) = (self.rng.below(70_000) as u32, self.rng.below(70_000) as u32);
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    pub fn change(&mut self) {
        if self.files.is_empty() {
            return self.plant();
        }
        let at = self.rng.below(self.files.len() as u64) as usize;
        let path = self.files[at].clone();
        let Ok(meta) = path.metadata() else { return };
        match self.rng.below(7) {
            0 => {
                std::fs::remove_file(&path).unwrap();
                self.files.remove(at);
            }
            1 => {
                if let Some(new) = self.new_path() {
                    std::fs::rename(&path, &new).unwrap();
                    self.files[at] = new;
                }
            }
            2 if is_root() || meta.mode() & 0o200 != 0 => {
                // The same size and time: only ctime differs.
                let content = noise(meta.len().min(2 << 20) as usize, self.rng.below(256) as u8);
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                std::os::unix::fs::FileExt::write_at(&file, &content, 0).unwrap();
                file.set_modified(meta.modified().unwrap()).unwrap();
            }
            3 => std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap(),
            4 => set_time(&path, &mut self.rng),
            5 => {
                let folder = self.rng.pick(&self.folders.clone()).clone();
                set_time(&folder, &mut self.rng);
            }
            _ => self.plant(),
        }
    }
}
