//! The parts of a server as systemd units: who they are, what they may, and how an older installation gets them.

#[path = "../generic/scene.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod scene;

mod front;
mod helper;
mod older;
mod rights;
