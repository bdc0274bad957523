//! HTTP for vendors' services.
//!
//! - [`HttpTransport`] sends one request. It is a trait, so that a program can supply its own client and TLS
//!   stack. `ReqwestTransport` (feature `reqwest`) is the implementation used by this project: rustls with
//!   ring, HTTP/2, compression, and proxies and private authorities by `HttpOptions`.
//! - `rest` (feature `rest`) sends requests with a credential, retries what is safe to retry, waits as long
//!   as the server asks for, reads paginated lists, and keeps the credential out of messages.
//! - [`aws`] reads the settings of Amazon's own tools; `aws_sdk` (feature `aws-sdk`) runs Amazon's SDKs on a
//!   transport; `aws_instance` (feature `aws-instance`) reads the credentials of an instance's role.

pub mod aws;
#[cfg(feature = "aws-instance")]
pub mod aws_instance;
#[cfg(feature = "aws-sdk")]
pub mod aws_sdk;
#[cfg(feature = "reqwest")]
mod client;
pub mod codes;
#[cfg(feature = "reqwest")]
mod options;
#[cfg(feature = "reqwest")]
mod proxy;
#[cfg(feature = "rest")]
pub mod rest;
#[cfg(feature = "reqwest")]
mod tls;
pub mod transport;

pub use aws::AwsEnvironment;
#[cfg(feature = "aws-instance")]
pub use aws_instance::{InstanceCredentials, InstanceMetadata};
#[cfg(feature = "reqwest")]
pub use client::ReqwestTransport;
pub use cloudron_core::{Error, Result};
#[cfg(feature = "reqwest")]
pub use options::HttpOptions;
#[cfg(feature = "reqwest")]
pub use proxy::Proxies;
#[cfg(feature = "reqwest")]
pub use tls::named_certificates;
pub use transport::{HttpTransport, Request, Response, is_endpoint};
