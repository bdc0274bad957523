//! Odd trees, odd clocks, odd permissions, and more than one at once.

mod garden;
mod hosts;
mod trees;
