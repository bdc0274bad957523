//! Zones that the program changes step by step on real servers, with checks of the servers' answers.

mod brake;
mod groups;
mod lab;
mod loss;
mod stories;

use std::collections::BTreeSet;

use groups::{GROUPS, Group, REFUSED};
use lab::{Lab, lines, meaning};

/// Returns the zone file of a round at a server, with that step of every group. A group without further steps
/// is left unchanged.
fn zone_of(round: usize, server: &str) -> String {
    let text = |group: &Group| {
        let step = group.steps[round.min(group.steps.len() - 1)];
        let dot = if group.label.is_empty() { "" } else { "." };
        format!("$ORIGIN {}{dot}example.com.\n{step}\n", group.label)
    };
    GROUPS.iter().filter(|group| !group.except.contains(&server)).map(text).collect()
}

/// Writes every round twice, where the second write must change nothing; then deletes all records.
fn every_round(lab: &Lab) {
    let rounds = GROUPS.iter().map(|group| group.steps.len()).max().unwrap();
    let wanted = ["example.com", "--records", "zone", "--prune", "--allow-deletions"];
    for round in 0..=rounds {
        let zone = if round == rounds { String::new() } else { zone_of(round, lab.name) };
        lab.file("zone", &zone);
        let expected = meaning(&zone);
        lab.ok(&[&["apply"], &wanted[..], &["--yes"]].concat());
        assert_same(&lab.zone(), &expected, &format!("{} round {round}", lab.name));
        let again = lab.run(&[&["plan"], &wanted[..], &["--exit-code"]].concat());
        let right = again.stdout.ends_with("right already\n") || again.stdout == "nothing to do\n";
        let quiet = again.code == 0 && again.stdout.lines().count() == 1 && right;
        assert!(quiet, "{} round {round} again:\n{}{}", lab.name, again.stdout, again.stderr);
    }
}

#[track_caller]
fn assert_same(there: &BTreeSet<String>, wanted: &BTreeSet<String>, when: &str) {
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| lines(a.difference(b));
    assert!(
        there == wanted,
        "{when}: the server has\n{}\nand should have\n{}",
        only(there, wanted),
        only(wanted, there)
    );
}

#[test]
fn every_step_of_every_group_is_right_at_bind_and_a_second_run_changes_nothing() {
    if let Some(lab) = Lab::bind() {
        every_round(&lab);
    }
}

#[test]
fn every_step_of_every_group_is_right_at_knot_and_a_second_run_changes_nothing() {
    if let Some(lab) = Lab::knot() {
        every_round(&lab);
    }
}

#[test]
fn every_step_of_every_group_is_right_at_powerdns_by_update_and_a_second_run_changes_nothing() {
    if let Some(lab) = Lab::pdns() {
        every_round(&lab);
    }
}

#[test]
fn every_step_of_every_group_is_right_at_powerdns_by_http_and_a_second_run_changes_nothing() {
    if let Some(lab) = Lab::pdns_http() {
        every_round(&lab);
    }
}

#[test]
fn what_cannot_be_written_is_refused_by_plan_and_by_apply_with_the_same_code() {
    for lab in Lab::all() {
        let before = lab.zone();
        for (zone, why) in REFUSED {
            lab.file("zone", zone);
            let plan = lab.run(&["plan", "example.com", "--records", "zone"]);
            let apply = lab.run(&["apply", "example.com", "--records", "zone", "--yes"]);
            let said = format!("{} {zone}\n{}{}", lab.name, plan.stdout, plan.stderr);
            assert!(plan.code == 5 && plan.stderr.contains(why), "{said}");
            assert_eq!(plan.code, apply.code, "{said}\n{}", apply.stderr);
        }
        assert_eq!(lab.zone(), before);
    }
}
