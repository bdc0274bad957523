//! Commands of the original Cloudron that this version does not have fail with a hint.

use crate::common::Home;

#[test]
fn a_command_that_is_not_here_names_the_one_to_use_and_does_nothing() {
    let home = Home::new();
    for (line, next) in [
        ("machine restore example.com", "--backup latest"),
        ("machine restore", "--backup latest"),
        ("machine migrate example.com --to 192.0.2.1", "backup download"),
        ("machine update example.com", "--backup latest"),
        ("machine upgrade example.com", "--backup latest"),
        ("machine hotfix --ssh-key key example.com", "--backup latest"),
    ] {
        let run = home.run(&line.split_whitespace().collect::<Vec<_>>());
        run.failed(2, "not-yet", next);
        assert!(!run.stderr.contains("destroy"), "{line}: {}", run.stderr);
        assert!(run.stdout.is_empty() && !run.stderr.contains("s3cr3t"), "{line}: {}", run.stderr);
    }
    assert!(!home.path(".local").exists());
    let help = home.ok(&["machine", "--help"]);
    for hidden in ["hotfix", "migrate"] {
        assert!(!help.contains(hidden), "{hidden} is offered: {help}");
    }
}
