//! What makes a machine harder to break into: keys only for SSH, and security updates by themselves.

pub mod packages;
pub mod sshd;
#[cfg(test)]
mod tests;
pub mod upgrades;
