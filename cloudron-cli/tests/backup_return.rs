//! `cloudron backup` in everyday use: repeated, interrupted, moved, damaged, and restored in part or
//! elsewhere.

mod common;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{FAST_KEY, Home};

const STORE: [&str; 4] = ["--store", "store", "--backup-key", "file:key"];

/// Returns a home with a folder of files, without a repository.
fn home() -> Home {
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    std::fs::create_dir(home.path("files")).unwrap();
    std::fs::write(home.path("files/note"), "remember").unwrap();
    home
}

/// Returns such a home with a repository in `store`.
fn prepared() -> Home {
    let home = home();
    home.ok(&[&["backup", "init"][..], &STORE].concat());
    home
}

fn create(home: &Home, more: &[&str]) -> String {
    home.ok(&[&["backup", "create", "--store", "store"][..], more].concat())
}

fn restore<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["backup", "restore", "latest"][..], &STORE, more].concat()
}

/// Returns the path of a restored file under `target`.
fn under(home: &Home, target: &str, name: &str) -> PathBuf {
    home.path(target).join(home.path(name).strip_prefix("/").unwrap())
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

#[test]
fn the_way_of_a_person_from_the_first_init_to_another_computer() {
    let home = home();
    let init = [&["backup", "init"][..], &STORE].concat();
    home.ok(&init);
    home.run(&init).failed(5, "repository-exists", "choose another address");
    create(&home, &["files"]);
    std::fs::write(home.path("files/note"), "changed").unwrap();
    std::fs::write(home.path("files/large"), noise(6_000_000)).unwrap();
    // Killed while it runs.
    let mut running = home.command().args(["backup", "create", "files", "--store", "store"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(120));
    running.kill().unwrap();
    running.wait().unwrap();
    create(&home, &["files"]);
    // The store has moved, and the key file was saved by a Windows editor.
    let other = Home::new();
    std::fs::write(other.path("key"), format!("\u{feff}{FAST_KEY}\r\n")).unwrap();
    assert!(
        std::process::Command::new("cp")
            .arg("-a")
            .args([home.path("store"), other.path("store")])
            .status()
            .unwrap()
            .success()
    );
    let part = home.path("files/note");
    let shown = part.to_str().unwrap();
    other.ok(&restore(&["--target", "t", "--compare", shown]));
    let back = other.path("t").join(part.strip_prefix("/").unwrap());
    assert_eq!(std::fs::read_to_string(back).unwrap(), "changed");
    other.ok(&[&["backup", "verify", "--full"][..], &STORE].concat());
    // The disk was removed.
    std::fs::rename(home.path("store"), home.path("away")).unwrap();
    home.run(&["backup", "create", "files", "--store", "store"]).failed(
        3,
        "repository-missing",
        "check the address",
    );
    assert!(!home.path("store").exists());
    std::fs::rename(home.path("away"), home.path("store")).unwrap();
    create(&home, &["files"]);
}

/// Returns incompressible bytes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn init_never_makes_a_second_repository_where_one_was() {
    let home = prepared();
    create(&home, &["files"]);
    let init = [&["backup", "init"][..], &STORE].concat();
    std::fs::rename(home.path("store/cloudron-backup.json"), home.path("saved")).unwrap();
    let before = listing(&home.path("store"));
    // There is a second copy of the description, so nothing is lost.
    home.run(&init).failed(5, "repository-exists", "");
    assert_eq!(listing(&home.path("store")), before);
    create(&home, &["files"]);
    std::fs::remove_file(home.path("store/copies/cloudron-backup.json")).unwrap();
    let before = listing(&home.path("store"));
    for (exit, code, arguments) in [
        (6, "repository-lost", [&["backup", "init"][..], &STORE].concat()),
        (6, "repository-lost", vec!["backup", "init", "--store", "store"]),
        (6, "repository-lost", [&["backup", "create", "files"][..], &STORE].concat()),
        (6, "repository-lost", vec!["backup", "list", "--store", "store"]),
    ] {
        let run = home.run(&arguments);
        run.failed(exit, code, "put cloudron-backup.json back");
        assert!(!run.stderr.contains("backup init") && !run.stderr.contains("Generated"), "{}", run.stderr);
        assert_eq!(listing(&home.path("store")), before, "{arguments:?}");
    }
    let machine = [
        "machine",
        "create",
        "local",
        "--fqdn",
        "example.com",
        "--store",
        "store",
        "--backup-key",
        "file:key",
    ];
    home.run(&machine).failed(6, "repository-lost", "put cloudron-backup.json back");
    assert_eq!(listing(&home.path("store")), before);
    // Follows the hint.
    std::fs::rename(home.path("saved"), home.path("store/cloudron-backup.json")).unwrap();
    home.ok(&restore(&["--target", "t", "--compare"]));
    // An interrupted `init`.
    home.ok(&["backup", "init", "--store", "begun", "--backup-key", "file:key"]);
    for written_later in ["cloudron-backup.json", "copies", "writers"] {
        let path = home.path("begun").join(written_later);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
    }
    let begun = listing(&home.path("begun"));
    let run = home.run(&["backup", "init", "--store", "begun"]);
    run.failed(6, "repository-lost", "--backup-key");
    assert!(!run.stderr.contains("Generated"), "{}", run.stderr);
    assert_eq!(listing(&home.path("begun")), begun);
    home.ok(&["backup", "init", "--store", "begun", "--backup-key", "file:key"]);
    home.ok(&["backup", "create", "files", "--store", "begun"]);
}

/// Returns every file below a folder with its content.
fn listing(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(listing(&entry.path())),
            false => found.push((entry.path(), std::fs::read(entry.path()).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn an_address_that_names_no_store_makes_nothing() {
    let home = home();
    let before = listing(home.dir());
    for address in [
        "sftp:user@host:/srv",
        "b2:bucket:x",
        "rest:https://host/",
        "rclone:r:x",
        "gs://bucket",
        "s3:https://host/b",
        "host:/srv",
        "~/backups",
        "$HOME/backups",
        "file:backups",
        "file://backups",
        "C:\\backups",
        " /srv",
        "",
    ] {
        for command in [&["backup", "init"][..], &["backup", "create", "files"], &["backup", "list"]] {
            let store = format!("--store={address}");
            let run = home.run(&[command, &[store.as_str()]].concat());
            assert_eq!(run.code, 2, "{address:?}: {}{}", run.stdout, run.stderr);
            assert!(run.stderr.contains("code: store-url") && run.stderr.contains("next:"), "{}", run.stderr);
        }
        if !address.is_empty() {
            let store = format!("--store={address}");
            let machine =
                ["machine", "create", "local", "--fqdn", "example.com", &store, "--backup-key", "file:key"];
            home.run(&machine).failed(2, "store-url", "");
        }
    }
    assert_eq!(listing(home.dir()), before);
    home.ok(&["backup", "init", "--store", "./sftp:x", "--backup-key", "file:key"]);
    assert!(home.path("sftp:x/cloudron-backup.json").exists());
}

#[test]
fn a_part_comes_back_with_the_folders_above_it_as_they_were() {
    let home = prepared();
    let deep = home.path("files/docs/deep");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("thesis"), "text").unwrap();
    std::fs::write(home.path("files/docs/other"), "other").unwrap();
    let above = ["files", "files/docs"];
    let is_root = rustix::process::geteuid().is_root();
    for (name, bits) in above.iter().zip([0o2750, 0o711]) {
        if is_root {
            std::os::unix::fs::chown(home.path(name), Some(4711), Some(4712)).unwrap();
        }
        set_mode(&home.path(name), bits);
    }
    let seen = |path: &Path| {
        let meta = path.metadata().unwrap();
        (meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec())
    };
    let as_it_was: Vec<_> = above.iter().map(|name| seen(&home.path(name))).collect();
    create(&home, &["files"]);
    let wanted = deep.join("thesis").to_str().unwrap().to_owned();
    // Into another folder: the parent folders of the backup are usable.
    home.ok(&restore(&["--target", "t", "--compare", &wanted]));
    let found: Vec<_> = above.iter().map(|name| seen(&under(&home, "t", name))).collect();
    assert_eq!(found, as_it_was);
    assert_eq!(mode(under(&home, "t", "files").parent().unwrap()), 0o755);
    assert_eq!(std::fs::read_dir(under(&home, "t", "files/docs")).unwrap().count(), 1);
    // In its original place, after all of it was lost.
    std::fs::remove_dir_all(home.path("files")).unwrap();
    home.ok(&restore(&["--original", "--compare", &wanted]));
    let found: Vec<_> = above.iter().map(|name| seen(&home.path(name))).collect();
    assert_eq!(found, as_it_was);
    // An existing folder keeps its other files.
    std::fs::remove_file(&wanted).unwrap();
    set_mode(&home.path("files"), 0o700);
    home.ok(&restore(&["--original", "--compare", &wanted]));
    assert_eq!(mode(&home.path("files")), 0o700);
}

#[test]
fn a_pattern_fits_what_it_says_or_is_refused() {
    let home = prepared();
    for name in ["files/app/cache/x", "files/snapp/cache/x", "files/app/node_modules/x", "files/a.log"] {
        std::fs::create_dir_all(home.path(name).parent().unwrap()).unwrap();
        std::fs::write(home.path(name), name).unwrap();
    }
    let whole = home.path("files/app//cache/");
    let left_out = |patterns: &[&str]| {
        let run = home.run(&[&["backup", "create", "files", "--store", "store"][..], patterns].concat());
        assert_eq!(run.code, 0, "{patterns:?}: {}", run.stderr);
        (run.stderr, home.ok(&[&["backup", "ls", "latest"][..], &STORE].concat()))
    };
    for pattern in ["**/app/cache", "app/cache", "app//cache/", whole.to_str().unwrap()] {
        let (said, list) = left_out(&["--exclude", pattern, "--exclude", "nowhere"]);
        assert!(!list.contains("/app/cache") && list.contains("/snapp/cache/x"), "{pattern}: {list}");
        assert!(
            said.contains("left 1 file or folder out") && said.contains("\"nowhere\" left nothing out"),
            "{said}"
        );
    }
    let list = home.ok(&["backup", "list", "--store", "store"]);
    assert_eq!(list.matches(", 1 excluded").count(), 4, "{list}");
    std::fs::write(home.path("patterns"), "\u{feff}*.log\r\nnode_modules\r\n").unwrap();
    let (_, list) = left_out(&["--exclude-file", "patterns"]);
    assert!(!list.contains("a.log") && !list.contains("node_modules") && list.contains("note"), "{list}");
    let find = [&["backup", "find", "app/cache"][..], &STORE].concat();
    assert!(home.ok(&find).contains("/app/cache"));
    let itself = home.path("files");
    for pattern in
        ["!keep", "*.[ch]", "{a,b}", "./x", "~/x", "/elsewhere/x", "**", "", itself.to_str().unwrap()]
    {
        let run = home.run(&["backup", "create", "files", "--store", "store", "--exclude", pattern]);
        run.failed(2, "pattern-invalid", "next:");
    }
    std::fs::write(home.path("patterns"), "*.log # logs\n").unwrap();
    let run = home.run(&["backup", "create", "files", "--store", "store", "--exclude-file", "patterns"]);
    run.failed(2, "pattern-invalid", "line of its own");
}

#[test]
fn everything_that_a_shell_may_give_is_backed_up() {
    let home = prepared();
    let fifo = home.path("files/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o640),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(home.path("files/socket")).unwrap();
    symlink("note", home.path("files/link")).unwrap();
    symlink("nowhere", home.path("files/dangling")).unwrap();
    symlink("pipe", home.path("files/to-pipe")).unwrap();
    let names: Vec<String> = std::fs::read_dir(home.path("files"))
        .unwrap()
        .map(|e| e.unwrap().path().to_str().unwrap().to_owned())
        .collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = home.run(&[&["backup", "create", "--store", "store"][..], &all].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("socket is a socket and is left out"), "{}", run.stderr);
    home.ok(&restore(&["--target", "t", "--compare"]));
    let back = |name: &str| under(&home, "t", &format!("files/{name}"));
    assert_eq!(mode(&back("pipe")), mode(&fifo));
    assert_eq!(std::fs::read_link(back("dangling")).unwrap(), Path::new("nowhere"));
    assert_eq!(std::fs::read_link(back("to-pipe")).unwrap(), Path::new("pipe"));
    assert_eq!(std::fs::read_to_string(back("link")).unwrap(), "remember");
    // The backup contains the target's content. Replacing the link is reported.
    home.run(&restore(&["--original"])).failed(5, "restore-conflict", "files/link");
    let replaced = home.run(&restore(&["--original", "--overwrite"]));
    assert_eq!(replaced.code, 0, "{}", replaced.stderr);
    assert!(replaced.stderr.contains("files/link was a symbolic link to note"), "{}", replaced.stderr);
    // Only a file type that cannot be backed up.
    let socket = home.path("files/socket");
    home.run(&[&["backup", "create", socket.to_str().unwrap()][..], &STORE].concat()).failed(
        2,
        "source-invalid",
        "",
    );
}

#[test]
fn what_a_backup_does_not_keep_is_said_once() {
    let home = prepared();
    let odd = std::ffi::OsStr::from_bytes(b"user.\xff\xfe");
    for name in ["files/one", "files/two"] {
        std::fs::write(home.path(name), name).unwrap();
        let set = xattr::set(home.path(name), odd, b"value");
        if !cloudron_testkit::require::that(set.is_ok(), "the file system has no extended attributes") {
            return;
        }
    }
    let run = home.run(&["backup", "create", "files", "--store", "store"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stderr.matches("is not kept in a backup").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("files/one and 1 more"), "{}", run.stderr);
}

#[test]
fn flags_and_attributes_of_security_modules_are_said_not_to_be_kept() {
    let Some(chattr) = cloudron_testkit::require::tool("chattr") else { return };
    let home = prepared();
    let is_root = rustix::process::geteuid().is_root();
    symlink("note", home.path("files/link")).unwrap();
    let flagged = std::process::Command::new(chattr).arg("+d").arg(home.path("files/note")).status();
    let set = is_root
        && ["files/note", "files/link"]
            .iter()
            .all(|name| xattr::set(home.path(name), "security.foo", b"bar").is_ok());
    let can = flagged.is_ok_and(|status| status.success()) && set;
    if !cloudron_testkit::require::that(
        can,
        "setting security.foo and a flag needs root and a file system for it",
    ) {
        return;
    }
    let run = home.run(&["backup", "create", "files", "--store", "store"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for text in [
        "the flag d (chattr) is not kept in a backup: ",
        "the attribute \"security.foo\" is not kept in a backup: ",
    ] {
        assert_eq!(run.stderr.matches(text).count(), 1, "{}", run.stderr);
    }
    assert!(run.stderr.contains("files/link and 1 more"), "{}", run.stderr);
    home.ok(&restore(&["--target", "t"]));
}

#[test]
fn files_that_other_programs_leave_in_a_repository_are_in_nobodys_way() {
    let home = prepared();
    create(&home, &["files"]);
    let mut folders = vec![home.path("store")];
    let mut left = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap().flatten().map(|e| e.path());
        folders.extend(entries.filter(|path| path.is_dir()));
        left.push(folder.join("desktop.ini"));
    }
    for name in ["condemned", "forgotten", "locks", "revoked"] {
        std::fs::create_dir_all(home.path("store").join(name)).unwrap();
        left.push(home.path("store").join(name).join("desktop.ini"));
    }
    left.iter().for_each(|path| std::fs::write(path, "[.ShellClassInfo]").unwrap());
    std::thread::sleep(std::time::Duration::from_millis(1010));
    std::fs::write(home.path("files/note"), "changed").unwrap();
    let plain = [&["backup", "create", "files"][..], &["backup", "list"]];
    for command in plain {
        let run = home.run(&[command, &STORE[..2]].concat());
        assert!(run.code == 0 && !run.stderr.contains("desktop.ini"), "{command:?}: {}", run.stderr);
    }
    for command in [&["verify"][..], &["verify", "--full"], &["repair"]] {
        let run = home.run(&[&["backup"], command, &STORE].concat());
        assert_eq!(run.code, 0, "{command:?}: {}\n{}", run.stdout, run.stderr);
        assert!(!run.stdout.contains("DAMAGED"), "{command:?}: {}", run.stdout);
    }
    let named = |command: &[&str], folders: &[&str]| {
        let said = home.run(command).stderr;
        let counted = said.contains("more objects are ignored");
        for folder in folders {
            assert!(
                counted || said.contains(&format!("{folder}/desktop.ini is ignored")),
                "{folder}: {said}"
            );
        }
    };
    named(&[&["backup", "verify"][..], &STORE].concat(), &["keys", "packs", "writers"]);
    named(&[&["backup", "verify"][..], &STORE[..2]].concat(), &["keys", "packs", "writers", "index"]);
    home.ok(&[&["backup", "prune", "--keep-last", "1", "--grace", "0"][..], &STORE].concat());
    home.ok(&restore(&["--target", "t", "--compare"]));
    assert!(left.iter().all(|path| path.exists()), "what belongs to others is not deleted");
}

#[test]
fn a_key_file_of_windows_opens_what_the_typed_key_opens() {
    let home = home();
    std::fs::write(home.path("bom"), format!("\u{feff}{FAST_KEY}\r\n")).unwrap();
    home.ok(&["backup", "init", "--store", "store", "--backup-key", "file:bom"]);
    create(&home, &["files"]);
    for key in ["file:key", "file:bom", &format!("cmd:cat {}", home.path("bom").display())] {
        home.ok(&["backup", "ls", "latest", "--store", "store", "--backup-key", key]);
    }
    std::fs::write(home.path("wide"), b"\xff\xfek\0e\0y\0").unwrap();
    let run = home.run(&["backup", "ls", "latest", "--store", "store", "--backup-key", "file:wide"]);
    run.failed(2, "secret-ref", "UTF-8");
}
