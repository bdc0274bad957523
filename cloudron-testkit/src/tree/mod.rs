//! Realistic file trees: generated from a seed, described with all their metadata, and compared.

mod compare;
mod digest;
mod generate;
mod rng;

pub use compare::{assert_same, compare};
pub use digest::{Entry, Kind, digest, sha256_file};
pub use generate::{Made, generate};
pub use rng::Rng;
