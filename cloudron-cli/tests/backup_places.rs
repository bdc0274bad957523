//! `cloudron backup` on different disks, homes and file systems.

mod common;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use cloudron_testkit::require;
use common::{FAST_KEY, Home, Run};

const STORE: [&str; 4] = ["--store", "store", "--backup-key", "file:key"];
/// Another user, for tests of permissions that root would bypass.
const NOBODY: u32 = 65_534;
/// A group of which this user is a member, and one of which it is not.
const OWN: u32 = 4711;
const OTHER: u32 = 4712;

fn prepared() -> Home {
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    std::fs::create_dir(home.path("files")).unwrap();
    std::fs::write(home.path("files/note"), "remember").unwrap();
    home
}

/// Runs the program under a tracer that makes system calls fail, with the tracer options `faults`.
fn failing(home: &Home, faults: &[&str], arguments: &[&str]) -> Run {
    let plain = home.command();
    let mut command = Command::new("strace");
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["-f", "-qq", "-o", "/dev/null"]);
    command.args(faults);
    command
        .arg(plain.get_program())
        .args(arguments)
        .current_dir(home.dir())
        .stdin(std::process::Stdio::null());
    Run::of(command.output().unwrap())
}

#[track_caller]
fn ok(run: &Run) {
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

fn restore<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["backup", "restore", "latest"][..], &STORE, more].concat()
}

fn under(home: &Home, target: &str, name: &str) -> PathBuf {
    home.path(target).join(home.path(name).strip_prefix("/").unwrap())
}

