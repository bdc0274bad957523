//! The program's file on a machine of its own: one file per version, and a link to the current one.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cloudron_core::{Version, atomic};

use crate::system::files;
use crate::{Error, Layout, Result};

/// Copies this program to its place unless it runs from there, and points the link at it.
pub(super) fn place(layout: &Layout) -> Result<()> {
    let (Some(file), Some(link)) = (layout.program(&Version::current()), layout.program_link()) else {
        return Ok(());
    };
    let this = std::env::current_exe().map_err(|e| Error::io("/proc/self/exe", e))?;
    if this != file {
        copy(&this, &file)?;
    }
    point(&link, &file)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for folder in to.ancestors().skip(1).take(2).collect::<Vec<_>>().into_iter().rev() {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(|e| Error::io(folder, e))?;
    }
    let mut program = fs::File::open(from).map_err(|e| Error::io(from, e))?;
    atomic::write_with(to, 0o755, |file| io::copy(&mut program, file).map(drop))
}

/// Points a link at a file atomically, replacing its previous target.
fn point(link: &Path, file: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|target| target == file) {
        return Ok(());
    }
    atomic::replace(link, |temporary| symlink(file, temporary))
}

/// Removes the program and its link.
pub(super) fn remove(layout: &Layout) -> Result<()> {
    let (Some(file), Some(link)) = (layout.program(&Version::current()), layout.program_link()) else {
        return Ok(());
    };
    if fs::read_link(&link)
        .is_ok_and(|target| file.ancestors().nth(2).is_some_and(|all| target.starts_with(all)))
    {
        files::remove_file(&link)?;
    }
    file.ancestors().nth(2).map_or(Ok(()), files::remove_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_switched_in_one_step() {
        let home = tempfile::tempdir().unwrap();
        let (link, one, two) = (home.path().join("cloudron"), home.path().join("1"), home.path().join("2"));
        for file in [&one, &two, &two] {
            point(&link, file).unwrap();
            assert_eq!(&fs::read_link(&link).unwrap(), file);
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_program_arrives_executable_for_everybody() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("x"), home.path().join("lib/0.1.0/cloudron"));
        fs::write(&from, "program").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read(&to).unwrap(), b"program");
    }
}
