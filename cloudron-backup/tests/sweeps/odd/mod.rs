//! Unusual trees, clocks and permissions, and concurrent runs.

mod garden;
mod hosts;
mod trees;