#[test]
fn a_file_system_without_links_and_exclusive_renames_holds_a_repository() {
    if require::tool("strace").is_none() {
        return;
    }
    // The errors of exFAT, of an rclone mount, and of sshfs without hard links.
    for link in ["EPERM", "EIO"] {
        let home = prepared();
        let link = format!("inject=link,linkat:error={link}");
        let faults = ["-e", "inject=renameat2:error=EINVAL", "-e", link.as_str()];
        let run = |arguments: &[&str]| failing(&home, &faults, &[arguments, &STORE].concat());
        let create = || failing(&home, &faults, &["backup", "create", "files", "--store", "store"]);
        ok(&run(&["backup", "init"]));
        ok(&create());
        std::fs::write(home.path("files/note"), "changed").unwrap();
        ok(&create());
        if link.contains("EPERM") {
            continue;
        }
        run(&["backup", "init"]).failed(5, "repository-exists", "");
        ok(&run(&["backup", "prune", "--keep-last", "1", "--grace", "0"]));
        ok(&run(&["backup", "restore", "latest", "--target", "t", "--compare"]));
        ok(&run(&["backup", "verify", "--full"]));
        let left = std::fs::read_dir(home.path("store")).unwrap().flatten();
        let left: Vec<_> =
            left.map(|e| e.file_name()).filter(|n| n.as_encoded_bytes().starts_with(b".")).collect();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn a_folder_that_cannot_be_synced_is_no_failure_and_a_broken_disk_is() {
    // The program hides its open files from other users, so the tracer needs root to tell folders from files.
    let is_root = rustix::process::geteuid().is_root();
    if require::tool("strace").is_none() || !require::that(is_root, "the test needs root to see open files") {
        return;
    }
    for (error, exit) in [("EINVAL", 0), ("EACCES", 0), ("EOPNOTSUPP", 0), ("EIO", 1)] {
        let home = prepared();
        // The folders of the repository, without files.
        let folders = [home.dir().to_owned(), home.path("store"), home.path("store/keys")];
        let fault = format!("inject=fsync:error={error}");
        let mut faults = vec!["-e", &fault];
        folders.iter().for_each(|folder| faults.extend(["-P", folder.to_str().unwrap()]));
        let run = failing(&home, &faults, &[&["backup", "init"][..], &STORE].concat());
        assert_eq!(run.code, exit, "{error}: {}", run.stderr);
    }
}

#[test]
fn without_a_home_everything_works_and_one_warning_says_what_is_missing() {
    let home = prepared();
    let run = |arguments: &[&str]| {
        let mut command = home.command();
        command.env_remove("HOME").env("CLOUDRON_BACKUP_KEY_FILE", home.path("key"));
        command.args(arguments).args(["--store", "store"]);
        let run = Run::of(command.output().unwrap());
        ok(&run);
        assert_eq!(run.stderr.matches("HOME is not set: no cache is kept").count(), 1, "{}", run.stderr);
        run
    };
    let init = run(&["backup", "init"]);
    assert!(init.stderr.contains("needs --backup-key"), "{}", init.stderr);
    for _ in 0..2 {
        run(&["backup", "create", "files"]);
    }
    run(&["backup", "list"]);
    run(&["backup", "create", "files", "--dry-run"]);
    run(&["backup", "restore", "latest", "--target", "t", "--compare"]);
    run(&["backup", "verify", "--full"]);
    run(&["backup", "prune", "--keep-last", "1"]);
}

#[test]
fn a_home_that_cannot_be_used_costs_time_only() {
    let home = prepared();
    // Files in place of folders: even root cannot write there.
    std::fs::create_dir_all(home.path(".local/state")).unwrap();
    for name in [".cache", ".local/state/cloudron"] {
        std::fs::write(home.path(name), "in the way").unwrap();
    }
    let init = home.run(&[&["backup", "init"][..], &STORE].concat());
    ok(&init);
    assert!(init.stderr.contains("needs --backup-key"), "{}", init.stderr);
    let from_environment = |arguments: &[&str]| {
        let mut command = home.command();
        command.env("CLOUDRON_BACKUP_KEY_FILE", home.path("key")).args(arguments).args(["--store", "store"]);
        Run::of(command.output().unwrap())
    };
    let made = from_environment(&["backup", "create", "files"]);
    ok(&made);
    assert!(made.stderr.contains("the cache cannot be used"), "{}", made.stderr);
    assert!(made.stderr.contains("the backup key is used"), "{}", made.stderr);
    // Without the key, the error has a hint.
    let run = home.run(&["backup", "create", "files", "--store", "store"]);
    assert!(run.code != 0 && run.stderr.contains("--backup-key"), "{}", run.stderr);
    ok(&from_environment(&["backup", "list"]));
    ok(&from_environment(&["backup", "restore", "latest", "--target", "t", "--compare"]));
}

/// Runs a script whose mounts are its own, with the program as `$cloudron`. Returns `None` where that is not possible.
fn mounting(home: &Home, script: &str) -> Option<Run> {
    let unshare = require::tool("unshare")?;
    let can = Command::new(&unshare).args(["-Urm", "true"]).output().is_ok_and(|o| o.status.success());
    if !require::that(can, "user namespaces are not allowed here") {
        return None;
    }
    std::fs::set_permissions(home.path("key"), PermissionsExt::from_mode(0o600)).unwrap();
    let plain = home.command();
    let mut command = Command::new(unshare);
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("cloudron", plain.get_program()).env("CLOUDRON_BACKUP_KEY_FILE", home.path("key"));
    command.args(["-Urm", "sh", "-c", script]).current_dir(home.dir()).stdin(std::process::Stdio::null());
    Some(Run::of(command.output().unwrap()))
}

#[test]
fn a_home_on_a_full_disk_costs_time_only() {
    let home = prepared();
    ok(&home.run(&[&["backup", "init"][..], &STORE].concat()));
    // So many that their listing does not fit into the second home.
    let mut state = 1_u64;
    let mut letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"0123456789abcdefghijklmnopqrstuv"[(state >> 59) as usize])
    };
    for _ in 0..2500 {
        let name: String = (0..250).map(&mut letter).collect();
        std::fs::write(home.path("files").join(name), "").unwrap();
    }
    for (fill, text) in [
        ("head -c 1M /dev/zero >small/fill 2>&-", "the cache cannot be used"),
        ("true", "the next backup will be slower"),
    ] {
        let script = format!(
            "mkdir -p small && mount -t tmpfs -o size=300k none small || exit 99; {fill}
            HOME=$PWD/small exec \"$cloudron\" backup create files --store store"
        );
        let Some(run) = mounting(&home, &script) else { return };
        ok(&run);
        let warnings = run.stderr.matches("warning:").count();
        assert!(
            warnings == 1 && run.stderr.contains(text) && run.stderr.contains("No space left"),
            "{fill}: {}",
            run.stderr
        );
        std::thread::sleep(std::time::Duration::from_millis(1010));
    }
    let listed = home.json(&["backup", "list", "--store", "store"]);
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2);
    ok(&home.run(&restore(&["--target", "t", "--compare"])));
}

