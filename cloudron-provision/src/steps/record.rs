//! The journal's records.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The subject of a run. It is written to the journal and must not contain secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The operation: `create`, `restore`, `destroy`.
    pub op: String,
    /// Name of the machine.
    pub fqdn: String,
    /// Name of the provider.
    pub provider: String,
    /// Further values that a resume needs, such as the given options; secrets only as references.
    #[serde(default)]
    pub inputs: Value,
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Everything is done.
    Committed,
    /// Everything is undone.
    RolledBack,
    /// It failed, and its results were kept on request or given up.
    Abandoned,
}

/// One line of a journal. Fields of later versions are ignored; kinds of later versions are an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// The first line.
    Begin {
        /// Version of the format: 1.
        schema: u32,
        /// The run's ID, a ULID.
        run: String,
        /// Version of the program that began the run.
        version: String,
        /// IDs of the steps, in order.
        plan: Vec<String>,
        /// Subject of the run.
        #[serde(flatten)]
        spec: Spec,
    },
    /// A step is about to be applied.
    Intent {
        /// The step.
        step: String,
        /// Number of the attempt, from 1.
        attempt: u32,
    },
    /// A step was applied.
    Done {
        /// The step.
        step: String,
        /// Its output.
        output: Value,
    },
    /// A check found that a step is already done.
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
        /// Code of the error. Its message is not recorded, because it may quote the output of a program.
        code: String,
        /// True if the step may succeed later.
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
        /// The reason why something of it was left, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
    },
    /// A step could not be undone.
    UndoFailed {
        /// The step.
        step: String,
        /// Code of the error.
        code: String,
    },
    /// The user stopped the run.
    Cancel,
    /// The last line.
    End {
        /// The outcome.
        ending: Ending,
    },
}
