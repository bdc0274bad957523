//! The firewall on a machine in memory; the real one is in the end-to-end tests.

mod table;
mod trial;