#[test]
fn a_full_store_is_pruned_as_the_program_advises() {
    let home = prepared();
    let script = r#"
        mkdir disk && mount -t tmpfs -o size=16m none disk || exit 99
        prune() { "$cloudron" backup prune --keep-last 1 --allow-removals --store disk/r "$@" 2>&1; echo "exit $?"; }
        "$cloudron" backup init --store disk/r || exit 98
        create() { "$cloudron" backup create files --store disk/r >&2 || exit 97; sleep 1.01; }
        noise() { head -c $2 /dev/urandom >files/$1; }
        noise keep 1500000; noise drop 2000000; create
        rm files/drop; noise late 3000000; create
        rm files/late; create
        head -c 16M /dev/zero >disk/fill
        echo '# no space'; prune --grace 0; prune
        "$cloudron" backup list --store disk/r
        echo '# little space'; truncate -s -1M disk/fill; prune
        echo '# without a grace'; prune --grace 0
        echo '# afterwards'; "$cloudron" backup verify --full --store disk/r; echo "exit $?"
        "$cloudron" backup restore latest --store disk/r --target t --compare; echo "exit $?"
        du -sk disk/r"#;
    let Some(run) = mounting(&home, script) else { return };
    let said = format!("{}\n{}", run.stdout, run.stderr);
    let parts: Vec<&str> = run.stdout.split("\n# ").collect();
    let &[_, none, little, without, after] = parts.as_slice() else { panic!("{said}") };
    assert_eq!(none.matches("code: no-space ").count(), 2, "{said}");
    assert_eq!(none.matches("exit 1\n").count(), 2, "{said}");
    assert_eq!(none.matches("run it again with `--grace 0`").count(), 2, "{said}");
    assert_eq!(none.matches("\nbackup_").count(), 3, "nothing is removed: {said}");
    for text in ["code: prune-no-space ", "exit 9", "stay as they are", "now with `--grace 0`", "2 removed"] {
        assert!(little.contains(text), "no {text:?} in: {said}");
    }
    assert!(without.contains("exit 0") && !without.contains("stay as they are"), "{said}");
    assert_eq!(after.matches("exit 0\n").count(), 2, "{said}");
    let left: u64 = after.lines().last().unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert!(left < 1800, "{left} KiB are left of 1500: {said}");
}

#[test]
fn a_namespace_that_is_mounted_on_a_file_is_passed_over() {
    let home = prepared();
    ok(&home.run(&[&["backup", "init"][..], &STORE].concat()));
    std::fs::write(home.path("files/ns"), "").unwrap();
    let script =
        r#"unshare --net=files/ns true || exit 99; exec "$cloudron" backup create files --store store"#;
    let Some(run) = mounting(&home, script) else { return };
    ok(&run);
    assert!(!run.stderr.contains("files/ns"), "{}", run.stderr);
}

#[test]
fn an_incomplete_backup_takes_the_place_of_no_complete_one() {
    if require::tool("strace").is_none() {
        return;
    }
    let home = prepared();
    ok(&home.run(&[&["backup", "init"][..], &STORE].concat()));
    let create = ["backup", "create", "files", "--store", "store"];
    let (mut ids, faults) = (Vec::new(), ["-e", "inject=openat:error=EIO", "-P", "fragile"]);
    for broken in [false, true] {
        std::fs::write(home.path("files/fragile"), if broken { "broken" } else { "whole" }).unwrap();
        match broken {
            false => ok(&home.run(&create)),
            true => failing(&home, &faults, &create).failed(9, "files-left-out", ""),
        }
        std::thread::sleep(std::time::Duration::from_millis(1010));
        let listed = home.json(&["backup", "list", "--store", "store"]);
        let new = listed["backups"].as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap().to_owned());
        ids = new.collect();
    }
    let listed = home.ok(&["backup", "list", "--store", "store"]);
    assert_eq!(listed.matches(", 1 missing").count(), 1, "{listed}");
    let prune =
        [&["backup", "prune", "--keep-last", "1", "--grace", "0", "--allow-removals"][..], &STORE].concat();
    let pruned = home.ok(&prune);
    assert!(ids.len() == 2 && ids.iter().all(|id| pruned.contains(&format!("keep    {id}"))), "{pruned}");
    ids.sort();
    ok(&home.run(&[&["backup", "restore", &ids[0], "--target", "t"][..], &STORE].concat()));
    assert_eq!(std::fs::read_to_string(under(&home, "t", "files/fragile")).unwrap(), "whole");
    // A later complete one does.
    ok(&home.run(&create));
    assert!(home.ok(&prune).contains("1 kept, 2 removed"));
}

