//! What the clouds share.

pub mod codes;
