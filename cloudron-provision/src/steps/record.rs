//! The journal's records.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a run is about. It goes into the journal and must hold nothing secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// What is done: `create`, `restore`, `destroy`.
    pub op: String,
    /// The machine's name.
    pub fqdn: String,
    /// The provider's name.
    pub provider: String,
    /// What else a resume has to know, such as the options given; secrets by their reference only.
    #[serde(default)]
    pub inputs: Value,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Everything is done.
    Committed,
    /// Everything is undone.
    RolledBack,
    /// It failed, and what exists was kept on request or was given up.
    Abandoned,
}

/// One line of a journal. Fields that a later version adds are ignored; a kind that it adds is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// The first line.
    Begin {
        /// The version of the format: 1.
        schema: u32,
        /// The run's id, a ULID.
        run: String,
        /// The version of the program that began it.
        version: String,
        /// The ids of the steps, in order.
        plan: Vec<String>,
        /// What it is about.
        #[serde(flatten)]
        spec: Spec,
    },
    /// A step is about to be applied.
    Intent {
        /// The step.
        step: String,
        /// How many times it was begun, from 1.
        attempt: u32,
    },
    /// A step was applied.
    Done {
        /// The step.
        step: String,
        /// Its output.
        output: Value,
    },
    /// A step was found done by a check.
    Adopted {
        /// The step.
        step: String,
        /// Its output.
        output: Value,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: String,
        /// The error's code. Its message is not recorded: it may quote what a program printed.
        code: String,
        /// Whether it may succeed later.
        retryable: bool,
    },
    /// A step is about to be undone.
    UndoIntent {
        /// The step.
        step: String,
    },
    /// A step was undone.
    Undone {
        /// The step.
        step: String,
        /// Why something of it was left, if something was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
    },
    /// A step could not be undone.
    UndoFailed {
        /// The step.
        step: String,
        /// The error's code.
        code: String,
    },
    /// The user stopped the run.
    Cancel,
    /// The last line.
    End {
        /// How it ended.
        ending: Ending,
    },
}
