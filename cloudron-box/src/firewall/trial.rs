//! Changes: on trial until they are confirmed over a new connection, or at once if they cut nobody off.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use cloudron_core::random;
use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::render::{REPLACE, policy_of, render};
use super::{boot, drift, files};
use crate::host::deadman::DeadMan;
use crate::host::{Host, failed, run};
use crate::{Error, Result, codes};

/// Takes a trial back. Who renames its file decides about it, so this and a confirmation cannot both happen; killed after
/// the renaming, it goes on where it was.
const DEAD_MAN: DeadMan = DeadMan {
    unit: "cloudron-firewall-revert",
    description: "Take back a change of the firewall that nobody confirmed",
    script: "set -e
cd /etc/cloudron-firewall
if [ -e trial.nft ]; then mv -f trial.nft reverting.nft; fi
[ -e reverting.nft ] || exit 0
nft -f previous.nft
rm -f reverting.nft trial.json previous.nft",
};

/// Removes the table, whether it exists or not. It is what was in force before the first change.
const NONE: &str = REPLACE;

/// Limits of the time for a confirmation, in seconds.
const WITHIN: (u64, u64) = (10, 3600);

/// Where somebody sits who changes the firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seat {
    /// At the other end of this connection: address and port, as in `SSH_CONNECTION`.
    Connection(SocketAddr),
    /// At the machine's own console, which no firewall cuts off.
    Console,
}

/// A change on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trial {
    /// What confirms it.
    pub ticket: String,
    /// Time after which it is taken back, in seconds.
    pub seconds: u64,
}

/// What is known of a change on trial.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    ticket: String,
    seat: Seat,
    /// The other ends of the connections that existed before. Established ones outlive any change, so they prove nothing.
    before: BTreeSet<SocketAddr>,
}

/// Puts a policy in force for a time. The machine takes it back by itself unless [`confirm`] comes before.
///
/// # Errors
/// `firewall-policy`; `firewall-pending` if another change is on trial; `system-command` if nft refuses the rules, and
/// nothing was changed then.
pub fn begin(host: &dyn Host, policy: &Policy, within: Duration, seat: Seat) -> Result<Trial> {
    let (least, most) = WITHIN;
    let seconds = within.as_secs().clamp(least, most);
    recover(host)?;
    if is_on(host)? {
        let text = "another change of the firewall waits for its confirmation";
        return Err(Error::new(&codes::FIREWALL_PENDING, text));
    }
    let text = render(policy)?;
    check(host, &text)?;
    let before = drift::table(host)?.map_or(NONE.to_owned(), |table| format!("{REPLACE}{table}"));
    check(host, &before)?;
    boot::enable(host)?;
    let about = About { ticket: random::token(26), seat, before: connections(host)? };
    let json = serde_json::to_string(&about).map_err(|e| {
        Error::new(&cloudron_core::codes::FAILED, format!("the trial cannot be written: {e}"))
    })?;
    host.write(&files::previous(), 0o600, &before)?;
    host.write(&files::about(), 0o600, &json)?;
    host.write(&files::trial(), 0o600, &text)?;
    DEAD_MAN.arm(host, seconds)?;
    let applied = nft(host, &files::trial()).and_then(|()| drift::compare(host, &files::trial()));
    if let Err(error) = applied {
        take_back(host)?;
        return Err(error);
    }
    Ok(Trial { ticket: about.ticket, seconds })
}

/// Keeps the change on trial: from now on it is in force after every boot.
///
/// # Errors
/// `firewall-reverted` if it was taken back before; `firewall-same-connection` if the connection existed when the change
/// was begun; `firewall-changed` if something else is in force.
pub fn confirm(host: &dyn Host, ticket: &str, seat: Seat) -> Result<()> {
    let gone =
        || Error::new(&codes::FIREWALL_REVERTED, "this change of the firewall is not on trial any more");
    let about = host.read(&files::about())?.and_then(|text| serde_json::from_str::<About>(&text).ok());
    let about = about.filter(|about| about.ticket == ticket).ok_or_else(gone)?;
    if !is_on(host)? {
        return Err(gone());
    }
    is_proof(&about, seat)?;
    if !DEAD_MAN.is_armed(host)? {
        take_back(host)?;
        return Err(gone());
    }
    drift::compare(host, &files::trial())?;
    // This decides. What follows only tidies up.
    if !host.rename(&files::trial(), &files::rules())? {
        return Err(gone());
    }
    DEAD_MAN.disarm(host)?;
    host.remove(&files::about())?;
    host.remove(&files::previous())?;
    boot::start(host)
}

/// Refuses who could not have got in under the new rules.
fn is_proof(about: &About, seat: Seat) -> Result<()> {
    let same = |text: &str| Err(Error::new(&codes::FIREWALL_SAME_CONNECTION, text.to_owned()));
    match (about.seat, seat) {
        (_, Seat::Connection(peer)) if peer.ip().to_canonical().is_loopback() => {
            same("a connection from the machine to itself does not prove that somebody outside gets in")
        }
        (_, Seat::Connection(peer)) if about.before.contains(&canonical(peer)) => {
            same("this connection existed before the change, so it does not prove that a new one is possible")
        }
        (Seat::Connection(_), Seat::Console) => {
            same("the change was begun over a connection, so a new connection has to confirm it")
        }
        (Seat::Connection(before), Seat::Connection(peer)) if canonical(before) == canonical(peer) => {
            same("this connection began the change, so it does not prove that a new one is possible")
        }
        _ => Ok(()),
    }
}

