//! On a terminal the program uses styles, and outside text is still escaped.

use std::process::Command;
use std::time::Duration;

use cloudron_testkit::require;
use serde_json::json;

use crate::machine_double::{Answer, DOMAIN, Machine};
use crate::{ESCAPED, HOSTILE, within};

#[test]
fn on_a_terminal_the_only_escapes_are_the_programs_own() {
    let Some(script) = require::tool("script") else { return };
    let machine = Machine::new(|_| {
        Answer::Json(500, json!({ "status": 500, "message": HOSTILE, "code": "x", "hint": HOSTILE }))
    });
    for words in ["machine status", "machine backup list", "machine logs", "machine backup create"] {
        let line = format!("'{}' {words} {DOMAIN}", env!("CARGO_BIN_EXE_cloudron"));
        let mut command = Command::new(&script);
        command.args(["-qec", &line, "/dev/null"]).env_clear().env("HOME", machine.home.dir());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "xterm").env("SHELL", "/bin/sh");
        let output = within(Duration::from_secs(60), &mut command);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(ESCAPED) && text.contains("\u{1b}[31merror:\u{1b}[0m"), "{text:?}");
        for raw in ["\u{1b}]", "\u{1b}[2J", "\u{9b}", "\u{9d}", "\u{202e}", "\u{2028}", "\u{7f}"] {
            assert!(!text.contains(raw), "{raw:?} reached the terminal: {text:?}");
        }
    }
}
