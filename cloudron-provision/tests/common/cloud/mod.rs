//! What the tests of all clouds share.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

pub mod machine;
pub mod process;
