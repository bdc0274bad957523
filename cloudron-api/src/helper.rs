//! What the other parts of a server ask the helper of root: typed verbs, and nothing that reaches a shell.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A verb. The command of a hook is not in it: it is the one that root configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Verb {
    /// Runs the command that root configured for an included folder. Only the backup worker asks for this.
    Hook {
        /// The included folder.
        folder: PathBuf,
        /// Which of its commands.
        when: Moment,
    },
    /// Reads facts that need no change.
    Facts,
    /// Restarts a part of the server.
    Restart {
        /// The part.
        part: Part,
    },
    /// Restarts the machine.
    Reboot,
}

/// A moment of the backup of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// Before the folder is read.
    Before,
    /// After the backup, whether it succeeded or not.
    After,
}

impl Moment {
    /// Returns the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// A part of the server that runs as a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The interface.
    Interface,
    /// The backup worker.
    Worker,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Root itself.
    Root,
    /// The interface.
    Interface,
    /// The backup worker.
    Worker,
}

impl Verb {
    /// Returns the verb's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hook { .. } => "hook",
            Self::Facts => "facts",
            Self::Restart { .. } => "restart",
            Self::Reboot => "reboot",
        }
    }

    /// Returns true if this part of the server may ask for it.
    pub fn is_for(&self, asker: Asker) -> bool {
        match (self, asker) {
            (_, Asker::Root) | (Self::Hook { .. }, Asker::Worker) => true,
            (Self::Hook { .. }, Asker::Interface) | (_, Asker::Worker) => false,
            (Self::Facts | Self::Restart { .. } | Self::Reboot, Asker::Interface) => true,
        }
    }
}

/// The end of a hook command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookEnd {
    /// True if it ended well.
    pub success: bool,
    /// How it ended.
    pub status: String,
    /// The beginning of its output.
    pub output: String,
    /// The beginning of its errors.
    pub errors: String,
}

/// Facts about the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Name and version of the operating system.
    pub system: String,
    /// Seconds since the boot.
    pub up: u64,
    /// True if updates wait for a restart of the machine.
    pub reboot_needed: bool,
    /// The units of the server that failed.
    pub failed: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_worker_asks_for_hooks_and_nothing_but_hooks() {
        let hook = Verb::Hook { folder: "/srv/db".into(), when: Moment::Before };
        assert!(hook.is_for(Asker::Worker) && hook.is_for(Asker::Root) && !hook.is_for(Asker::Interface));
        for verb in [Verb::Facts, Verb::Restart { part: Part::Worker }, Verb::Reboot] {
            assert!(!verb.is_for(Asker::Worker) && verb.is_for(Asker::Interface), "{verb:?}");
        }
    }

    #[test]
    fn a_verb_has_no_place_for_a_command() {
        let with = r#"{"hook": {"folder": "/srv", "when": "before", "command": "id"}}"#;
        assert!(serde_json::from_str::<Verb>(with).is_err());
        assert!(serde_json::from_str::<Verb>(r#"{"restart": {"part": "ssh"}}"#).is_err());
        let without = r#"{"hook": {"folder": "/srv", "when": "before"}}"#;
        assert_eq!(serde_json::from_str::<Verb>(without).unwrap().name(), "hook");
    }
}
