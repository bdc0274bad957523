//! What helps after an error, as commands of this program. Libraries do not know them: they follow from the code.

use cloudron_core::{Domain, Error};
use cloudron_dns::codes as dns;
use cloudron_dns::managed::KEEPING_OWNERSHIP;
use cloudron_machine::{Machine, Reach, SshReach};
use cloudron_provision::codes as provision;

use crate::codes;

/// What helps, by the code of the error. `{domain}` is the machine that the command was about.
const TABLE: &[(&str, &str)] = &[
    (
        codes::MACHINE_UNKNOWN.name,
        "`cloudron machine list` shows the machines that are; one that another computer made becomes known with \
         `cloudron machine adopt {domain}`, on another machine with --ip ADDRESS",
    ),
    (
        codes::MACHINE_KNOWN.name,
        "`cloudron machine status {domain}` shows it, `cloudron machine destroy {domain}` removes it; if it is lost for \
         good, `cloudron machine destroy {domain} --forget` first, then this command again",
    ),
    (codes::MACHINE_DESTROYING.name, "`cloudron machine destroy {domain}` finishes it"),
    (
        codes::SERVER_DEAD.name,
        "`cloudron machine start {domain}` starts it; `cloudron machine logs {domain}` shows its last messages",
    ),
    (codes::NEEDS_ANSWER.name, "add --yes to answer every question with yes"),
    (dns::DNS_STATE.name, "restore it from a copy, or remove it: changes then need --adopt once"),
];

/// The same error with what helps, unless it says so already. `domain` is the machine that the command was about.
pub(crate) fn complete(error: Error, domain: Option<&Domain>) -> Error {
    if error.hint().is_some() {
        return error;
    }
    if error.doing().iter().any(|doing| doing == KEEPING_OWNERSHIP) {
        return error.with_hint(
            "make that folder writable, or name another one in XDG_STATE_HOME; no record was changed",
        );
    }
    let found = TABLE.iter().find(|(code, _)| *code == error.code().name);
    match found {
        Some((_, hint)) => error.with_hint(hint.replace("{domain}", domain.map_or("DOMAIN", Domain::as_str))),
        None => error,
    }
}

/// The same error, with what to do about a machine that is known. The options of `create` do not help there.
pub(crate) fn of_machine(error: Error, machine: &Machine) -> Error {
    let domain = &machine.fqdn;
    if error.is(&provision::PROGRAM_MISSING) && matches!(machine.reach, Reach::Local { .. }) {
        return error.with_hint(format!(
            "`cloudron machine destroy {domain} --forget` removes its record; its backups stay"
        ));
    }
    if error.is(&provision::HOST_KEY_CHANGED) {
        return error.with_hint(format!(
            "find out why it changed; when the new key is right, `cloudron machine trust {domain}` records it"
        ));
    }
    if error.is(&provision::SSH_REFUSED) {
        return error
            .with_hint(format!("`cloudron machine status {domain}` shows what is known of the machine"));
    }
    match &machine.reach {
        Reach::Generic(SshReach { ssh_key: Some(key), .. }) if error.is(&provision::SSH_KEY_MISSING) => {
            error.with_hint(format!(
                "put the key back at {}, or name another one: `cloudron machine destroy {domain} --forget`, then \
                 `cloudron machine adopt {domain}` with `--ssh-key`",
                key.display()
            ))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_machine_and_does_not_replace_one_that_is_there() {
        let example = Domain::parse("example.com").unwrap();
        let hint = |error, domain| complete(error, domain).hint().map(str::to_owned);
        let dead = || Error::new(&codes::SERVER_DEAD, "it does not answer");
        assert!(hint(dead(), Some(&example)).unwrap().contains("`cloudron machine start example.com`"));
        assert_eq!(hint(dead().with_hint("wait"), Some(&example)).unwrap(), "wait");
        assert_eq!(hint(Error::new(&cloudron_core::codes::FAILED, "no"), None), None);
    }
}
