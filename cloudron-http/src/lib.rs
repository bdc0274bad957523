//! HTTP for the services of vendors.
//!
//! - [`HttpTransport`] sends one request. It is a trait, so that a program can bring its own client and no TLS stack is
//!   forced on it. `ReqwestTransport` (feature `reqwest`) is the one that this project uses: rustls with ring, HTTP/2,
//!   compression, proxies and private authorities by `HttpOptions`.
//! - `rest` (feature `rest`) sends requests with a credential, repeats what may be repeated, waits as long as the other
//!   side asks for, reads lists in pages, and never puts the credential into a message.
//! - [`aws`] reads what Amazon's own tools read; `aws_sdk` (feature `aws-sdk`) runs Amazon's SDKs over a transport.

pub mod aws;
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
