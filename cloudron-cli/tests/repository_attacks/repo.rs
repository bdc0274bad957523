//! A repository in a folder, its owner's home, and the attacker's access to it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use cloudron_testkit::forge::{Forge, Object, line};
use serde_json::Value;

use crate::common::{FAST_KEY, Home, Run};

const STORE: [&str; 2] = ["--store", "store"];
const KEY: [&str; 2] = ["--backup-key", "file:key"];
const HOUR: Duration = Duration::from_secs(3600);

pub struct Repo {
    pub home: Home,
}

/// Returns incompressible bytes.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

impl Repo {
    /// Returns a repository with two backups of a folder of 5 MB.
    pub fn new() -> Self {
        let home = Home::new();
        std::fs::write(home.path("key"), FAST_KEY).unwrap();
        std::fs::create_dir(home.path("files")).unwrap();
        home.ok(&[&["backup", "init"][..], &STORE, &KEY].concat());
        let repo = Self { home };
        repo.write("large", &noise(4_000_000, 1));
        repo.write("small", b"remember");
        repo.create();
        repo.write("more", &noise(1_000_000, 2));
        repo.create();
        repo
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.home.path("files").join(name), content).unwrap();
    }

    /// Makes a backup. Returns the program's report.
    pub fn create(&self) -> Value {
        // Backup names contain the time to the second.
        std::thread::sleep(Duration::from_millis(1010));
        self.home.json(&[&["backup", "create", "files"][..], &STORE].concat())["backup"].clone()
    }

    /// Runs a command with the backup key.
    pub fn owner(&self, command: &[&str]) -> Run {
        self.home.run(&[&["backup"], command, &STORE, &KEY].concat())
    }

    /// Runs a command without a key.
    pub fn anybody(&self, command: &[&str]) -> Run {
        self.home.run(&[&["backup"], command, &STORE].concat())
    }

    /// Runs a command with limits of memory, in MiB, and time, in seconds.
    pub fn bounded(&self, command: &[&str], memory: u64, seconds: u64) -> Run {
        let key: &[&str] = if ["create", "list"].contains(&command[0]) { &[] } else { &KEY };
        let arguments = [&["backup"], command, &STORE, key].concat();
        let begun = Instant::now();
        let script = format!("ulimit -v {}; exec timeout {seconds} \"$0\" \"$@\"", memory * 1024);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_cloudron")]).args(arguments).env_clear();
        shell.env("HOME", self.home.dir()).env("PATH", std::env::var_os("PATH").unwrap());
        shell.env("MALLOC_ARENA_MAX", "2").current_dir(self.home.dir());
        let run = Run::of(shell.stdin(std::process::Stdio::null()).output().unwrap());
        let taken = begun.elapsed().as_secs();
        assert!(run.code != 124, "{command:?} took more than {taken} s: {}", run.stderr);
        assert!(run.code != 134 && run.code != -1, "{command:?} ended by a signal: {}", run.stderr);
        run
    }

    pub fn store(&self) -> PathBuf {
        self.home.path("store")
    }

    fn description(&self) -> Vec<u8> {
        std::fs::read(self.store().join("cloudron-backup.json")).unwrap()
    }

    /// Returns an attacker without a key.
    pub fn stranger(&self) -> Forge {
        Forge::keyless(&self.description())
    }

    /// Adds another machine, with its keys in `server.json`. Returns the keys.
    pub fn server_keys(&self) -> Value {
        let new: Value = serde_json::from_slice(&self.description()).unwrap();
        let name: &[&str] = if new["version"] == 1 { &[] } else { &["--name", "server"] };
        let run = self.owner(&[&["key", "writer", "-o", "server.json"], name].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        serde_json::from_slice(&std::fs::read(self.home.path("server.json")).unwrap()).unwrap()
    }

    /// Returns an attacker with the stolen keys of a server that has made a backup.
    pub fn thief(&self) -> Forge {
        let keys = self.server_keys();
        std::fs::create_dir_all(self.home.path("server")).unwrap();
        std::fs::write(self.home.path("server/data"), noise(300_000, 9)).unwrap();
        std::thread::sleep(Duration::from_millis(1010));
        let create = ["create", "server", "--writer-keys", "file:server.json", "--host", "server"];
        let run = self.anybody(&create);
        assert_eq!(run.code, 0, "{}", run.stderr);
        self.stranger().with_keys(&keys)
    }

    /// Adds objects.
    pub fn put(&self, objects: impl IntoIterator<Item = Object>) {
        for (key, content) in objects {
            let path = self.store().join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            assert!(!path.exists(), "an object may be added and not replaced");
            std::fs::write(path, content).unwrap();
        }
    }

    /// Returns the objects of a folder: key and content.
    pub fn objects(&self, folder: &str) -> Vec<Object> {
        fn walk(root: &Path, folder: &Path, found: &mut Vec<Object>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    walk(root, &entry.path(), found);
                } else {
                    let key = entry.path().strip_prefix(root).unwrap().display().to_string();
                    found.push((key, std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.store(), &self.store().join(folder), &mut found);
        found.retain(|(key, _)| !key.rsplit('/').next().unwrap().starts_with('.'));
        found.sort();
        found
    }

    /// Returns the packs: ID and size.
    pub fn packs(&self) -> Vec<(String, u64)> {
        let id = |key: &str| key.rsplit('/').next().unwrap().trim_end_matches(".age").to_owned();
        self.objects("packs").iter().map(|(key, content)| (id(key), content.len() as u64)).collect()
    }

    /// Returns index lines that describe every pack as empty.
    pub fn empty_lines(&self) -> Vec<Value> {
        self.packs().iter().map(|(pack, size)| line(pack, *size, &[])).collect()
    }

    /// Moves the time of everything in the store back by one day.
    pub fn a_day_passes(&self) {
        fn older(folder: &Path) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    older(&entry.path());
                } else {
                    let file = std::fs::File::options().read(true).open(entry.path()).unwrap();
                    let written = file.metadata().unwrap().modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    file.set_modified(written - 25 * HOUR).unwrap();
                }
            }
        }
        older(&self.store());
    }

    /// Checks that every backup can be restored, and that the latest one equals the folder.
    #[track_caller]
    pub fn restores(&self) {
        let verified = self.owner(&["verify", "--full"]);
        assert!(!verified.stderr.contains("panicked"), "{}", verified.stderr);
        for id in self.ids() {
            let target = self.home.path("back");
            let _ = std::fs::remove_dir_all(&target);
            let run = self.owner(&["restore", &id, "--target", "back"]);
            assert_eq!(run.code, 0, "{id}: {}", run.stderr);
            let back = target.join(self.home.path("files").strip_prefix("/").unwrap());
            for entry in std::fs::read_dir(&back).into_iter().flatten().flatten() {
                let now = std::fs::read(self.home.path("files").join(entry.file_name())).unwrap();
                assert_eq!(std::fs::read(entry.path()).unwrap(), now, "{:?} of {id}", entry.file_name());
            }
        }
    }

    /// Returns the IDs of the owner's backups in the list, oldest first.
    pub fn ids(&self) -> Vec<String> {
        let listed = self.home.json(&[&["backup", "list"][..], &STORE].concat());
        let ids = listed["backups"].as_array().unwrap().iter();
        let mut ids: Vec<String> = ids.map(|b| b["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// Runs a prune that keeps everything, which must succeed.
    #[track_caller]
    pub fn prune(&self, more: &[&str]) -> Run {
        let run = self.owner(&[&["prune", "--keep-last", "10"], more].concat());
        assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
        run
    }
}
