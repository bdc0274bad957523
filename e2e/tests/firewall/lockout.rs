//! A change that cuts the owner off takes itself back, also when the program is killed anywhere.

use std::time::Duration;

use cloudron_box::codes;
use cloudron_box::firewall::{self, Policy, Seat};
use cloudron_e2e::{Server, available, until};

use crate::host::Inside;
use crate::reach::{login, put_in_force};

const TIMER: &str = "systemctl is-active cloudron-firewall-revert.timer";

/// The port of SSH in the table; 0 without a table.
fn in_force(server: &Server) -> u16 {
    let table = server.exec("nft list table inet cloudron").stdout;
    let rule = table.lines().find(|line| line.contains("jump ssh")).unwrap_or("0");
    let digits = |c: char| !c.is_ascii_digit();
    rule.split(digits).find(|word| !word.is_empty()).unwrap().parse().unwrap()
}

#[test]
fn a_change_that_cuts_the_owner_off_takes_itself_back() {
    if !available() {
        return;
    }
    let server = Server::boot("lockout");
    let host = Inside::of(&server);
    put_in_force(&server, &Policy::new([22]));
    let seat = login(&server, 22).unwrap();
    let trial = firewall::begin(&host, &Policy::new([202]), Duration::from_secs(10), seat).unwrap();
    assert_eq!((in_force(&server), login(&server, 22)), (202, None), "the owner is cut off");
    // Who was there before proves nothing.
    let error = firewall::confirm(&host, &trial.ticket, seat).unwrap_err();
    assert!(error.is(&codes::FIREWALL_SAME_CONNECTION), "{error}");
    until("the machine takes it back", Duration::from_secs(20), || (in_force(&server) == 22).then_some(()));
    let new = login(&server, 22).expect("the owner gets in again");
    let error = firewall::confirm(&host, &trial.ticket, new).unwrap_err();
    assert!(error.is(&codes::FIREWALL_REVERTED), "{error}");
    let state = firewall::look(&host).unwrap();
    assert!(state.drift.is_empty() && !state.on_trial, "{state:?}");

    // A boot in the middle ends it as well.
    firewall::begin(&host, &Policy::new([202]), Duration::from_secs(600), new).unwrap();
    server.reboot_without_ssh();
    assert_eq!(in_force(&server), 22);
    firewall::recover(&host).unwrap();
    assert!(!firewall::look(&host).unwrap().on_trial && login(&server, 22).is_some());

    // The timer's own work, killed after it had decided and before it was done.
    firewall::begin(&host, &Policy::new([202]), Duration::from_secs(600), Seat::Console).unwrap();
    server.exec_ok("cd /etc/cloudron-firewall && mv trial.nft reverting.nft && systemctl start cloudron-firewall-revert.service");
    until("it goes on where it was", Duration::from_secs(10), || (in_force(&server) == 22).then_some(()));
    until("and tidies up", Duration::from_secs(10), || {
        (server.exec_ok("ls /etc/cloudron-firewall") == "rules.nft\n").then_some(())
    });
}

#[test]
fn killed_at_every_call_the_old_or_the_new_rules_are_in_force_and_the_new_never_without_a_timer() {
    if !available() {
        return;
    }
    let server = Server::boot("killed");
    let host = Inside::of(&server);
    put_in_force(&server, &Policy::new([22]));
    let mut outcomes = Vec::new();
    for calls in 0.. {
        let dying = Inside::dying(&server, calls);
        let policy = Policy::new([22, 202]);
        let done = firewall::begin(&dying, &policy, Duration::from_secs(600), Seat::Console)
            .and_then(|trial| firewall::confirm(&dying, &trial.ticket, Seat::Console));
        let confirmed = server.exec("grep -q 'dport { 22, 202 }' /etc/cloudron-firewall/rules.nft").code == 0;
        let is_new = server.exec("nft list table inet cloudron | grep -q 202").code == 0;
        let armed = server.exec(TIMER).code == 0;
        assert!(in_force(&server) == 22, "there always is a table");
        assert!(!is_new || confirmed || armed, "after {calls} calls");
        assert!(!confirmed || is_new, "after {calls} calls");
        outcomes.push((is_new, confirmed, armed));
        if armed {
            server.exec_ok("systemctl start cloudron-firewall-revert.service");
            let _ = server.exec("systemctl stop cloudron-firewall-revert.timer");
        }
        let settled = || firewall::look(&host).ok().filter(|state| state.drift.is_empty() && !state.on_trial);
        if !armed {
            firewall::recover(&host).unwrap();
        }
        let state = until("it settles", Duration::from_secs(10), settled);
        assert_eq!(state.policy == Some(policy), confirmed, "after {calls} calls");
        if done.is_ok() {
            break;
        }
        if confirmed {
            firewall::remove(&host).unwrap();
            put_in_force(&server, &Policy::new([22]));
        }
    }
    // Before, on trial, and confirmed: it was killed in each.
    for outcome in [
        (false, false, false),
        (false, false, true),
        (true, false, true),
        (true, true, true),
        (true, true, false),
    ] {
        assert!(outcomes.contains(&outcome), "{outcome:?} in {outcomes:?}");
    }
}
