//! Rules for folders that are included in every backup.

use std::path::{Component, Path};

pub use cloudron_api::Include;

use crate::{Error, Layout, Result, codes};

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

/// Returns true if one of the two folders is inside the other.
pub(crate) fn overlaps(one: &Include, other: &Include) -> bool {
    overlap(&one.path, &other.path)
}

fn overlap(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
