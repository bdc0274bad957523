//! The shell blocks of the README, typed in order and unchanged, in one home.
//!
//! The blocks about a machine over SSH and about DNS need a server and an account: a unit test of the program
//! only parses their commands, and the end-to-end tests run the first of them.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Home, Run};

/// A typed line, and the lines that must be printed after it.
struct Typed {
    command: String,
    printed: Vec<String>,
}

/// Returns the lines of all shell blocks in order, without those that need a server or an account elsewhere.
fn typed() -> Vec<Typed> {
    let readme = include_str!("../../README.md").replace("\\\n", " ");
    let mut typed: Vec<Typed> = Vec::new();
    for block in readme.split("```").skip(1).step_by(2) {
        let (kind, lines) = block.split_once('\n').unwrap();
        let elsewhere = ["203.0.113.", "cloudron dns", "--token"].iter().any(|part| lines.contains(part));
        for line in lines.lines().filter(|_| !elsewhere) {
            let command = match kind {
                "sh" => Some(line),
                "console" => line.strip_prefix("$ "),
                _ => continue,
            };
            match command {
                Some(command) => typed.push(Typed { command: command.into(), printed: Vec::new() }),
                None => typed.last_mut().expect("a session begins with a command").printed.push(line.into()),
            }
        }
    }
    typed
}

/// Returns true if the text matches the pattern, in which `…` and runs of spaces match any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let blanks = |t: &str| t.split_whitespace().collect::<Vec<_>>().join(" ");
    let (pattern, mut rest) = (blanks(pattern), blanks(text));
    let parts: Vec<&str> = pattern.split('…').map(str::trim).collect();
    for (n, part) in parts.iter().enumerate() {
        let found = if n == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part) };
        let Some(at) = found else { return false };
        rest = rest[at + part.len()..].to_owned();
    }
    parts.last().is_some_and(|p| p.is_empty()) || rest.is_empty()
}

/// Checks that every printed line of the README is in the output, in order; a line `…` matches any number of
/// lines.
fn check(typed: &Typed, run: &Run) {
    let mut lines = run.stdout.lines();
    for pattern in typed.printed.iter().filter(|p| p.as_str() != "…") {
        let found = lines.any(|line| is_like(pattern, line));
        assert!(found, "$ {}\nno line like {pattern:?} in:\n{}", typed.command, run.stdout);
    }
}

/// Returns a shell in a home in which cargo has installed the program.
fn shell(home: &Home) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_cloudron")).parent().unwrap();
    let mut shell = Command::new("bash");
    let path =
        format!("{}:{}:{}", home.path("bin").display(), program.display(), std::env::var("PATH").unwrap());
    shell.env_clear().env("HOME", home.dir()).env("PATH", path).current_dir(home.dir());
    shell
}

#[test]
fn the_shell_blocks_of_the_readme_work_in_order_as_they_stand_there() {
    let home = Home::new();
    std::fs::create_dir(home.path("bin")).unwrap();
    // The program is already built. The test only assumes that cargo would install the same one.
    let cargo = "#!/bin/sh\n[ \"$*\" = 'install --locked --path cloudron-cli' ]\n";
    std::fs::write(home.path("bin/cargo"), cargo).unwrap();
    for folder in ["Documents/thesis", "Pictures", "disk"] {
        std::fs::create_dir_all(home.path(folder)).unwrap();
    }
    std::fs::write(home.path("Documents/thesis/one.txt"), "text").unwrap();
    let mut permissions = std::fs::metadata(home.path("bin/cargo")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(home.path("bin/cargo"), permissions).unwrap();

    let all = typed();
    assert!(all.len() > 20, "{} lines", all.len());
    let mut key = None;
    for typed in &all {
        // The two folders outside the home are replaced by folders of the test.
        let command = typed.command.replace("/mnt/disk", &home.path("disk").display().to_string());
        let command = command.replace("/tmp/back", &home.path("back").display().to_string());
        let mut shell = shell(&home);
        // The answer that a user would type.
        shell.envs(key.iter().map(|key: &String| ("CLOUDRON_BACKUP_KEY", key)));
        let output = shell.args(["-c", &format!("exec 2>&1\n{command}")]).output().unwrap();
        let run = Run::of(output);
        assert_eq!(run.code, 0, "$ {command}\n{}", run.stdout);
        check(typed, &run);
        if command.starts_with("cloudron backup init") {
            let shown = run.stdout.lines().find_map(|line| line.strip_prefix("Generated backup key:"));
            key = shown.map(|key| key.trim().to_owned());
            assert!(key.is_some(), "{}", run.stdout);
        }
    }
    let restored = Command::new("grep").args(["-r", "text"]).arg(home.path("back")).output().unwrap();
    assert!(restored.status.success(), "the thesis is back");
}

#[test]
fn patterns_match_what_they_should() {
    assert!(is_like("backup_…", "backup_2026"));
    assert!(is_like("a … b", "a  x y b"));
    assert!(!is_like("a … b", "a x b c"));
    assert!(is_like("Id …  Made", "Id       Made"));
    assert!(!is_like("gone", "it is gone"));
}
