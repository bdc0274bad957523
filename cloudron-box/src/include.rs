//! Rules for folders that are included in every backup.

use std::path::{Component, Path};

pub use cloudron_api::Include;

use crate::system::files;
use crate::{Error, Layout, Result, codes};

/// File name of the list of included folders in the state of a backup, made on a machine of its own.
pub(crate) const FILE: &str = "includes.json";

/// Checks a folder and returns it with its path normalised for storage: no final slash, no `.`.
///
/// # Errors
/// `include-invalid` if the path is not absolute, contains `..`, is the root, or overlaps the server's own
/// folders or its store, or if a command is empty or longer than 4096 characters.
pub fn checked(mut include: Include, layout: &Layout, store: Option<&Path>) -> Result<Include> {
    let shown = include.path.display().to_string();
    let invalid =
        |why: &str| Error::new(&codes::INCLUDE_INVALID, format!("{shown} cannot be included: {why}"));
    if !include.path.is_absolute() {
        return Err(invalid("the path is not absolute"));
    }
    if include.path.components().any(|c| c == Component::ParentDir) {
        return Err(invalid("the path holds `..`"));
    }
    if include.path.to_str().is_none_or(|t| t.chars().any(char::is_control)) {
        return Err(invalid("the path is not plain text"));
    }
    include.path = include.path.components().collect();
    if include.path.parent().is_none() {
        return Err(invalid("it is the whole file system; include the folders that matter"));
    }
    for own in [Some(layout.state()), store].into_iter().flatten() {
        if overlap(&include.path, own) {
            return Err(invalid(&format!("it overlaps the server's own folder {}", own.display())));
        }
    }
    for command in [&include.before, &include.after].into_iter().flatten() {
        if command.trim().is_empty() || command.len() > 4096 || command.contains('\0') {
            return Err(invalid("a command is empty or longer than 4096 characters"));
        }
    }
    Ok(include)
}

/// Reads root's list of the included folders, sorted by path.
///
/// # Errors
/// `config-corrupt`, and file errors.
pub(crate) fn roots_list(layout: &Layout) -> Result<Vec<Include>> {
    let Some(file) = layout.includes() else { return Ok(Vec::new()) };
    Ok(files::read_json(&file)?.unwrap_or_default())
}

/// Replaces root's list.
///
/// # Errors
/// File errors.
pub(crate) fn set_roots_list(layout: &Layout, mut folders: Vec<Include>) -> Result<()> {
    let Some(file) = layout.includes() else { return Ok(()) };
    folders.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    files::write_json(&file, &folders)
}

/// Adds a checked folder to a list, or replaces the one with the same path. Returns true if it is new.
///
/// # Errors
/// `include-invalid` if it overlaps another one.
pub(crate) fn put(folders: &mut Vec<Include>, include: &Include) -> Result<bool> {
    not_overlapping(folders, include)?;
    let before = folders.len();
    folders.retain(|other| other.path != include.path);
    let new = folders.len() == before;
    folders.push(include.clone());
    Ok(new)
}

/// Refuses a folder that overlaps another one of a list.
pub(crate) fn not_overlapping(folders: &[Include], include: &Include) -> Result<()> {
    match folders.iter().find(|other| other.path != include.path && overlaps(other, include)) {
        None => Ok(()),
        Some(other) => {
            let text =
                format!("{} overlaps {}, which is included", include.path.display(), other.path.display());
            Err(Error::new(&codes::INCLUDE_INVALID, text))
        }
    }
}

/// Returns true if one of the two folders is inside the other.
pub(crate) fn overlaps(one: &Include, other: &Include) -> bool {
    overlap(&one.path, &other.path)
}

fn overlap(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
