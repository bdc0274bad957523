//! The proxy with real clients and upstreams, and with those that break the rules.

mod budgets;
mod client;
mod forwarding;
mod hostile;
mod http2;
mod plain;
mod raw_h2;
mod running;
mod slow;
mod smuggling;
mod streams;
mod swap;
mod upstream;
mod versions;
mod websocket;
