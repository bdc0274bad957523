//! Faults of system calls, injected by `strace -e inject`.

use std::path::Path;

use cloudron_testkit::tree;

use crate::child::{Outcome, Spec, Work, outcome};
use crate::world::{World, rounds, seed};

/// All calls that write, create, name or sync.
const CALLS: [&str; 15] = [
    "write",
    "pwrite64",
    "copy_file_range",
    "fsync",
    "fdatasync",
    "syncfs",
    "rename,renameat,renameat2",
    "link,linkat",
    "mkdir,mkdirat",
    "openat",
    "close",
    "unlink,unlinkat",
    "ftruncate",
    "fchmod",
    "flock",
];

/// Errors of a full or broken disk, with the codes of a run that may end with them.
const ERRORS: [(&str, &[&str]); 4] = [
    ("error=ENOSPC", &["no-space"]),
    ("error=EDQUOT", &["no-space"]),
    ("error=EIO", &["io"]),
    ("error=EINTR", &["io"]),
];

/// Runs a child with one fault. Returns `None` if it was killed.
fn run(world: &World, spec: &Spec, fault: &str) -> Option<Outcome> {
    let inject = format!("inject={fault}");
    let folder = world.folder();
    // Calls of the test harness itself and of loading the program are counted too.
    let tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
    let status = spec.command(&folder, &tracer).status().unwrap();
    outcome(&folder, status)
}

#[tokio::test]
async fn a_backup_killed_at_any_system_call_that_writes_harms_none() {
    if cloudron_testkit::require::tool("strace").is_none() {
        return;
    }
    let mut world = World::new(seed()).await;
    world.backup().await;
    for round in 0..rounds(4) {
        let calls = CALLS[(round % CALLS.len() as u64) as usize];
        // Few of most calls, many of some.
        let reach = [4, 12, 60][world.rng.below(3) as usize];
        let fault = format!("{calls}:signal=KILL:when={}", 1 + world.rng.below(reach));
        world.change();
        let spec = world.backup_spec(None);
        let ended = run(&world, &spec, &fault);
        assert!(ended.as_ref().is_none_or(Outcome::is_ok), "{fault}: {ended:?}");
        world.check(Some(&spec.id), &fault).await;
        world.backup().await;
        world.check(None, &fault).await;
        assert_eq!(world.orphans().await, Vec::<String>::new(), "{fault}");
    }
    world.all_restore("at the end").await;
}

#[tokio::test]
async fn a_backup_onto_a_full_or_broken_disk_fails_with_the_reason_or_is_whole() {
    if cloudron_testkit::require::tool("strace").is_none() {
        return;
    }
    let mut world = World::new(seed() + 1).await;
    world.backup().await;
    for round in 0..rounds(6) {
        let calls = CALLS[(round % CALLS.len() as u64) as usize];
        let (error, codes) = ERRORS[world.rng.below(ERRORS.len() as u64) as usize];
        let reach = [4, 12, 60][world.rng.below(3) as usize];
        let first = 1 + world.rng.below(reach);
        // Once, or from then on; the standard library repeats an interrupted call without end.
        let more = if world.rng.below(3) == 0 && error != "error=EINTR" { "+" } else { "" };
        let fault = format!("{calls}:{error}:when={first}{more}");
        world.change();
        let spec = world.backup_spec(None);
        let ended = run(&world, &spec, &fault);
        check_ended(ended.as_ref(), calls, codes, &fault);
        world.check(Some(&spec.id), &fault).await;
        if ended.as_ref().is_some_and(Outcome::is_ok) {
            assert!(world.made.contains_key(&spec.id), "{fault}: a backup that was made is not listed");
        }
        world.backup().await;
    }
    world.all_restore("at the end").await;
}

fn check_ended(ended: Option<&Outcome>, calls: &str, codes: &[&str], fault: &str) {
    let Some(code) = ended.and_then(|o| o.code.as_deref()) else { return };
    // An error of opening may be interpreted as a missing file, for example.
    let allowed = codes.contains(&code) || calls == "openat" && ["io", "failed"].contains(&code);
    assert!(allowed, "{fault}: {ended:?}");
}

