//! Changes that are tried, confirmed, taken back, and cut off at every step.

use std::path::Path;
use std::time::Duration;

use crate::firewall::{self, Change, Policy, Seat, Service, Trial};
use crate::host::double::Double;
use crate::{Result, codes};

const OWNER: &str = "203.0.113.9:50000";

fn seat(text: &str) -> Seat {
    Seat::Connection(text.parse().unwrap())
}

fn begin(host: &Double, policy: &Policy) -> Result<Trial> {
    firewall::begin(host, policy, Duration::from_secs(60), seat(OWNER))
}

fn confirm(host: &Double, trial: &Trial) -> Result<()> {
    firewall::confirm(host, &trial.ticket, seat("203.0.113.9:50002"))
}

fn machine() -> Double {
    let list = "0 0 [::ffff:192.0.2.1]:202 [::ffff:203.0.113.9]:50000\n0 0 192.0.2.1:202 203.0.113.9:50001\n";
    Double::default().says("ss -Hnt", list)
}

/// Returns the ports of SSH that are in force: 0 stands for no table.
fn in_force(host: &Double) -> u16 {
    let table = host.inside().table.clone().unwrap_or_default();
    let rule = table.split("tcp dport { ").find_map(|rest| rest.split_once(" } ct state new jump ssh"));
    rule.map_or(0, |(port, _)| port.parse().unwrap())
}

fn confirmed(host: &Double, port: u16) {
    let trial = begin(host, &Policy::new([port])).unwrap();
    confirm(host, &trial).unwrap();
}

#[test]
fn a_change_that_nobody_confirms_is_taken_back() {
    let host = machine();
    begin(&host, &Policy::new([22])).unwrap();
    assert_eq!(in_force(&host), 22);
    host.elapse();
    assert_eq!(in_force(&host), 0);
    confirmed(&host, 22);
    begin(&host, &Policy::new([202])).unwrap();
    assert!(firewall::look(&host).unwrap().on_trial);
    host.elapse();
    assert_eq!(in_force(&host), 22);
    let state = firewall::look(&host).unwrap();
    assert_eq!((state.on_trial, state.policy), (false, Some(Policy::new([22]))));
    assert!(state.drift.is_empty(), "{:?}", state.drift);
}

#[test]
fn a_confirmed_change_stays_and_comes_back_after_a_boot() {
    let host = machine();
    confirmed(&host, 22);
    let trial = begin(&host, &Policy::new([202])).unwrap();
    confirm(&host, &trial).unwrap();
    host.elapse();
    assert_eq!(in_force(&host), 202);
    host.reboot();
    assert_eq!(in_force(&host), 202);
    let left = host.inside().files.keys().filter(|p| p.starts_with(firewall::FOLDER)).count();
    assert_eq!(left, 1, "only the rules are left");
    assert!(confirm(&host, &trial).unwrap_err().is(&codes::FIREWALL_REVERTED), "once only");
}

#[test]
fn who_was_connected_before_or_has_another_ticket_confirms_nothing() {
    let host = machine();
    let trial = begin(&host, &Policy::new([202])).unwrap();
    for old in [OWNER, "203.0.113.9:50001", "127.0.0.1:9"] {
        let error = firewall::confirm(&host, &trial.ticket, seat(old)).unwrap_err();
        assert!(error.is(&codes::FIREWALL_SAME_CONNECTION), "{old}: {error}");
    }
    let error = firewall::confirm(&host, "another", seat("203.0.113.9:50002")).unwrap_err();
    assert!(error.is(&codes::FIREWALL_REVERTED));
    let error = begin(&host, &Policy::new([22])).unwrap_err();
    assert!(error.is(&codes::FIREWALL_PENDING), "{error}");
    confirm(&host, &trial).unwrap();
}

#[test]
fn rules_that_nft_refuses_change_nothing() {
    let host = machine().ends("nft -c", 1, "Error: syntax error");
    let error = begin(&host, &Policy::new([202])).unwrap_err();
    assert!(error.is(&codes::SYSTEM_COMMAND) && error.to_string().contains("syntax error"), "{error}");
    assert!(host.inside().files.is_empty() && !host.inside().armed);
    // Refused although the check passed, such as for lack of memory.
    let host = machine().ends("nft -f /etc/cloudron-firewall/trial.nft", 1, "no memory");
    begin(&host, &Policy::new([202])).unwrap_err();
    assert!(!host.inside().armed && !firewall::look(&host).unwrap().on_trial);
}

