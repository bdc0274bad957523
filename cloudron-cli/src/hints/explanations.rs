//! The texts of `cloudron explain`: the explanation of the crate, and the advice of this program.

use std::sync::LazyLock;

use cloudron_core::Code;

use super::entries::entries;

static MORE: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| entries(include_str!("explanations.txt")));

/// The explanation of a code, with the commands and options that help.
pub(crate) fn explanation(code: &Code) -> String {
    match MORE.iter().find(|(name, _)| *name == code.name) {
        Some((_, more)) => format!("{} {more}", code.explanation),
        None => code.explanation.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cloudron_backup::codes as backup;
    use cloudron_core::codes as core;

    use super::*;
    use crate::codes;

    #[test]
    fn a_code_is_explained_with_the_commands_that_help_and_once() {
        let text = explanation(&backup::STORE_EXPIRES);
        assert!(text.starts_with(backup::STORE_EXPIRES.explanation) && text.contains("`backup prune`"));
        assert_eq!(explanation(&core::FAILED), core::FAILED.explanation);
        let names: BTreeSet<&str> = MORE.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), MORE.len(), "a code has two entries");
        assert!(names.len() >= 60, "entries were lost: {names:?}");
        assert!(names.iter().all(|name| codes::find(name).is_some()), "no code has one of {names:?}");
    }
}
