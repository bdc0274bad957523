//! The table of hints, by the code of an error.

use std::sync::LazyLock;

use cloudron_core::Error;

use super::entries::entries;

/// A hint for the errors of one code.
struct Hint {
    code: &'static str,
    /// Only for an error with that detail.
    detail: Option<&'static str>,
    /// Only for a command that is about a machine.
    machine: bool,
    /// Names in braces are replaced by the details of the error, and `{domain}` by the machine that the command was
    /// about.
    text: String,
}

static TABLE: LazyLock<Vec<Hint>> =
    LazyLock::new(|| entries(include_str!("table.txt")).into_iter().map(Hint::of).collect());

/// Returns the hint for that error: the first entry of the table that fits.
pub(super) fn hint(error: &Error, domain: Option<&str>) -> Option<String> {
    TABLE.iter().find_map(|hint| hint.of_error(error, domain))
}

/// Returns the hint for an error of a known machine: those with its details come before any other.
pub(super) fn hint_of_known(error: &Error) -> Option<String> {
    let known = TABLE.iter().filter(|hint| ["known", "local", "key"].map(Some).contains(&hint.detail));
    known.filter_map(|hint| hint.of_error(error, error.detail("known"))).next()
}

impl Hint {
    /// The hint of an entry, whose key is `CODE`, `CODE with DETAIL` or `CODE of machine`.
    fn of((key, text): (&'static str, String)) -> Self {
        if let Some(code) = key.strip_suffix(" of machine") {
            return Self { code, detail: None, machine: true, text };
        }
        match key.split_once(" with ") {
            Some((code, detail)) => Self { code, detail: Some(detail), machine: false, text },
            None => Self { code: key, detail: None, machine: false, text },
        }
    }

    /// The text for that error, if it fits and all its values are known.
    fn of_error(&self, error: &Error, domain: Option<&str>) -> Option<String> {
        let fits = error.code().name == self.code
            && self.detail.is_none_or(|name| error.detail(name).is_some())
            && (!self.machine || domain.is_some());
        let mut parts = self.text.split('{').filter(|_| fits);
        let mut text = parts.next()?.to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}')?;
            let value = match (error.detail(name), name) {
                (Some(value), _) => value,
                (None, "domain") => domain.unwrap_or("DOMAIN"),
                (None, _) => return None,
            };
            text = text + value + rest;
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use cloudron_backup::codes as backup;
    use cloudron_provision::codes as provision;

    use super::*;
    use crate::codes;

    #[test]
    fn every_entry_is_of_a_code_that_exists() {
        assert!(TABLE.len() >= 41, "entries were lost: {} are left", TABLE.len());
        for hint in TABLE.iter() {
            assert!(codes::find(hint.code).is_some(), "no code is {:?}: {}", hint.code, hint.text);
        }
    }

    #[test]
    fn a_hint_has_the_values_of_its_error() {
        let public = || Error::new(&provision::SSH_KEY_FORMAT, "no").with_detail("public", "/k");
        let of = |error: &Error| hint(error, Some("example.com"));
        assert_eq!(of(&Error::new(&provision::SSH_KEY_FORMAT, "no")), None);
        assert!(of(&public()).unwrap().contains("without `.pub`"));
        let known = public().with_detail("private", "/k");
        assert_eq!(of(&known).unwrap(), "give the private key: `--ssh-key /k`");
        let other = Error::new(&provision::RUN_EXISTS, "no").with_detail("domain", "example.org");
        assert!(of(&other).unwrap().contains("destroy example.org"));
        assert_eq!(of(&Error::new(&backup::STORE_EXPIRES, "of an older server, without details")), None);
    }

    #[test]
    fn what_helps_a_machine_is_not_what_helps_a_repository() {
        let missing = Error::new(&backup::REPOSITORY_MISSING, "no");
        assert!(hint(&missing, None).unwrap().contains("`cloudron backup init`"));
        assert!(hint(&missing, Some("example.com")).unwrap().contains("status example.com"));
    }
}
