//! Protection against deleting a zone by accident with an empty or short list of records.

use std::fmt::Write;
use std::process::Stdio;

use super::lab::{Lab, meaning};

fn hosts(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, n| {
        writeln!(text, "n{n} A 192.0.2.{n}").unwrap();
        text
    })
}

#[test]
fn a_generator_that_failed_takes_nothing_away() {
    for lab in Lab::all() {
        lab.apply(&hosts(0..40), &[]);
        // An empty standard input, an empty file, and a file with only records that belong to the host.
        let mut command = lab.command_here(&["apply", "example.com", "--records", "-", "--prune", "--yes"]);
        let nothing = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(nothing.status.code(), Some(5), "{}", String::from_utf8_lossy(&nothing.stderr));
        for zone in ["", "; nothing\n", "@ NS ns1.example.net.\n"] {
            lab.file("zone", zone);
            let run = lab.run(&["apply", "example.com", "--records", "zone", "--prune", "--yes"]);
            run.failed(5, "dns-conflict", "--allow-deletions");
        }
        assert_eq!(lab.zone(), meaning(&hosts(0..40)), "{}", lab.name);
    }
}

#[test]
fn more_than_30_percent_of_a_zone_go_only_when_that_is_asked_for() {
    for lab in Lab::all() {
        lab.apply(&hosts(0..40), &[]);
        // Of 42 sets, including the zone's own, 13 are more than the limit and 12 are not.
        lab.file("zone", &hosts(13..40));
        for command in ["plan", "apply"] {
            let run = lab.run(&[command, "example.com", "--records", "zone", "--prune"]);
            run.failed(5, "dns-conflict", "13 of 42 record sets would be deleted");
        }
        lab.apply(&hosts(12..40), &["--prune"]);
        assert_eq!(lab.zone(), meaning(&hosts(12..40)), "{}", lab.name);
        // A name that changes its type is not deleted.
        let changed = hosts(12..40).replace("A 192.0.2.", "CNAME a.example.net. ;");
        lab.apply(&changed, &["--prune"]);
        lab.file("zone", &hosts(12..14));
        lab.run(&["apply", "example.com", "--records", "zone", "--prune", "--yes"]).failed(
            5,
            "dns-conflict",
            "add --allow-deletions",
        );
        lab.apply(&hosts(12..14), &["--prune", "--allow-deletions"]);
        assert_eq!(lab.zone(), meaning(&hosts(12..14)), "{}", lab.name);
        // The remaining sets are fewer than ten, and are still not deleted without permission.
        lab.file("zone", "");
        let prune = ["apply", "example.com", "--records", "zone", "--prune", "--yes"];
        lab.run(&prune).failed(5, "dns-conflict", "nothing is wanted");
        lab.ok(&[&prune[..], &["--allow-deletions"]].concat());
        assert!(lab.zone().is_empty());
    }
}

#[test]
fn what_is_removed_by_name_is_asked_for() {
    for lab in Lab::all() {
        lab.apply(&hosts(0..12), &[]);
        lab.apply(&hosts(0..12), &["--remove"]);
        assert!(lab.zone().is_empty(), "{}", lab.name);
    }
}
