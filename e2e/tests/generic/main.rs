//! A server made over SSH on a bare Debian machine: what it does, and what it survives.

mod canary;
mod create;
mod faults;
mod lost;
mod ports;
mod readme;
mod scene;
mod states;
