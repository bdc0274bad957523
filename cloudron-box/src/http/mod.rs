//! The server's HTTP API: connections, limits, routes and pages.

pub(crate) mod accept;
mod app;
mod auth;
mod crowd;
mod download_grants;
pub(crate) mod failures;
mod hashing;
pub(crate) mod listen;
mod network;
mod pages;
mod query;
mod response;
mod routes;
mod throttle;
mod watched;

pub(crate) use app::App;
pub use routes::check_owner;
pub(crate) use routes::router;