/// Puts a policy in force that only lets in more than the confirmed one.
///
/// # Errors
/// `firewall-narrower` if it could cut somebody off, or if no policy was confirmed yet; `firewall-pending`.
pub fn extend(host: &dyn Host, policy: &Policy) -> Result<()> {
    recover(host)?;
    if is_on(host)? {
        let text = "a change of the firewall waits for its confirmation";
        return Err(Error::new(&codes::FIREWALL_PENDING, text));
    }
    let old = host.read(&files::rules())?;
    let is_wider = |old: &String| policy_of(old).is_ok_and(|before| policy.keeps(&before));
    let Some(old) = old.filter(is_wider) else {
        let text = "the change closes something that is open now, so it has to be tried and confirmed";
        return Err(Error::new(&codes::FIREWALL_NARROWER, text));
    };
    let text = render(policy)?;
    check(host, &text)?;
    host.write(&files::rules(), 0o600, &text)?;
    load(host).or_else(|error| {
        host.write(&files::rules(), 0o600, &old)?;
        Err(error)
    })
}

/// Puts the confirmed rules in force, such as after somebody removed them.
///
/// # Errors
/// `firewall-missing` if none were confirmed; `firewall-pending` if a change is on trial.
pub fn load(host: &dyn Host) -> Result<()> {
    if is_on(host)? {
        let text = "a change of the firewall waits for its confirmation";
        return Err(Error::new(&codes::FIREWALL_PENDING, text));
    }
    if host.read(&files::rules())?.is_none() {
        return Err(Error::new(&codes::FIREWALL_MISSING, "this machine has no firewall rules"));
    }
    nft(host, &files::rules())?;
    boot::start(host)
}

/// Takes the change on trial back at once. Without one it has no effect.
///
/// # Errors
/// `system-command`: the timer tries it again.
pub fn take_back(host: &dyn Host) -> Result<()> {
    DEAD_MAN.take_back(host)?;
    DEAD_MAN.disarm(host)
}

/// Finishes what a killed program left behind: a change on trial whose timer is not there is taken back. To be called
/// when the program starts.
///
/// # Errors
/// As [`take_back`].
pub fn recover(host: &dyn Host) -> Result<()> {
    let is_left = is_on(host)? || host.read(&files::reverting())?.is_some();
    if is_left && !DEAD_MAN.is_armed(host)? { take_back(host) } else { Ok(()) }
}

/// Removes the table, its files and its unit. Everything can reach the machine then.
///
/// # Errors
/// `system-command` and file errors; calling it again goes on.
pub fn remove(host: &dyn Host) -> Result<()> {
    take_back(host)?;
    boot::disable(host)?;
    run(host, "nft", &["-f", "-"], NONE)?;
    for file in [files::rules(), files::about(), files::previous()] {
        host.remove(&file)?;
    }
    Ok(())
}

/// Returns whether a change is on trial.
pub(super) fn is_on(host: &dyn Host) -> Result<bool> {
    Ok(host.read(&files::trial())?.is_some())
}

/// Has nft check a file, without an effect.
fn check(host: &dyn Host, text: &str) -> Result<()> {
    run(host, "nft", &["-c", "-f", "-"], text).map(drop)
}

/// Loads a file: all of it or nothing.
fn nft(host: &dyn Host, file: &std::path::Path) -> Result<()> {
    run(host, "nft", &["-f", &file.display().to_string()], "").map(drop)
}

/// Returns the other ends of all established TCP connections.
fn connections(host: &dyn Host) -> Result<BTreeSet<SocketAddr>> {
    let arguments = ["-Hnt", "state", "established"];
    let output = crate::host::try_run(host, "ss", &arguments)?;
    if !output.is_success() {
        return Err(failed("ss", &arguments, &output));
    }
    let peers = output.stdout.lines().filter_map(|line| line.split_whitespace().nth(3));
    Ok(peers.filter_map(address).map(canonical).collect())
}

/// Parses an address of `ss`, which may have the name of an interface: `[fe80::1%eth0]:22` or `[fe80::1]%eth0:22`.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.replace(['[', ']'], "");
    let host = host.split('%').next()?;
    Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_that_was_not_there_before_proves_that_somebody_gets_in() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let about = |seat| About {
            ticket: "t".into(),
            seat,
            before: [at("203.0.113.9:1000"), at("203.0.113.9:1001")].into(),
        };
        let remote = about(Seat::Connection(at("203.0.113.9:1000")));
        for bad in
            ["203.0.113.9:1000", "203.0.113.9:1001", "[::ffff:203.0.113.9]:1000", "127.0.0.1:5", "[::1]:5"]
        {
            let error = is_proof(&remote, Seat::Connection(at(bad))).unwrap_err();
            assert!(error.is(&codes::FIREWALL_SAME_CONNECTION), "{bad}");
        }
        assert!(is_proof(&remote, Seat::Console).is_err());
        assert!(is_proof(&remote, Seat::Connection(at("203.0.113.9:1002"))).is_ok());
        assert!(is_proof(&about(Seat::Console), Seat::Console).is_ok());
    }

    #[test]
    fn addresses_of_ss_are_read_with_brackets_and_interfaces() {
        let read = |text: &str| address(text).map(canonical).map(|a| a.to_string());
        assert_eq!(read("10.0.0.1:22").as_deref(), Some("10.0.0.1:22"));
        assert_eq!(read("[::ffff:10.0.0.1]:22").as_deref(), Some("10.0.0.1:22"));
        assert_eq!(read("[fe80::1%eth0]:22").as_deref(), Some("[fe80::1]:22"));
        assert_eq!(read("[fe80::1]%eth0:22").as_deref(), Some("[fe80::1]:22"));
        assert_eq!(read("Peer"), None);
    }
}
