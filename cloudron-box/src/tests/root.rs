//! Actions of root in a folder that another user can change.
//!
//! When run as root, the state belongs to another user, who has placed links in it. Otherwise the same
//! functions are tested with the same links.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cloudron_core::{Cancel, Progress};

use super::machine::{Machine, back_up, request};
use crate::Layout;
use crate::install::install;
use crate::restore::{RestoreRequest, restore};
use crate::system::owner::{Owner, as_owner, other_owner};

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Transfers everything below a folder to another user, if run as root.
fn give_away(folder: &Path) {
    if is_root() {
        let owner = format!("{NOBODY}:{NOBODY}");
        let given = std::process::Command::new("chown").args(["-hR", &owner]).arg(folder).status().unwrap();
        assert!(given.success());
    }
}

/// A file and a folder of the user who runs this test, with all their attributes.
struct Victim(PathBuf);

impl Victim {
    fn new(home: &Path) -> Self {
        let folder = home.join("victim");
        std::fs::create_dir_all(folder.join("inner")).unwrap();
        std::fs::write(folder.join("shadow"), "root:x").unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn look(&self) -> Vec<(PathBuf, u32, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut left = vec![self.0.clone()];
        while let Some(path) = left.pop() {
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            if meta.is_dir() {
                left.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            }
            found.push((path, meta.uid(), meta.mode(), content));
        }
        found.sort();
        found
    }
}

/// Returns a machine with a backup, and one that was installed to restore it, whose state belongs to another
/// user.
async fn successor() -> (Machine, Layout) {
    let mut machine = Machine::with_repository(Vec::new()).await;
    std::fs::write(machine.layout.data().join("note"), "remember").unwrap();
    back_up(&machine.activate().await).await;
    machine.stop().await;
    std::fs::set_permissions(machine.home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let layout = Layout::rooted(machine.path("successor"));
    let mut wanted = request(&machine.path("store"), &machine.identity);
    wanted.run = "run-2".into();
    install(&layout, &wanted).unwrap();
    give_away(layout.state());
    (machine, layout)
}

async fn restored(machine: &Machine, layout: &Layout) -> crate::Result<()> {
    let request = RestoreRequest {
        backup: "latest".into(),
        identity: machine.identity.to_secret(),
        overwrite: true,
        paths: Vec::new(),
    };
    restore(layout, request, &Progress::none(), &Cancel::new()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_follows_no_link_that_somebody_else_planted() {
    let (machine, layout) = successor().await;
    let victim = Victim::new(machine.home.path());
    let before = victim.look();
    let state = layout.state();
    // For users other than root, a cache or data folder elsewhere is their own choice.
    let everywhere =
        [("run/box.lock", "shadow"), ("run", ""), ("run/box.lock", "missing"), ("config.json", "shadow")];
    let for_root = [
        ("cache", ""),
        ("cache/restore", "inner"),
        ("data", "inner"),
        ("cloudron.db", "shadow"),
        ("secrets", ""),
    ];
    for (place, target) in everywhere.iter().chain(if is_root() { &for_root[..] } else { &[] }) {
        let (link, kept) = (state.join(place), state.join("kept"));
        let _ = std::fs::create_dir_all(link.parent().unwrap());
        let moved = std::fs::rename(&link, &kept).is_ok();
        symlink(victim.0.join(target), &link).unwrap();
        give_away(state);
        let result = restored(&machine, &layout).await;
        let harmless = ["secrets", "cloudron.db", "cache/restore"].contains(place);
        assert!(result.is_err() || harmless, "{place}");
        assert_eq!(victim.look(), before, "{place} to {target:?}");
        if link.is_symlink() {
            std::fs::remove_file(&link).unwrap();
        }
        if moved && !link.exists() {
            std::fs::rename(&kept, &link).unwrap();
        }
        let _ = std::fs::remove_dir_all(&kept).or_else(|_| std::fs::remove_file(&kept));
    }
    restored(&machine, &layout).await.unwrap();
    assert_eq!(std::fs::read(layout.data().join("note")).unwrap(), b"remember");
    if is_root() {
        for path in
            [state.to_owned(), layout.database(), layout.database_marker(), layout.run().join("box.lock")]
        {
            assert_eq!(std::fs::symlink_metadata(&path).unwrap().uid(), NOBODY, "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_is_repeated_follows_no_link() {
    let (machine, layout) = successor().await;
    let victim = Victim::new(machine.home.path());
    let before = victim.look();
    let mut again = request(&machine.path("store"), &machine.identity);
    again.run = "run-2".into();
    for (place, target) in [("run", ""), ("secrets", "inner"), ("cloudron.db", "shadow"), ("logs", "inner")] {
        let (link, kept) = (layout.state().join(place), layout.state().join("kept"));
        std::fs::rename(&link, &kept).unwrap();
        symlink(victim.0.join(target), &link).unwrap();
        give_away(layout.state());
        assert!(install(&layout, &again).is_err(), "{place}");
        assert_eq!(victim.look(), before, "{place}");
        std::fs::remove_file(&link).unwrap();
        std::fs::rename(&kept, &link).unwrap();
    }
    install(&layout, &again).unwrap();
    crate::install::uninstall(&layout, true).unwrap();
    assert_eq!(victim.look(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_settings_name_is_removed_by_their_owner() {
    let (machine, layout) = successor().await;
    // As an attacker on the server would write it.
    let elsewhere = machine.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for name in ["cloudron-backup.json", "precious"] {
        std::fs::write(elsewhere.join(name), "x").unwrap();
    }
    let text = std::fs::read_to_string(layout.config()).unwrap();
    let store = machine.path("store").display().to_string();
    std::fs::write(layout.config(), text.replace(&store, elsewhere.to_str().unwrap())).unwrap();
    give_away(layout.state());
    let removed = crate::install::uninstall(&layout, false);
    // For users other than root, the folder is their own.
    assert_eq!(elsewhere.join("precious").exists(), is_root());
    assert_eq!(removed.is_err(), is_root());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_of_the_owner_is_that_of_one_thread_and_has_no_way_back() {
    let (_machine, layout) = successor().await;
    let read = || Ok(std::fs::read_to_string("/proc/thread-self/status").unwrap());
    let status = as_owner(&layout, read).unwrap();
    let own = rustix::process::geteuid().as_raw();
    let uid = if is_root() { NOBODY } else { own };
    assert!(status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")), "{status}");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    assert_eq!(rustix::process::geteuid().as_raw(), own, "this process is who it was");
    let other = is_root().then_some(Owner { uid: NOBODY, gid: NOBODY });
    assert_eq!(other_owner(&layout).unwrap(), other);
}
