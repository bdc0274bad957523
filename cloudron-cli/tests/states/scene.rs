//! A computer in one of the states in which a machine's life cycle can be interrupted.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::{FAST_KEY, Home, Run};

pub(crate) const DEMO: &str = "demo.localhost";

/// How a run is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// `kill -9`.
    Kill,
    /// Ctrl-C.
    Interrupt,
}

/// The history of the computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was done.
    Clean,
    /// A machine with this number of backups.
    Made { backups: usize },
    /// A machine with a key that the program generated.
    MadeWithGeneratedKey,
    /// A destroyed machine with this number of backups left.
    Destroyed { backups: usize },
    /// A machine whose destruction was interrupted.
    DestroyCut { after: Duration },
    /// A creation that was interrupted when the journal had this record of this step.
    CreateCut { kind: &'static str, step: &'static str, cut: Cut },
    /// A creation that was interrupted while restoring a backup.
    RestoreCut { step: &'static str, cut: Cut },
    /// A run that failed at this step and was rolled back, or was kept with `--keep`.
    Failed { step: &'static str, keep: bool },
    /// A run that failed and whose rollback was interrupted.
    RollbackCut,
    /// The computer that created the machine is lost; the machine with its backup is not.
    Lost { backups: usize },
}

pub(crate) struct Scene {
    pub(crate) home: Home,
}

impl Scene {
    /// Returns a home in this state.
    pub(crate) fn new(state: State) -> Self {
        let home = Home::new();
        std::fs::write(home.path("key"), format!("{FAST_KEY}\n")).unwrap();
        let scene = Self { home };
        scene.reach(state);
        scene
    }

    fn reach(&self, state: State) {
        match state {
            State::Clean => {}
            State::Made { backups } => self.made(backups),
            State::MadeWithGeneratedKey => self.made_with_generated_key(),
            State::Destroyed { backups } => {
                self.made(backups);
                self.ok(&["machine", "destroy", DEMO, "--yes"]);
            }
            State::DestroyCut { after } => {
                self.made(1);
                let child = self.spawn(&["machine", "destroy", DEMO, "--yes"]);
                std::thread::sleep(after);
                self.cut(child, Cut::Kill);
            }
            State::CreateCut { kind, step, cut } => {
                let child = self.spawn(&self.create(&[]));
                self.at(kind, step);
                self.cut(child, cut);
            }
            State::RestoreCut { step, cut } => {
                self.made(1);
                self.ok(&["machine", "destroy", DEMO, "--yes"]);
                self.forget_journals();
                let child = self.spawn(&self.create(&["--backup", "latest"]));
                self.at("intent", step);
                self.cut(child, cut);
            }
            State::Failed { step, keep } => self.fail(step, keep),
            State::RollbackCut => {
                let child = self.failing_late();
                self.at("undo-intent", "start");
                self.cut(child, Cut::Kill);
            }
            State::Lost { backups } => {
                self.made(backups);
                for name in ["machines", "runs", "kept"] {
                    let _ = std::fs::remove_dir_all(self.state(name));
                }
            }
        }
    }

    /// Returns the command that creates the machine.
    pub(crate) fn create<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        let base = ["machine", "create", "local", "--fqdn", DEMO, "--backup-key", "file:key", "--yes"];
        [&base[..], more].concat()
    }

    fn made(&self, backups: usize) {
        self.ok(&self.create(&[]));
        for n in 0..backups {
            // Backup names contain whole seconds.
            std::thread::sleep(Duration::from_millis(if n == 0 { 0 } else { 1100 }));
            self.ok(&["machine", "backup", "create", DEMO]);
        }
    }

    /// Creates a machine and stores the key that was shown.
    fn made_with_generated_key(&self) {
        let run = self.home.run(&["machine", "create", "local", "--fqdn", DEMO, "--yes"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let key = run.stderr.lines().find_map(|line| line.strip_prefix("Generated backup key:")).unwrap();
        std::fs::write(self.home.path("key"), format!("{}\n", key.trim())).unwrap();
        self.ok(&["machine", "backup", "create", DEMO]);
        self.ok(&["machine", "destroy", DEMO, "--yes"]);
    }

    fn fail(&self, step: &str, keep: bool) {
        let root = self.home.root(DEMO);
        let keep: &[&str] = if keep { &["--keep"] } else { &[] };
        let run = match step {
            "program" => {
                std::fs::create_dir_all(&root).unwrap();
                std::fs::write(root.join("bin"), "in the way").unwrap();
                let run = self.home.run(&self.create(keep));
                std::fs::remove_file(root.join("bin")).unwrap();
                run
            }
            "server" => {
                std::fs::create_dir_all(root.join("cloudron.db")).unwrap();
                let run = self.home.run(&self.create(keep));
                let _ = std::fs::remove_dir(root.join("cloudron.db"));
                run
            }
            "start" => {
                let child = self.spawn(&self.create(keep));
                self.at("done", "server");
                let _ = std::fs::remove_dir_all(root.join("run"));
                let _ = std::fs::write(root.join("run"), "in the way");
                let run = Run::of(child.wait_with_output().unwrap());
                let _ = std::fs::remove_file(root.join("run"));
                run
            }
            _ => Run::of(self.failing_late().wait_with_output().unwrap()),
        };
        assert_ne!(run.code, 0, "{step} did not fail: {}", run.stderr);
    }

    /// Starts a run whose last step fails: a folder blocks the path of the record.
    fn failing_late(&self) -> Child {
        let child = self.spawn(&self.create(&[]));
        self.at("intent", "start");
        std::fs::create_dir_all(self.state("machines").join(format!("{DEMO}.json"))).unwrap();
        self.at("intent", "record");
        child
    }

    /// Removes the obstacle that made a run fail.
    pub(crate) fn clear(&self) {
        let _ = std::fs::remove_dir(self.state("machines").join(format!("{DEMO}.json")));
    }

    fn forget_journals(&self) {
        let _ = std::fs::remove_dir_all(self.state("runs"));
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.home.path(".local/state/cloudron").join(name)
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.home.ok(arguments)
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.home.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the journal has a record of a step, or the run has ended.
    fn at(&self, kind: &str, step: &str) {
        let record = format!("\"kind\":\"{kind}\",\"step\":\"{step}\"");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            let journals = std::fs::read_dir(self.state("runs")).into_iter().flatten().flatten();
            let texts = journals
                .filter(|e| e.path().extension().is_some_and(|e| e == "jsonl"))
                .map(|e| std::fs::read_to_string(e.path()).unwrap_or_default());
            if texts.into_iter().any(|text| text.contains(&record) || text.contains("\"kind\":\"end\"")) {
                return;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        panic!("the journal never had {record}");
    }

    fn cut(&self, child: Child, cut: Cut) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let signal = match cut {
            Cut::Kill => rustix::process::Signal::KILL,
            Cut::Interrupt => rustix::process::Signal::INT,
        };
        // It may have ended already.
        let _ = rustix::process::kill_process(pid, signal);
        child.wait_with_output().unwrap();
        self.settled();
    }

    /// Waits until only the server still works on the machine: a killed run may leave its last command
    /// running.
    fn settled(&self) {
        let root = self.home.root(DEMO).to_string_lossy().into_owned();
        let busy = || {
            let processes = std::fs::read_dir("/proc").unwrap().flatten();
            let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
            lines
                .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
                .any(|line| line.contains(&root) && line.contains(" box ") && !line.contains(" box serve "))
        };
        let start = Instant::now();
        while busy() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the IDs of the backups in the store.
    pub(crate) fn backups(&self) -> Vec<String> {
        if !self.home.store(DEMO).join("cloudron-backup.json").exists() {
            return Vec::new();
        }
        let list = self.home.json(&["machine", "backup", "list", DEMO, "--store"]);
        list["backups"].as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap().to_owned()).collect()
    }
}
