//! A crash of the program leaves no secret on disk.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cloudron_testkit::canary::{Canary, assert_none};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

use crate::common::{FAST_KEY, Home};

/// Allows core dumps of any size, as `ulimit -c unlimited` does.
fn dumpable(command: &mut Command) -> &mut Command {
    // SAFETY: setrlimit is only a system call.
    unsafe {
        command.pre_exec(|| {
            let maximum = rustix::process::getrlimit(Resource::Core).maximum;
            Ok(setrlimit(Resource::Core, Rlimit { current: maximum, maximum })?)
        })
    }
}

fn aborted(mut child: Child) -> std::process::ExitStatus {
    kill_process(Pid::from_child(&child), Signal::ABORT).unwrap();
    child.wait().unwrap()
}

#[test]
fn a_program_that_has_the_backup_key_leaves_no_core_dump() {
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    let store = ["--store", "store", "--backup-key", "file:key"];
    home.ok(&[&["backup", "init"][..], &store].concat());
    let mut command = home.command();
    command.args(["backup", "create", "--stdin", "dump"]).args(store);
    dumpable(&mut command).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It reads its input only after unlocking the repository, and then waits for more.
    let mut stdin = child.stdin.take().unwrap();
    let begun = Instant::now();
    stdin.write_all(&vec![7; 4 << 20]).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let status = aborted(child);
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped());
    std::fs::remove_file(home.path("key")).unwrap();
    assert_none(&Canary::new().secret("backup key", FAST_KEY).in_tree(home.dir()).unwrap());
}

#[test]
fn a_program_that_is_started_may_leave_a_core_dump_again() {
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    let store = ["--store", "store", "--backup-key", "file:key"];
    home.ok(&[&["backup", "init"][..], &store].concat());
    // The hard limit is unchanged.
    let mut command = home.command();
    let dump = ["backup", "create", "--stdin", "dump", "--command", "ulimit -Hc > hard"];
    command.args(dump).args(store);
    let output = dumpable(&mut command).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let here = dumpable(Command::new("sh").args(["-c", "ulimit -Hc"])).output().unwrap();
    assert_eq!(std::fs::read(home.path("hard")).unwrap(), here.stdout);
}
