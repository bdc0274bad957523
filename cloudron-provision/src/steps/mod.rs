//! The step engine. A run is a list of steps. A journal records each step before and after it is applied, so that a run
//! that was interrupted at any point can be resumed or rolled back.
//!
//! | file | contents |
//! |---|---|
//! | `step.rs` | the trait that a step implements |
//! | `context.rs` | the state that steps share |
//! | `record.rs`, `state.rs` | the journal's records, and the state computed from them |
//! | `journal.rs`, `lock.rs` | the file, and the lock that allows one process per name |
//! | `runner.rs`, `rollback.rs` | running, resuming, undoing |
//! | `ready/` | the steps that install a server on a reachable machine |

mod context;
mod journal;
mod lock;
pub mod ready;
mod record;
mod rollback;
mod runner;
mod state;
mod step;

pub use context::{Context, Outputs};
pub use journal::Journal;
pub use record::{Ending, Record, Spec};
pub use runner::Runner;
pub use state::{Phase, RunState, RunSummary, StepState};
pub use step::{Check, Step, Undo};
