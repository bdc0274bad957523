//! Certificates of a real authority: pebble, with a gate in front of it that fails on request.

mod life;
mod proofs;
mod world;
