//! Random trees of files.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::{noise, set_mtime};

/// An entry of a tree.
#[derive(Debug, Clone)]
pub enum Node {
    File(Vec<u8>, u16, u32),
    Sparse(u8),
    Link(Vec<u8>),
    Hard,
    Fifo,
    Folder(Vec<(Vec<u8>, Node)>),
}

/// Generates a name of any bytes, sometimes of the maximum length.
pub fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = || any::<u8>().prop_map(|b| if b == 0 || b == b'/' { b'_' } else { b });
    prop_oneof![9 => proptest::collection::vec(byte(), 1..24), 1 => proptest::collection::vec(byte(), 90..256)]
        .prop_map(|n| if n == b"." || n == b".." { b"dots".to_vec() } else { n })
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..300),
        2 => (0usize..200_000, any::<u8>()).prop_map(|(n, b)| vec![b; n]),
        1 => (100_000usize..6_000_000, any::<u8>()).prop_map(|(n, s)| noise(n, s)),
    ]
}

pub fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        8 => (content(), 0u16..0o10000, any::<u32>()).prop_map(|(c, m, t)| Node::File(c, m, t)),
        1 => any::<u8>().prop_map(Node::Sparse),
        1 => name().prop_map(Node::Link),
        1 => Just(Node::Hard),
        1 => Just(Node::Fifo),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| {
        proptest::collection::vec((name(), inner), 0..8).prop_map(Node::Folder)
    })
}

/// Creates the entry in a folder. Hard links point to the first file created.
pub fn plant(folder: &Path, name: &[u8], node: &Node, first: &mut Option<std::path::PathBuf>) {
    let path = folder.join(std::ffi::OsStr::from_bytes(name));
    if path.symlink_metadata().is_ok() {
        return;
    }
    match node {
        Node::File(content, mode, time) => {
            std::fs::write(&path, content).unwrap();
            if content.len() % 3 == 0 {
                // Some file systems do not support them.
                let _ = xattr::set(&path, "user.test", &content[..content.len().min(50)]);
            }
            set_mtime(&path, SystemTime::UNIX_EPOCH + Duration::new((*time).into(), *time % 1_000_000_000));
            std::fs::set_permissions(&path, PermissionsExt::from_mode(u32::from(*mode) | 0o400)).unwrap();
            first.get_or_insert(path);
        }
        Node::Sparse(size) => {
            let file = std::fs::File::create(&path).unwrap();
            file.set_len(u64::from(*size) * 100_000).unwrap();
        }
        Node::Link(target) => symlink(std::ffi::OsStr::from_bytes(target), &path).unwrap(),
        Node::Hard => {
            if let Some(first) = first {
                std::fs::hard_link(first, &path).unwrap();
            }
        }
        Node::Fifo => {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap();
        }
        Node::Folder(children) => {
            std::fs::create_dir(&path).unwrap();
            for (name, child) in children {
                plant(&path, name, child, first);
            }
        }
    }
}
