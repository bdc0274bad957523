//! One file can be restored from a repository with a shell, age, zstd and the tools of every Debian.

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cloudron_backup::{Identity, Summary};
use cloudron_testkit::require;
use common::{Fixture, KEY, noise};

/// The programs that the script may use: by the name that it calls, and by the name in Debian.
const TOOLS: [(&str, &str); 25] = [
    ("age", "age"),
    ("zstd", "zstd"),
    ("sh", "dash"),
    ("awk", "mawk"),
    ("sed", "sed"),
    ("grep", "grep"),
    ("tr", "tr"),
    ("od", "od"),
    ("head", "head"),
    ("tail", "tail"),
    ("sort", "sort"),
    ("wc", "wc"),
    ("fold", "fold"),
    ("date", "date"),
    ("base64", "base64"),
    ("sha256sum", "sha256sum"),
    ("truncate", "truncate"),
    ("mktemp", "mktemp"),
    ("dirname", "dirname"),
    ("cut", "cut"),
    ("cat", "cat"),
    ("mv", "mv"),
    ("rm", "rm"),
    ("cp", "cp"),
    ("ls", "ls"),
];

/// A repository in a folder, a copy of it in another one, and a folder with the available programs.
struct Rescue {
    f: Fixture,
    dir: tempfile::TempDir,
}

