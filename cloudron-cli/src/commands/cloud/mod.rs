//! What the commands on clouds share: the account, and the machine to make.

pub(crate) mod account;
pub(crate) mod cost;
pub(crate) mod offers;
pub(crate) mod settings;
