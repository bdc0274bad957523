//! A user's work with the records of a zone, at each server.

use super::lab::{Lab, meaning};
use crate::common::Home;

const PLAN: [&str; 4] = ["plan", "example.com", "--records", "zone"];
const APPLY: [&str; 5] = ["apply", "example.com", "--records", "zone", "--yes"];

/// A CNAME, and another type with a single value.
const SINGLE: [&str; 2] = [
    "www CNAME a.example.net.\nd DNAME a.example.net.\n",
    "www 600 CNAME b.example.net.\nd DNAME b.example.net.\n",
];

#[test]
fn what_was_written_is_changed_twice_in_every_way_and_removed() {
    for lab in Lab::all() {
        let [first, second] = SINGLE;
        let third = second.replace("b.example.net", "c.example.net");
        let fourth = second.replace("b.example.net", "d.example.net");
        let is = |zone: &str| assert_eq!(lab.zone(), meaning(zone), "{}", lab.name);
        lab.apply(first, &[]);
        assert_eq!(lab.apply(first, &[]), "= 2 record sets are right already\n");
        lab.apply(second, &[]);
        is(second);

        // With a saved plan, which can be used once.
        lab.file("zone", &third);
        lab.ok(&[&PLAN[..], &["--out", "change.plan"]].concat());
        lab.ok(&["apply", "example.com", "--plan", "change.plan", "--yes"]);
        is(&third);
        let stale = lab.run(&["apply", "example.com", "--plan", "change.plan", "--yes"]);
        assert_eq!(stale.code, 5, "{} {}", lab.name, stale.stderr);
        is(&third);

        // As JSON, with pruning, and with adopting records that are already ours.
        let json = lab.apply(&fourth, &["--output", "json"]);
        assert!(json.contains("\"receipt\""), "{json}");
        is(&fourth);
        lab.apply("www CNAME e.example.net.\n", &["--prune"]);
        is("www CNAME e.example.net.\n");
        lab.apply("www CNAME f.example.net.\n", &["--adopt", "all"]);
        lab.apply("www A 192.0.2.1\n", &[]);
        lab.apply("www CNAME f.example.net.\n", &[]);
        is("www CNAME f.example.net.\n");
        lab.ok(&[&APPLY[..], &["--remove"]].concat());
        is("");
        assert_eq!(lab.ok(&[&APPLY[..], &["--remove"]].concat()), "nothing to do\n");
    }
}

#[test]
fn another_computer_changes_only_what_it_adopts_and_the_first_one_sees_it() {
    for lab in Lab::all() {
        let (here, there) = (|more: &[&str]| lab.run(&[&APPLY[..], more].concat()), Home::new());
        let elsewhere = |more: &[&str]| lab.run_elsewhere(&there, &[&APPLY[..], more].concat());
        lab.apply("www CNAME a.example.net.\n", &[]);
        lab.file("zone", "www CNAME b.example.net.\n");
        elsewhere(&[]).failed(5, "dns-conflict", "www.example.com. CNAME");
        assert_eq!(elsewhere(&["--adopt", "www/CNAME"]).code, 0, "{}", lab.name);
        assert_eq!(lab.zone(), meaning("www CNAME b.example.net.\n"));
        // The record is no longer the one written from here.
        lab.file("zone", "www CNAME c.example.net.\n");
        here(&[]).failed(5, "dns-conflict", "--adopt");
        assert_eq!(elsewhere(&[]).code, 0);
        let removed = here(&["--remove"]);
        assert!(removed.code == 0 && removed.stderr.contains("left as it is"), "{}", removed.stderr);
        assert_eq!(lab.zone(), meaning("www CNAME c.example.net.\n"));
        assert_eq!(elsewhere(&["--remove"]).code, 0);
        assert!(lab.zone().is_empty(), "{}", lab.name);
    }
}

#[test]
fn a_time_to_live_of_records_of_others_is_kept_said_and_changed_when_adopted() {
    for lab in Lab::all() {
        let there = Home::new();
        lab.file("zone", "t 3600 A 192.0.2.1\nown 3600 A 192.0.2.1\n");
        assert_eq!(lab.run_elsewhere(&there, &APPLY).code, 0);
        lab.file("zone", "t 60 A 192.0.2.1\n");
        let plan = lab.run(&[&PLAN[..], &["--exit-code"]].concat());
        assert_eq!(plan.code, 1, "{} {}", lab.name, plan.stdout);
        let note = "~ t.example.com. A: the TTL stays 3600 instead of 60";
        assert!(plan.stdout.starts_with(note) && !plan.stdout.contains("right already"), "{}", plan.stdout);
        let applied = lab.ok(&APPLY);
        assert!(applied.contains(note), "{applied}");
        // The note contains the option, and an added value does not hide it.
        let adopt = plan.stdout.split("--adopt ").nth(1).unwrap().split_whitespace().next().unwrap();
        assert_eq!(adopt, "t.example.com./A");
        lab.file("zone", "t 60 A 192.0.2.1\nt 60 A 192.0.2.2\n");
        let added = lab.ok(&PLAN);
        assert!(added.contains(note) && added.contains("+ t.example.com. 3600 IN A 192.0.2.2"), "{added}");
        lab.ok(&[&APPLY[..], &["--adopt", adopt]].concat());
        assert_eq!(lab.zone(), meaning("t 60 A 192.0.2.1\nt 60 A 192.0.2.2\nown 3600 A 192.0.2.1\n"));
        assert_eq!(lab.ok(&PLAN), "= 1 record set is right already\n");
    }
}

#[test]
fn a_delegation_with_glue_is_written_waited_for_exported_changed_and_checked() {
    for lab in Lab::all() {
        let server = lab.server();
        let wait = ["--wait", "dns", "--timeout", "20", "--name-server", &server];
        let zone = "sub NS ns.sub\nns.sub A 192.0.2.60\n";
        lab.apply(zone, &wait);
        lab.file("exported", &lab.ok(&["export", "example.com"]));
        let again = lab.ok(&["plan", "example.com", "--records", "exported", "--exit-code"]);
        assert_eq!(again, "= 2 record sets are right already\n", "{}", lab.name);
        lab.apply(&zone.replace("2.60", "2.61"), &wait);
        assert_eq!(lab.zone(), meaning("sub NS ns.sub\nns.sub A 192.0.2.61\n"));
        let check = ["dns", "check", "example.com", "--records", "zone", "--name-server", &server];
        lab.home.ok(&check);
        lab.file("zone", zone);
        let differs = lab.home.run(&check);
        differs.failed(10, "dns-differs", "");
        assert!(differs.stdout.contains("ns.sub.example.com. A: has"), "{}", differs.stdout);
        lab.file("zone", &zone.replace("2.60", "2.61"));
        lab.ok(&[&APPLY[..], &["--remove"]].concat());
        assert!(lab.zone().is_empty());
    }
}
