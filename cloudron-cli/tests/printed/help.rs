//! The help of every command.

use crate::common::Home;
use crate::story::settings;

#[test]
fn the_help_of_every_command_is_as_it_was() {
    let home = Home::new();
    for command in ["machine", "backup", "dns", "policy", "explain", "completions", "version"] {
        let mut text = String::new();
        collect(&home, &[command], &mut text);
        settings().bind(|| insta::assert_snapshot!(format!("help_{command}"), text));
    }
}

/// Collects the help of a command and its subcommands.
fn collect(home: &Home, path: &[&str], text: &mut String) {
    let help = home.ok(&[path, &["--help"]].concat());
    text.push_str(&format!("$ cloudron {} --help\n{help}\n", path.join(" ")));
    for name in names(&help).filter(|name| *name != "help") {
        collect(home, &[path, &[name]].concat(), text);
    }
}

/// Returns the commands listed in a help text.
fn names(help: &str) -> impl Iterator<Item = &str> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
    list.lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
}