impl Rescue {
    async fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        for (name, program) in TOOLS {
            // Only files installed by Debian packages.
            let found = Path::new("/usr/bin").join(program);
            if !require::that(found.exists(), &format!("{} is missing", found.display())) {
                return None;
            }
            std::os::unix::fs::symlink(found, dir.path().join("bin").join(name)).unwrap();
        }
        let store = dir.path().join("store");
        let f = Fixture::on(cloudron_backup::open_store(store.to_str().unwrap()).unwrap()).await;
        std::fs::write(dir.path().join("identity"), f.identity.to_secret().expose()).unwrap();
        Some(Self { f, dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a backup and copies the repository to a clean folder.
    async fn backup(&self) -> Summary {
        let made = self.f.backup().await;
        let _ = std::fs::remove_dir_all(self.path("clean"));
        let copied = Command::new("cp").arg("-r").args([self.path("store"), self.path("clean")]).status();
        assert!(copied.unwrap().success());
        made
    }

    fn command(&self, args: &[&OsStr]) -> Command {
        let mut command = Command::new(self.path("bin/sh"));
        command.env_clear().env("PATH", self.path("bin")).current_dir(self.path("clean"));
        command.arg("recover.sh").args(args);
        command
    }

    fn run_with(&self, identity: &str, args: &[&OsStr]) -> Output {
        self.command(args).env("CLOUDRON_IDENTITY_FILE", self.path(identity)).output().unwrap()
    }

    fn run(&self, args: &[&OsStr]) -> Output {
        self.run_with("identity", args)
    }

    /// Restores a file of the source from the newest backup.
    fn get(&self, name: &OsStr) -> Result<Vec<u8>, String> {
        let out = self.path("out");
        let _ = std::fs::remove_file(&out);
        let path = self.f.source().join(name);
        let ran = self.run(&["latest".as_ref(), path.as_os_str(), out.as_os_str()]);
        match ran.status.success() {
            true => Ok(std::fs::read(&out).unwrap()),
            false => {
                assert!(!out.exists(), "nothing is left behind");
                Err(said(&ran))
            }
        }
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn files_of_any_name_come_out() {
    let Some(r) = Rescue::new().await else { return };
    let names: [&[u8]; 12] = [
        b"plain",
        b"with space",
        b"quote\"back\\slash",
        b"tab\tnew\nline\r",
        b"\x01\x08\x0c\x1f\x7f",
        "\u{fc}n\u{ef} \u{1f600}".as_bytes(),
        b"\xff\xfe not UTF-8",
        b"-n",
        b"[brackets]",
        b"\"extents\":[[\"x",
        b"\",\"more\":7,\"",
        b"$(touch x) `id` %s",
    ];
    for (i, name) in names.into_iter().enumerate() {
        std::fs::write(r.f.source().join(OsStr::from_bytes(name)), format!("content {i}")).unwrap();
    }
    r.f.write("empty", "");
    r.f.write("deep/er/file", "deep");
    r.backup().await;
    for (i, name) in names.into_iter().enumerate() {
        let got = r.get(OsStr::from_bytes(name));
        assert_eq!(got.as_deref(), Ok(format!("content {i}").as_bytes()), "{}", name.escape_ascii());
    }
    assert_eq!(r.get("empty".as_ref()).unwrap(), b"");
    assert_eq!(r.get("deep/er/file".as_ref()).unwrap(), b"deep");
    let listed = said(&r.run(&["latest".as_ref()]));
    assert!(listed.lines().count() == 18, "{listed}");
    assert!(listed.contains(&format!("file {}/deep/er/file\n", r.f.source().display())), "{listed}");
    assert!(listed.contains("quote\\\"back\\\\slash\n"), "{listed}");
}

#[tokio::test]
async fn the_latest_backup_is_the_one_that_was_made_last() {
    let Some(r) = Rescue::new().await else { return };
    r.f.write("file", "early");
    r.f.backup_as("backup_2099-01-02T03-04-05Z_v1.0.0").await;
    r.f.bring("backup_2020-01-02T03-04-05Z_v1.0.0").await;
    for n in 0..9 {
        r.f.write("file", format!("made {n}"));
        r.backup().await;
    }
    assert_eq!(r.get("file".as_ref()).unwrap(), b"made 8");
}

#[tokio::test]
async fn a_file_of_several_packs_and_one_of_thousands_of_extents_come_out() {
    let Some(r) = Rescue::new().await else { return };
    r.f.write("large", noise(40 << 20, 1));
    let sparse = std::fs::File::create(r.f.source().join("sparse")).unwrap();
    for i in 0..1200u64 {
        sparse.write_all_at(&noise(4096, i as u8), i * (132 << 10)).unwrap();
    }
    sparse.set_len((1200 * 132) << 10).unwrap();
    let id = r.backup().await.id;
    assert!(r.f.keys_under("packs/").await.len() >= 3);
    assert!(r.get("large".as_ref()).unwrap() == noise(40 << 20, 1));
    let got = r.get("sparse".as_ref()).unwrap();
    assert!(got == std::fs::read(r.f.source().join("sparse")).unwrap());
    r.f.write("large", "later");
    r.backup().await;
    assert_eq!(r.get("large".as_ref()).unwrap(), b"later");
    let out = r.path("first");
    let first = r.run(&[id.as_str().as_ref(), r.f.source().join("large").as_ref(), out.as_ref()]);
    assert!(first.status.success(), "{}", said(&first));
    assert!(std::fs::read(out).unwrap() == noise(40 << 20, 1));
}

#[tokio::test]
async fn a_further_name_leads_to_the_content_and_what_is_no_file_is_said_to_be_none() {
    let Some(r) = Rescue::new().await else { return };
    r.f.write("a", "the content");
    let source = r.f.source();
    std::fs::hard_link(source.join("a"), source.join("b")).unwrap();
    std::fs::write(source.join(OsStr::from_bytes(b"\xff")), "other").unwrap();
    std::fs::hard_link(source.join(OsStr::from_bytes(b"\xff")), source.join(OsStr::from_bytes(b"\xff2")))
        .unwrap();
    std::os::unix::fs::symlink("a", source.join("link")).unwrap();
    std::fs::create_dir(source.join("folder")).unwrap();
    r.backup().await;
    assert_eq!(r.get("b".as_ref()).unwrap(), b"the content");
    assert_eq!(r.get(OsStr::from_bytes(b"\xff2")).unwrap(), b"other");
    assert!(r.get("link".as_ref()).unwrap_err().contains("symbolic link to a\n"));
    assert!(r.get("folder".as_ref()).unwrap_err().contains("no regular file"));
    assert!(r.get("nothing".as_ref()).unwrap_err().contains("is not in"));
    let taken = r.path("taken");
    std::fs::write(&taken, "kept").unwrap();
    let refused = r.run(&["latest".as_ref(), source.join("a").as_ref(), taken.as_ref()]);
    assert!(!refused.status.success() && said(&refused).contains("kept"), "{}", said(&refused));
    assert_eq!(std::fs::read(taken).unwrap(), b"kept");
}

#[tokio::test]
async fn what_is_damaged_or_missing_never_comes_out() {
    let Some(r) = Rescue::new().await else { return };
    r.f.write("file", noise(300_000, 1));
    let id = r.backup().await.id;
    for prefix in ["packs/", "index/", "snapshots/"] {
        let object = r.f.keys_under(prefix).await.into_iter().find(|k| k.ends_with(".age")).unwrap();
        let path = r.path("clean").join(object);
        let content = std::fs::read(&path).unwrap();
        let mut changed = content.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        assert!(r.get("file".as_ref()).is_err(), "{prefix} is damaged");
        std::fs::remove_file(&path).unwrap();
        assert!(r.get("file".as_ref()).is_err(), "{prefix} is missing");
        std::fs::write(&path, content).unwrap();
    }
    assert!(r.get("file".as_ref()).is_ok());
    let unknown = r.run(&["backup_2026-01-02T03-04-05Z_v1.0.0".as_ref()]);
    assert!(!unknown.status.success() && said(&unknown).contains(id.as_str()), "{}", said(&unknown));
}

#[tokio::test]
async fn a_paper_key_opens_and_another_one_does_not() {
    let Some(r) = Rescue::new().await else { return };
    r.f.write("a", "1");
    let paper = r.f.repo.add_paper_key(&r.f.identity, "paper", None).await.unwrap().secret.unwrap();
    std::fs::write(r.path("paper"), paper.expose()).unwrap();
    std::fs::write(r.path("other"), Identity::generate().to_secret().expose()).unwrap();
    r.backup().await;
    let listed = r.run_with("paper", &["latest".as_ref()]);
    assert!(listed.status.success() && said(&listed).contains("/a\n"), "{}", said(&listed));
    let refused = r.run_with("other", &["latest".as_ref()]);
    assert!(!refused.status.success() && said(&refused).contains("does not open"), "{}", said(&refused));
}

/// Runs a program on its own terminal, and types a line at the passphrase prompt.
const TYPIST: &str = r#"
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.environ["PATH"] = sys.argv[2]
    os.execvp(sys.argv[3], sys.argv[3:])
said, sent = b"", False
while True:
    try:
        block = os.read(terminal, 65536)
    except OSError:
        break
    if not block:
        break
    said += block
    if not sent and b"passphrase" in said.lower():
        time.sleep(0.3)
        os.write(terminal, sys.argv[1].encode() + b"\n")
        sent = True
sys.stdout.write(said.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[tokio::test]
async fn the_backup_key_is_typed_into_age() {
    let Some(r) = Rescue::new().await else { return };
    let Some(python) = require::tool("python3") else { return };
    r.f.write("a", "1");
    r.backup().await;
    for (key, opens) in [(KEY, true), ("a wrong backup key", false)] {
        let out = r.path("out");
        let _ = std::fs::remove_file(&out);
        let typed = Command::new(&python)
            .args(["-c", TYPIST, key])
            .args([r.path("bin"), r.path("bin/sh")])
            .args(["recover.sh", "latest"])
            .args([r.f.source().join("a"), out.clone()])
            .current_dir(r.path("clean"))
            .output()
            .unwrap();
        assert_eq!((typed.status.success(), out.exists()), (opens, opens), "{}", said(&typed));
        assert!(opens || said(&typed).contains("does not open"), "{}", said(&typed));
    }
}

#[tokio::test]
async fn a_repository_encrypted_in_another_way_is_refused() {
    let Some(r) = Rescue::new().await else { return };
    r.f.write("a", "1");
    r.backup().await;
    let config = r.path("clean/cloudron-backup.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("{", "{\n  \"encryption\": \"other\",", 1)).unwrap();
    assert!(r.get("a".as_ref()).unwrap_err().contains("not encrypted with plain age"));
}

#[tokio::test]
async fn tombstones_are_passed_over_and_packs_on_their_way_out_are_read() {
    let Some(r) = Rescue::new().await else { return };
    r.f.write("a", "kept");
    r.backup().await;
    std::fs::rename(r.path("clean/index"), r.path("clean/condemned")).unwrap();
    let id = "backup_2099-01-02T03-04-05Z_v1.0.0";
    let tombstone = format!("{{\n  \"aborted\": true,\n  \"id\": \"{id}\"\n}}\n");
    std::fs::write(r.path(&format!("clean/snapshots/{id}.json")), tombstone).unwrap();
    assert_eq!(r.get("a".as_ref()).unwrap(), b"kept");
}
