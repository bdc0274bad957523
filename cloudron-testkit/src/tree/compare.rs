//! Differences between two trees, one line each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::digest::{Entry, Kind, digest};

/// Returns the differences between `expected` and `actual`, one line per path, with only the properties that differ.
/// Empty if they are the same.
#[must_use]
pub fn compare(expected: &BTreeMap<PathBuf, Entry>, actual: &BTreeMap<PathBuf, Entry>) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, entry) in expected {
        match actual.get(path) {
            None => lines.push(format!("{path:?}: missing ({entry})")),
            Some(other) => {
                let differences = differences(entry, other);
                if !differences.is_empty() {
                    lines.push(format!("{path:?}: {}", differences.join(", ")));
                }
            }
        }
    }
    for (path, entry) in actual {
        if !expected.contains_key(path) {
            lines.push(format!("{path:?}: not expected ({entry})"));
        }
    }
    lines
}

/// Fails with a readable list unless the trees at both paths are the same in every property.
///
/// # Panics
///
/// If they differ (the first 40 differences are shown) or one cannot be read.
#[track_caller]
pub fn assert_same(expected: &Path, actual: &Path) {
    let read =
        |dir: &Path| digest(dir).unwrap_or_else(|error| panic!("cannot read {}: {error}", dir.display()));
    let lines = compare(&read(expected), &read(actual));
    assert!(
        lines.is_empty(),
        "{} differences between {} and {}:\n{}",
        lines.len(),
        expected.display(),
        actual.display(),
        lines.iter().take(40).cloned().collect::<Vec<_>>().join("\n"),
    );
}

fn differences(expected: &Entry, actual: &Entry) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |what: &str, expected: String, actual: String| {
        if expected != actual {
            found.push(format!("{what} {actual} instead of {expected}"));
        }
    };
    match (&expected.kind, &actual.kind) {
        (
            Kind::File { size, sha256, hard_link, sparse },
            Kind::File { size: size2, sha256: sha2, hard_link: link2, sparse: sparse2 },
        ) => {
            note("size", size.to_string(), size2.to_string());
            note("sha256", sha256.clone(), sha2.clone());
            note("hard link", format!("{hard_link:?}"), format!("{link2:?}"));
            note("sparse", sparse.to_string(), sparse2.to_string());
        }
        (one, other) => note("kind", format!("{one:?}"), format!("{other:?}")),
    }
    note("mode", format!("{:04o}", expected.mode), format!("{:04o}", actual.mode));
    note("owner", expected.uid.to_string(), actual.uid.to_string());
    note("group", expected.gid.to_string(), actual.gid.to_string());
    note("mtime", expected.mtime_ns.to_string(), actual.mtime_ns.to_string());
    note("xattrs", format!("{:?}", expected.xattrs), format!("{:?}", actual.xattrs));
    found
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::generate;
    use super::*;

    fn made(seed: u64, bytes: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        generate(dir.path(), seed, bytes).unwrap();
        dir
    }

    fn below(dir: &Path) -> BTreeMap<PathBuf, Entry> {
        let mut all = digest(dir).unwrap();
        all.remove(Path::new(""));
        all
    }

    #[test]
    fn the_same_seed_gives_the_same_tree_with_all_metadata() {
        let (one, two) = (made(1, 300_000), made(1, 300_000));
        assert_eq!(compare(&below(one.path()), &below(two.path())), Vec::<String>::new());
    }

    #[test]
    fn another_seed_gives_another_tree() {
        assert_ne!(below(made(1, 50_000).path()), below(made(2, 50_000).path()));
    }

    #[test]
    fn about_the_asked_amount_of_content_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let made = generate(dir.path(), 3, 5_000_000).unwrap();
        assert!((5_000_000..5_200_000).contains(&made.bytes), "{made:?}");
        assert_eq!(made.entries as usize, below(dir.path()).len());
        assert!(made.entries > 300, "{made:?}");
    }

    #[test]
    fn hard_links_sparse_files_and_dangling_links_are_described() {
        let dir = made(4, 1000);
        let all = below(dir.path());
        let Kind::File { hard_link, .. } = &all[Path::new("odd/links/target")].kind else { panic!() };
        assert_eq!(hard_link.as_deref(), Some(Path::new("odd/links/hard-1")));
        assert!(matches!(
            all[Path::new("odd/sparse.img")].kind,
            Kind::File { sparse: true, size: 67_108_864, .. }
        ));
        assert_eq!(
            all[Path::new("odd/links/dangling")].kind,
            Kind::Symlink { target: "no/such/file".into() }
        );
        assert_eq!(all[Path::new("odd/fifo")].kind, Kind::Fifo);
    }

    #[test]
    fn each_changed_property_is_named_and_nothing_else() {
        let (one, two) = (made(5, 1000), made(5, 1000));
        let target = two.path().join("odd/modes/file-0644");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(two.path().join("odd/fifo")).unwrap();
        let lines = compare(&below(one.path()), &below(two.path()));
        assert!(
            lines.contains(&r#""odd/modes/file-0644": mode 0600 instead of 0644"#.to_owned()),
            "{lines:#?}"
        );
        assert!(
            lines.iter().any(|line| line.starts_with(r#""odd/fifo": missing (fifo mode:"#)),
            "{lines:#?}"
        );
        // The removal changed the folder's own time too.
        assert_eq!(lines.len(), 3, "{lines:#?}");
    }

    #[test]
    fn a_copy_by_the_system_that_keeps_everything_compares_equal() {
        let Some(cp) = crate::require::tool("cp") else { return };
        let one = made(6, 100_000);
        let two = tempfile::tempdir().unwrap();
        let status = std::process::Command::new(cp)
            .arg("-a")
            .args([one.path().join("."), two.path().to_owned()])
            .status()
            .unwrap();
        assert!(status.success());
        assert_eq!(compare(&below(one.path()), &below(two.path())), Vec::<String>::new());
    }
}
