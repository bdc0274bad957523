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

/// Adds details of a known machine to an error, for which options of `create` do not help, and the hint that fits.
pub(crate) fn of_machine(error: Error, machine: &Machine) -> Error {
    let error = error.with_detail("known", machine.fqdn.as_str());
    let error = match &machine.reach {
        Reach::Local { .. } => error.with_detail("local", machine.fqdn.as_str()),
        Reach::Generic(SshReach { ssh_key: Some(key), .. }) => {
            error.with_detail("key", key.display().to_string())
        }
        Reach::Generic(_) => error,
    };
    match table::hint_of_known(&error) {
        Some(hint) => error.with_hint(hint),
        None => error,
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
