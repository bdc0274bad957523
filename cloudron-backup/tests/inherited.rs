//! Attributes inherited from the target folder are removed from restored files.

mod common;

use cloudron_testkit::require;
use common::Fixture;
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Returns a default access control list that gives a user all rights: version 2, then (tag, rights, user)
/// for each entry.
fn acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, u32::MAX), (2, 7, 4711), (4, 5, u32::MAX), (0x10, 7, u32::MAX), (0x20, 5, u32::MAX)];
    let entry = |(tag, rights, user): (u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &user.to_le_bytes()].concat()
    };
    [2u32.to_le_bytes().to_vec()].into_iter().chain(entries.map(entry)).flatten().collect()
}

#[tokio::test]
async fn a_default_acl_of_the_target_is_on_nothing_that_had_none() {
    let f = Fixture::new().await;
    f.write("folder/file", "content");
    mknodat(CWD, f.source().join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::fs::create_dir(f.target("out")).unwrap();
    let set = xattr::set(f.target("out"), "system.posix_acl_default", &acl());
    if !require::that(set.is_ok(), "the file system has no access control lists") {
        return;
    }
    let made = f.backup().await;
    f.assert_restores(&made.id, "out").await;
    for name in ["folder", "folder/file", "pipe"] {
        let names: Vec<_> = xattr::list(f.restored("out").join(name)).unwrap().collect();
        assert!(!names.iter().any(|n| n.to_string_lossy().contains("acl")), "{name}: {names:?}");
    }
    // The comparison checks all of them.
    xattr::set(f.restored("out").join("pipe"), "system.posix_acl_access", &acl()).unwrap();
    let compared = f.compare(&made.id, "out").await;
    assert!(compared.differences.iter().any(|d| d.what == "xattrs"), "{:?}", compared.differences);
}
