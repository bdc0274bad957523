//! The step engine: a run is a list of steps; a journal records each before and after, so that a run that died
//! at any point is resumed or rolled back.
//!
//! | file | what |
//! |---|---|
//! | `step.rs` | the trait that a step implements |
//! | `context.rs` | what a step is given |
//! | `record.rs`, `state.rs` | the journal's records, and the state that they fold to |
//! | `journal.rs`, `lock.rs` | the file, and the lock that keeps two processes off one name |
//! | `runner.rs`, `rollback.rs` | running, resuming, undoing |
//! | `ready/` | the steps that install a server on a machine that answers |

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
