//! Background jobs: one at a time, persisted across restarts.

mod backup;
mod daily;
mod queue;
mod schedule;

pub(crate) use backup::Backup;
pub(crate) use daily::run as back_up_daily;
pub(crate) use queue::Queue;
