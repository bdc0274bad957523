//! A server created over SSH on a bare Debian machine: its functions, and the faults that it survives.

mod bucket;
mod canary;
mod create;
mod faults;
mod lost;
mod ports;
mod readme;
mod scene;
mod states;
