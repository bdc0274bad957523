//! The S3 store against moto, which is much of S3, and against a fake that does what moto does not.
#![cfg(all(feature = "s3", feature = "conformance"))]

#[path = "../common/mod.rs"]
mod common;
mod failing;
mod fake;
mod keeping;
mod moto;
mod on_moto;
