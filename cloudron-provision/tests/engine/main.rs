//! The step engine with crashes and failures at every point.

#![allow(unreachable_pub, reason = "the modules are this test's own")]

mod bench;
mod death;
mod rollback;
mod runs;
mod unfinished;
