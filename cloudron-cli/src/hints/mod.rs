//! Advice after an error, as commands and options of this program. Libraries do not know them: they follow from the
//! code of the error and from its details.

mod entries;
mod explanations;
mod table;

use cloudron_core::{Code, Domain, Error};
use cloudron_dns::managed::KEEPING_OWNERSHIP;
use cloudron_machine::{Machine, Reach, SshReach};
use cloudron_provision::codes as provision;

pub(crate) use entries::entries;
pub(crate) use explanations::explanation;

/// Adds a hint to an error that has none. `domain` is the machine of the command.
pub(crate) fn complete(error: Error, domain: Option<&Domain>) -> Error {
    let hint = match error.hint() {
        Some(hint) => Some(hint.to_owned()),
        None if error.doing().iter().any(|doing| doing == KEEPING_OWNERSHIP) => Some(
            "make that folder writable, or name another one in XDG_STATE_HOME; no record was changed".into(),
        ),
        None => table::hint(&error, domain.map(Domain::as_str)),
    };
    let also = |hint: Option<String>, more: String| match hint {
        Some(hint) if hint.contains(&more) || hint.contains("--resume") => Some(hint),
        Some(hint) => Some(format!("{hint}; {more}")),
        None => Some(more),
    };
    let hint = match (error.detail(provision::UNFINISHED), error.detail("untried")) {
        (Some(domain), _) => also(
            hint,
            format!("add `--resume` to go on, or `cloudron machine destroy {domain}` removes what was made"),
        ),
        (None, Some(_)) => also(hint, "`backup key list` shows them".to_owned()),
        (None, None) => hint,
    };
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Returns a function that adds a hint to errors of one code.
pub(crate) fn on(code: &Code, text: &str) -> impl FnOnce(Error) -> Error {
    move |error| if error.is(code) { error.with_hint(text) } else { error }
}

/// Adds a hint for a known machine, for which options of `create` do not help.
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
    use crate::codes;

    #[test]
    fn a_hint_names_the_machine_and_does_not_replace_one_that_is_there() {
        let example = Domain::parse("example.com").unwrap();
        let hint = |error, domain| complete(error, domain).hint().map(str::to_owned);
        let dead = || Error::new(&codes::SERVER_DEAD, "it does not answer");
        assert!(hint(dead(), Some(&example)).unwrap().contains("`cloudron machine start example.com`"));
        assert_eq!(hint(dead().with_hint("wait"), Some(&example)).unwrap(), "wait");
        assert_eq!(hint(Error::new(&cloudron_core::codes::FAILED, "no"), None), None);
    }

    #[test]
    fn a_run_that_can_be_resumed_is_told_besides_what_else_helps_and_once() {
        let error = |hint: &str| {
            let kept =
                Error::new(&provision::NO_ROOT, "no").with_detail(provision::UNFINISHED, "example.com");
            if hint.is_empty() { kept } else { kept.with_hint(hint) }
        };
        let both = "add `--resume` to go on, or `cloudron machine destroy example.com` removes what was made";
        let complete = |error| complete(complete(error, None), None).hint().unwrap().to_owned();
        assert_eq!(complete(error("")), both);
        assert_eq!(complete(error("log in as root")), format!("log in as root; {both}"));
    }
}