#[test]
fn a_folder_that_is_shared_with_a_group_holds_a_shared_repository() {
    let home = prepared();
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    std::fs::create_dir(home.path("shared")).unwrap();
    std::fs::set_permissions(home.path("shared"), PermissionsExt::from_mode(0o2770)).unwrap();
    let shared = ["--store", "shared/r", "--backup-key", "file:key"];
    home.ok(&[&["backup", "init"][..], &shared].concat());
    home.ok(&["backup", "create", "files", "--store", "shared/r"]);
    let all = |folder: &Path| {
        let mut found = vec![folder.to_owned()];
        for at in 0.. {
            let Some(path) = found.get(at).cloned() else { break };
            if path.is_dir() {
                found.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
            }
        }
        found
    };
    for path in all(&home.path("shared/r")) {
        let expected = if path.is_dir() { 0o2770 } else { 0o660 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    // Any other existing folder is left alone.
    home.ok(&[&["backup", "init"][..], &STORE].concat());
    for path in all(&home.path("store")) {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

/// Runs commands as another user, which needs root.
struct Root {
    home: Home,
    program: PathBuf,
}

impl Root {
    /// Returns a home that another user may enter, with the program in it.
    fn new() -> Option<Self> {
        let is_root = rustix::process::geteuid().is_root();
        if !require::that(is_root, "the test needs root to become somebody else") {
            return None;
        }
        let home = prepared();
        std::fs::set_permissions(home.dir(), PermissionsExt::from_mode(0o755)).unwrap();
        let program = home.path("program");
        std::fs::copy(env!("CARGO_BIN_EXE_cloudron"), &program).unwrap();
        std::fs::create_dir(home.path("theirs")).unwrap();
        own(&home.path("theirs"));
        Some(Self { home, program })
    }

    /// Runs the program as the other user, in a folder of that user.
    fn as_user(&self, arguments: &[&str]) -> Run {
        let theirs = self.home.path("theirs");
        let mut command = Command::new(require::find("setpriv").expect("util-linux is everywhere"));
        command.env_clear().env("HOME", &theirs).env("PATH", std::env::var_os("PATH").unwrap());
        command.args([
            format!("--reuid={NOBODY}"),
            format!("--regid={NOBODY}"),
            format!("--groups={OWN},{NOBODY}"),
        ]);
        command.arg(&self.program).args(arguments).current_dir(theirs).stdin(std::process::Stdio::null());
        Run::of(command.output().unwrap())
    }
}

/// Changes the owner of everything below a folder to the other user.
fn own(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|e| own(&e.unwrap().path()));
    }
}

#[test]
fn root_leaves_the_repository_of_another_user_to_that_user() {
    let Some(root) = Root::new() else { return };
    let home = &root.home;
    std::fs::create_dir(home.path("theirs/files")).unwrap();
    std::fs::write(home.path("theirs/files/note"), "theirs").unwrap();
    own(&home.path("theirs"));
    let theirs = ["--store", "store", "--backup-key", "file:../key"];
    ok(&root.as_user(&[&["backup", "init"][..], &theirs].concat()));
    for content in ["one", "two"] {
        std::fs::write(home.path("theirs/files/note"), content).unwrap();
        ok(&root.as_user(&["backup", "create", "files", "--store", "store"]));
    }
    let by_root = ["--store", "theirs/store", "--backup-key", "file:key"];
    home.ok(&[&["backup", "prune", "--keep-last", "1", "--grace", "0"][..], &by_root].concat());
    home.ok(&[&["backup", "create", "files"][..], &by_root].concat());
    let mut folders = vec![home.path("theirs/store")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let meta = entry.metadata().unwrap();
            assert_eq!((meta.uid(), meta.gid()), (NOBODY, NOBODY), "{}", entry.path().display());
            folders.extend(meta.is_dir().then(|| entry.path()));
        }
    }
    ok(&root.as_user(&["backup", "create", "files", "--store", "store"]));
    ok(&root.as_user(&[&["backup", "verify", "--full"][..], &theirs].concat()));
}

#[test]
fn a_user_gets_back_all_that_a_user_may_have() {
    let Some(root) = Root::new() else { return };
    let home = &root.home;
    let files = [
        ("own", 0o640, NOBODY, OWN),
        ("other", 0o640, NOBODY, OTHER),
        ("program", 0o4755, 0, 0),
        ("mode0", 0o000, NOBODY, NOBODY),
        ("blind", 0o200, NOBODY, NOBODY),
        ("closed/file", 0o644, NOBODY, NOBODY),
    ];
    std::fs::create_dir(home.path("files/closed")).unwrap();
    for (name, mode, uid, gid) in files {
        let path = home.path("files").join(name);
        std::fs::write(&path, name).unwrap();
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::chown(home.path("files/closed"), Some(NOBODY), Some(NOBODY)).unwrap();
    std::fs::set_permissions(home.path("files/closed"), PermissionsExt::from_mode(0o555)).unwrap();
    home.ok(&[&["backup", "init"][..], &STORE].concat());
    home.ok(&["backup", "create", "files", "--store", "store"]);
    own(&home.path("store"));
    let restore = |more: &[&str]| {
        let base = [
            "backup",
            "restore",
            "latest",
            "--store",
            "../store",
            "--backup-key",
            "file:../key",
            "--target",
            "t",
        ];
        root.as_user(&[&base, more].concat())
    };
    let first = restore(&[]);
    // A set-user-ID program restored under another owner must not keep the bit.
    first.failed(9, "restore-metadata", "program: set-user-id");
    assert_eq!(
        first.stderr.matches("set-user-id or set-group-id is left off").count(),
        2,
        "{}",
        first.stderr
    );
    assert!(first.stdout.contains("had another owner or group"), "{}", first.stdout);
    let seen = |name: &str| {
        let meta = under(home, "theirs/t", "files").join(name).symlink_metadata().unwrap();
        (meta.mode() & 0o7777, meta.uid(), meta.gid())
    };
    for (name, mode, _, gid) in files {
        let gid = if gid == OWN { OWN } else { NOBODY };
        assert_eq!(seen(name), (mode & 0o777, NOBODY, gid), "{name}");
    }
    // Unreadable files are named in warnings, and the others are restored.
    std::fs::remove_file(under(home, "theirs/t", "files/own")).unwrap();
    let second = restore(&[]);
    second.failed(6, "restore-incomplete", "mode0");
    assert!(second.stdout.contains("blind") && !second.stdout.contains("closed"), "{}", second.stdout);
    assert_eq!(seen("own").2, OWN);
    // The file can be replaced, and so can a file in a read-only folder.
    std::fs::write(under(home, "theirs/t", "files/closed/file"), "changed").unwrap();
    restore(&["--overwrite"]).failed(9, "restore-metadata", "program: set-user-id");
    assert_eq!(std::fs::read_to_string(under(home, "theirs/t", "files/closed/file")).unwrap(), "closed/file");
    assert_eq!(seen("closed").0, 0o555);
}

#[test]
fn an_owner_that_cannot_be_set_shows_in_the_exit_code_and_is_said_once() {
    let Some(root) = Root::new() else { return };
    if require::tool("strace").is_none() {
        return;
    }
    let home = &root.home;
    own(&home.path("files"));
    home.ok(&[&["backup", "init"][..], &STORE].concat());
    home.ok(&["backup", "create", "files", "--store", "store"]);
    let run = failing(home, &["-e", "inject=fchown,fchownat:error=EPERM"], &restore(&["--target", "t"]));
    run.failed(9, "restore-metadata", "note: owner");
    let warnings = run.stderr.lines().filter(|l| l.starts_with("warning:") && l.contains("note: owner"));
    assert_eq!(warnings.count(), 1, "{}", run.stderr);
    // With `--compare` it is a difference.
    failing(home, &["-e", "inject=fchown,fchownat:error=EPERM"], &restore(&["--target", "u", "--compare"]))
        .failed(10, "restore-differs", "owner");
}

#[test]
fn an_attribute_that_the_target_refuses_shows_in_the_exit_code_and_is_said_once() {
    if require::tool("strace").is_none() {
        return;
    }
    let home = prepared();
    for name in ["files", "files/note"] {
        let set = xattr::set(home.path(name), "user.colour", b"blue");
        if !require::that(set.is_ok(), "the file system has no extended attributes") {
            return;
        }
    }
    home.ok(&[&["backup", "init"][..], &STORE].concat());
    home.ok(&["backup", "create", "files", "--store", "store"]);
    let faults = ["-e", "inject=setxattr,lsetxattr,fsetxattr:error=EOPNOTSUPP"];
    let run = failing(&home, &faults, &restore(&["--target", "t"]));
    run.failed(9, "restore-metadata", "");
    for name in ["files: ", "files/note: "] {
        let warnings = run.stderr.lines().filter(|l| l.starts_with("warning:") && l.contains(name));
        assert_eq!(warnings.count(), 1, "{name}: {}", run.stderr);
    }
    assert!(run.stderr.contains("user.colour"), "{}", run.stderr);
    failing(&home, &faults, &restore(&["--target", "u", "--compare"])).failed(10, "restore-differs", "");
}
