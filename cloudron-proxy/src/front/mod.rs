//! Clients: their connections, and the answers to their requests.

mod activity;
mod answer;
mod client;
mod connection;
mod held;
mod plain;
mod proxy;
mod seats;
mod tls;
mod tunnel;
mod watched;

pub(crate) use held::Held;
pub use proxy::Proxy;
