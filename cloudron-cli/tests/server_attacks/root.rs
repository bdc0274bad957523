//! Commands run by root in a machine's folder in which the server's user has placed links.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{DEMO, owned, pid};
use crate::common::Home;

const NOBODY: &str = "65534";

/// Runs a command of the program as this user, with a request.
fn box_command(home: &Home, words: &[&str], request: &str) -> std::process::Output {
    let mut command = home.command();
    command.arg("box").args(words).arg("--root").arg(home.root(DEMO));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), request.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn look(path: &Path) -> (u32, u32, Vec<u8>) {
    let meta = std::fs::metadata(path).unwrap();
    let content = if meta.is_file() { std::fs::read(path).unwrap() } else { Vec::new() };
    (meta.uid(), meta.mode(), content)
}

#[test]
fn a_restore_by_root_changes_nothing_that_the_servers_user_links_to() {
    let (home, _) = owned();
    home.ok(&["box", "stop", "--root", home.root(DEMO).to_str().unwrap()]);
    let (file, folder) = (home.path("shadow"), home.path("etc"));
    std::fs::write(&file, "root:x").unwrap();
    std::fs::create_dir(&folder).unwrap();
    let before = (look(&file), look(&folder));
    let root = rustix::process::geteuid().is_root();
    let run = home.root(DEMO).join("run");
    for links in ["lock", "run"] {
        let _ = std::fs::remove_dir_all(&run).or_else(|_| std::fs::remove_file(&run));
        match links {
            "lock" => {
                std::fs::create_dir(&run).unwrap();
                symlink(&file, run.join("box.lock")).unwrap();
            }
            _ => symlink(&folder, &run).unwrap(),
        }
        if root {
            let given = Command::new("chown").args(["-hR", NOBODY]).arg(home.root(DEMO)).status();
            assert!(given.unwrap().success());
        }
        let output =
            box_command(&home, &["restore", "--from-stdin"], r#"{"backup":"latest","identity":"x"}"#);
        assert!(!output.status.success());
        for command in ["start", "status", "token", "stop"] {
            box_command(&home, &[command], "");
        }
        assert_eq!((look(&file), look(&folder)), before, "{links}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}

#[test]
fn a_server_that_root_starts_runs_as_the_owner_of_its_state() {
    let (home, server) = owned();
    home.ok(&["box", "stop", "--root", home.root(DEMO).to_str().unwrap()]);
    let root = rustix::process::geteuid().is_root();
    if root {
        let given = Command::new("chown").args(["-hR", NOBODY]).arg(home.dir()).status();
        assert!(given.unwrap().success());
    }
    home.ok(&["box", "start", "--root", home.root(DEMO).to_str().unwrap()]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid(&home))).unwrap();
    let uids = status.lines().find(|l| l.starts_with("Uid:")).unwrap();
    let own = rustix::process::geteuid().as_raw().to_string();
    let wanted = if root { NOBODY } else { own.as_str() };
    assert!(uids.split_whitespace().skip(1).all(|uid| uid == wanted), "{uids}");
    super::runtime().block_on(async { server.answers(super::client::HOME).await.unwrap() });
    home.ok(&["machine", "backup", "create", DEMO]);
}