#[tokio::test]
async fn a_write_that_does_less_than_it_was_asked_to_loses_nothing() {
    if cloudron_testkit::require::tool("strace").is_none() {
        return;
    }
    let mut world = World::new(seed() + 2).await;
    for round in 0..rounds(4) {
        // Reports one written byte, and writes none: the caller continues from there, which damages the
        // temporary file. The hash in the name of an object, or the one in a summary, must detect it.
        let fault = format!("write:retval=1:when={}", 1 + world.rng.below(40));
        world.change();
        let spec = world.backup_spec(None);
        let ended = run(&world, &spec, &fault);
        let f = &world.f;
        let progress = cloudron_core::Progress::none();
        let depth = cloudron_backup::VerifyDepth::Full;
        let report = f.repo.verify(depth, Some(&f.identity), &progress, &cloudron_core::Cancel::new()).await;
        let report = report.unwrap();
        let listed = f.repo.find(spec.id.as_str()).await.is_ok();
        if listed && report.good.contains(&spec.id.to_string()) {
            world.made.insert(spec.id.clone(), world.source());
            world.restores(&spec.id, &fault).await;
        }
        assert!(listed || ended.is_none_or(|o| !o.is_ok()), "round {round}, {fault}");
    }
}

#[tokio::test]
async fn a_restore_onto_a_full_or_broken_disk_claims_nothing_false() {
    if cloudron_testkit::require::tool("strace").is_none() {
        return;
    }
    let mut world = World::new(seed() + 3).await;
    world.backup().await;
    let id = world.made.keys().next().unwrap().clone();
    let mut spec = world.backup_spec(None);
    spec.id = id.clone();
    for round in 0..rounds(6) {
        let target = world.f.target(&format!("target{round}"));
        spec.work = Work::Restore { identity: world.f.identity.to_secret(), target: target.clone() };
        let calls = CALLS[(round % CALLS.len() as u64) as usize];
        let (error, _) = ERRORS[world.rng.below(3) as usize];
        let reach = [2, 12, 60][world.rng.below(3) as usize];
        let first = 1 + world.rng.below(reach);
        let more = if world.rng.below(2) == 0 { "+" } else { "" };
        let fault = format!("{calls}:{error}:when={first}{more}");
        let ended = run(&world, &spec, &fault);
        let restored = target.join(world.f.source().strip_prefix("/").unwrap());
        let differences = not_as_made(&world, &id, &restored);
        match ended {
            Some(o) if o.is_ok() => {
                let found = tree::compare(&world.made[&id], &tree::digest(&restored).unwrap());
                assert_eq!(found, Vec::<String>::new(), "{fault}: a false success");
                assert!(
                    (calls, first) != ("syncfs", 1),
                    "{fault}: what may not be on disk is said to be restored"
                );
            }
            _ => assert_eq!(differences, Vec::<String>::new(), "{fault}: half a file"),
        }
        let _ = std::fs::remove_dir_all(&target);
    }
}

/// Returns files under their final name whose content is not that of the backup.
fn not_as_made(world: &World, id: &cloudron_core::BackupId, restored: &Path) -> Vec<String> {
    let Ok(found) = tree::digest(restored) else { return Vec::new() };
    let content = |e: &tree::Entry| match &e.kind {
        tree::Kind::File { sha256, .. } => Some(sha256.clone()),
        _ => None,
    };
    let hidden = |p: &Path| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    let differs = |(path, entry): (std::path::PathBuf, tree::Entry)| {
        let found = content(&entry)?;
        let made = world.made[id].get(&path).and_then(content);
        (!hidden(&path) && made.as_ref() != Some(&found)).then(|| format!("{}", path.display()))
    };
    found.into_iter().filter_map(differs).collect()
}