#[test]
fn killed_at_every_step_the_old_or_the_new_rules_are_in_force_and_never_without_a_timer() {
    for first in [true, false] {
        let old = if first { 0 } else { 22 };
        let mut seen = Vec::new();
        for most in 0.. {
            let host = machine();
            if !first {
                confirmed(&host, 22);
            }
            host.inside().changes = 0;
            host.inside().dies_after = Some(most);
            let done = begin(&host, &Policy::new([202])).and_then(|trial| confirm(&host, &trial));
            host.inside().dies_after = None;
            // What is new and not confirmed has a timer.
            let is_confirmed = |host: &Double| {
                let rules = host.inside().files.get(Path::new("/etc/cloudron-firewall/rules.nft")).cloned();
                rules.is_some_and(|rules| rules.contains("{ 202 } ct state new"))
            };
            assert!(
                in_force(&host) == old || is_confirmed(&host) || host.inside().armed,
                "killed after {most} changes, with {} in force",
                in_force(&host)
            );
            let new = if is_confirmed(&host) { 202 } else { old };
            let before = host.inside().clone();
            for after in 0..3 {
                *host.inside() = before.clone();
                match after {
                    0 => host.elapse(),
                    1 => host.reboot(),
                    // The program starts again before the timer.
                    _ => firewall::recover(&host).unwrap(),
                }
                if after == 2 {
                    host.elapse();
                }
                assert_eq!(in_force(&host), new, "killed after {most} changes, then {after}");
                // And another change goes through.
                firewall::recover(&host).unwrap();
                confirmed(&host, 2222);
                assert_eq!(in_force(&host), 2222);
                assert!(firewall::look(&host).unwrap().drift.is_empty());
            }
            seen.push(new);
            if done.is_ok() {
                break;
            }
        }
        assert!(seen.len() >= 8 && seen.contains(&old) && seen.contains(&202), "{seen:?}");
    }
}

#[test]
fn a_change_that_lets_in_more_needs_no_trial_and_another_one_does() {
    let host = machine();
    let web = Policy::new([202]);
    assert!(
        firewall::extend(&host, &web).unwrap_err().is(&codes::FIREWALL_NARROWER),
        "nothing was confirmed"
    );
    confirmed(&host, 202);
    let mail = web.clone().with_service(Service::Imap);
    firewall::extend(&host, &mail).unwrap();
    assert_eq!(firewall::look(&host).unwrap().policy, Some(mail.clone()));
    assert!(host.inside().table.as_ref().unwrap().contains("993"));
    assert!(firewall::extend(&host, &web).unwrap_err().is(&codes::FIREWALL_NARROWER));
    // One that does not load leaves the old rules for the next boot.
    host.inside().answers.insert("nft -f /etc".into(), crate::host::Output { code: 1, ..Default::default() });
    firewall::extend(&host, &mail.clone().with_service(Service::Smtp)).unwrap_err();
    assert_eq!(firewall::look(&host).unwrap().policy, Some(mail));
}

#[test]
fn what_somebody_else_changed_is_named_and_loading_mends_it() {
    let host = machine();
    confirmed(&host, 202);
    let table = host.inside().table.clone().unwrap();
    let (bad, good) = ("\t\tip saddr 198.51.100.7 accept\n", "\t\tct status dnat jump published\n");
    host.inside().table = Some(table.replace(good, bad));
    let state = firewall::look(&host).unwrap();
    let expected = [Change::Missing(good.trim().into()), Change::Added(bad.trim().into())];
    assert_eq!(state.drift, expected);
    firewall::load(&host).unwrap();
    assert!(firewall::look(&host).unwrap().drift.is_empty());
    host.inside().table = None;
    let state = firewall::look(&host).unwrap();
    assert!(!state.in_force && state.drift.len() > 20);
    let rules = "/etc/cloudron-firewall/rules.nft";
    let text = host.inside().files[Path::new(rules)].replace("443", "444");
    host.inside().files.insert(rules.into(), text);
    let state = firewall::look(&host).unwrap();
    assert!(state.file_changed && state.policy.is_none());
}

#[test]
fn nothing_is_left_after_a_removal() {
    let host = machine();
    confirmed(&host, 202);
    begin(&host, &Policy::new([22])).unwrap();
    firewall::remove(&host).unwrap();
    firewall::remove(&host).unwrap();
    let inside = host.inside();
    assert!(inside.table.is_none() && !inside.armed && inside.files.is_empty(), "{:?}", inside.files.keys());
}
