//! A reverse proxy as a library: host names to upstreams.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use cloudron_proxy::{Proxy, Route, Settings, Table, Upstream};
//!
//! # async fn example(certificates: Arc<dyn rustls::server::ResolvesServerCert>) -> Result<(), Box<dyn std::error::Error>> {
//! let my = Route::new(Upstream::Unix("/run/my.sock".into())).privileged();
//! let blog = Route::new(Upstream::Tcp("127.0.0.1:8080".parse()?));
//! let table = Table::new(certificates).route("my.example.com", my)?.route("blog.example.com", blog)?;
//!
//! let proxy = Proxy::new(Settings::with_ring(), table)?;
//! let https = tokio::net::TcpListener::bind("0.0.0.0:443").await?;
//! let http = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
//! tokio::select! {
//!     () = proxy.serve_tls(https) => {}
//!     () = proxy.serve_plain(http) => {}
//!     _ = tokio::signal::ctrl_c() => {}
//! }
//! proxy.shut_down(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! - In front it speaks HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113) over TLS 1.2 and 1.3, behind HTTP/1.1, or HTTP/2 without
//!   TLS where a [`Route`] says so. Bodies stream in both directions, no faster than the slower side.
//! - The host of a request must be that of the TLS handshake, else the answer is 421 (RFC 9110, section 7.4).
//! - Framing that two readers could understand differently is refused: see `docs/proxy.md` for each case. What is sent to
//!   an upstream is written anew.
//! - `Upgrade` is passed on for WebSocket (RFC 6455) from HTTP/1.1, and the protocol changes only with the upstream's 101.
//!   Extended `CONNECT` (RFC 8441) is not offered: browsers then open a WebSocket by HTTP/1.1.
//! - `Forwarded` (RFC 7239), `X-Forwarded-For`, `-Host`, `-Proto` and `X-Real-IP` are the proxy's word. What a client sent
//!   under these names is removed.
//! - Each route has a [`Budget`], and one may be [privileged](Route::privileged) to use a [reserve](Limits::reserve), so that
//!   no route, and no client, can lock the others out.
//! - The [`Table`] of routes and certificates is replaced [at once](Proxy::swap), without closing a connection.
//!
//! Nothing is global: cryptography, clock, listeners, certificates and the access log are handed in.

mod access;
mod body;
mod challenges;
pub mod codes;
mod fields;
mod framing;
mod front;
mod host;
mod live;
mod pages;
mod settings;
mod stall;
mod table;
mod upstream;

pub use access::{AccessLog, Entry};
pub use challenges::Challenges;
pub use cloudron_core::{Error, Result};
pub use front::Proxy;
pub use settings::{Limits, Settings, Timeouts};
pub use table::{Budget, Protocol, Route, Table, Upstream};
