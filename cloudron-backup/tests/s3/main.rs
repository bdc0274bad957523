//! The S3 store on moto, which supports much of S3, and on a fake for the rest.
#![cfg(all(feature = "s3", feature = "conformance"))]

#[path = "../common/mod.rs"]
mod common;
mod failing;
mod fake;
mod keeping;
mod moto;
mod on_moto;
