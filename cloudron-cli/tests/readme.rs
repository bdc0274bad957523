//! The session of the README, typed as it stands there.

mod common;

use std::process::Command;

use common::{Home, Run};

/// A typed line and the lines that must be printed after it.
struct Typed {
    command: String,
    printed: Vec<String>,
}

fn session() -> Vec<Typed> {
    let readme = include_str!("../../README.md");
    let block =
        readme.split("```console\n").nth(1).expect("the README has a session").split("```").next().unwrap();
    let mut session: Vec<Typed> = Vec::new();
    for line in block.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => session.push(Typed { command: command.into(), printed: Vec::new() }),
            None => session.last_mut().expect("a session begins with a command").printed.push(line.into()),
        }
    }
    session
}

/// Whether the text is the pattern, in which `…` and runs of blanks stand for anything.
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

/// Every printed line of the README stands in the output, in that order; a line `…` stands for any number.
fn check(typed: &Typed, run: &Run) {
    let mut lines = run.stdout.lines();
    for pattern in typed.printed.iter().filter(|p| p.as_str() != "…") {
        let found = lines.any(|line| is_like(pattern, line));
        assert!(found, "$ {}\nno line like {pattern:?} in:\n{}", typed.command, run.stdout);
    }
}

#[test]
fn the_session_of_the_readme_works_as_it_stands_there() {
    let home = Home::new();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cloudron")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let session = session();
    assert!(session.len() > 10);
    for typed in &session {
        let output = Command::new("bash")
            .args(["-c", &format!("{} 2>&1", typed.command)])
            .env_clear()
            .env("HOME", home.dir())
            .env("PATH", &path)
            .current_dir(home.dir())
            .output()
            .unwrap();
        let run = Run::of(output);
        assert_eq!(run.code, 0, "$ {}\n{}", typed.command, run.stdout);
        check(typed, &run);
    }
}

#[test]
fn patterns_match_what_they_should() {
    assert!(is_like("backup_…", "backup_2026"));
    assert!(is_like("a … b", "a  x y b"));
    assert!(!is_like("a … b", "a x b c"));
    assert!(is_like("Id …  Made", "Id       Made"));
    assert!(!is_like("gone", "it is gone"));
}
