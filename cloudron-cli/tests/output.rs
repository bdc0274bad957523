//! The program's output, as text and JSON.

mod common;

use common::Home;

#[test]
fn the_help_shows_the_commands_with_examples() {
    let home = Home::new();
    insta::assert_snapshot!("help", home.ok(&["--help"]));
    for command in ["plan", "apply", "check", "export", "wait", "dkim-key"] {
        assert!(home.ok(&["dns", command, "--help"]).contains("Examples:"), "{command} has no examples");
    }
    for command in
        ["create local", "create generic", "backup create", "backup list", "backup download", "status"]
    {
        let words: Vec<&str> = ["machine"].into_iter().chain(command.split(' ')).chain(["--help"]).collect();
        assert!(home.ok(&words).contains("Examples:"), "{command} has no examples");
    }
}

#[test]
fn an_error_looks_the_same_to_people_and_is_an_object_to_programs() {
    let home = Home::new();
    let text = home.run(&["machine", "status", "example.com"]);
    insta::assert_snapshot!("error", text.stderr);
    let json = home.run(&["machine", "status", "example.com", "--output", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!((value["schema"].as_i64(), value["error"]["exitCode"].as_i64()), (Some(1), Some(3)));
    assert_eq!(value["error"]["code"], "machine-unknown");
    assert!(json.stdout.is_empty(), "nothing but data goes to stdout");
}

#[test]
fn data_goes_to_stdout_as_one_object_with_a_schema() {
    let home = Home::new();
    assert_eq!(home.json(&["machine", "list"])["machines"], serde_json::json!([]));
    assert!(home.json(&["explain"])["codes"].as_array().unwrap().len() > 50);
    assert_eq!(home.json(&["explain", "no-space"])["code"]["exitCode"], 1);
    assert_eq!(home.json(&["version"])["version"], env!("CARGO_PKG_VERSION"));
    home.run(&["explain", "no-such-code"]).failed(3, "code-unknown", "lists all");
}

#[test]
fn there_is_no_colour_away_from_a_terminal() {
    let home = Home::new();
    let run = home.run(&["machine", "status", "example.com"]);
    assert!(!run.stderr.contains('\x1b'), "{:?}", run.stderr);
}
