//! What a response holds until it has ended.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cloudron_core::Clock;
use http::{Request, Version};

use super::activity::Open;
use crate::live::Permit;
use crate::{AccessLog, Entry, Settings};

/// The place of a request in its budgets, and its line of the access log, which is written when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) _open: Open,
    pub(super) _permit: Option<Permit>,
    pub(super) record: Option<Record>,
}

impl Held {
    /// Counts bytes of the response's body.
    pub(crate) fn count(&mut self, bytes: usize) {
        if let Some(record) = &mut self.record {
            record.bytes += bytes as u64;
        }
    }

    /// Notes that the whole body was taken.
    pub(crate) fn complete(&mut self) {
        if let Some(record) = &mut self.record {
            record.complete = true;
        }
    }
}

/// What is known of a request and its response.
pub(crate) struct Record {
    log: Arc<dyn AccessLog>,
    clock: Arc<dyn Clock>,
    time: SystemTime,
    begun: Duration,
    client: std::net::IpAddr,
    method: String,
    path: String,
    query: Option<String>,
    version: Version,
    pub(super) host: String,
    pub(super) status: u16,
    bytes: u64,
    complete: bool,
}

impl Record {
    /// Begins a record, if anybody wants one.
    pub(super) fn begin<B>(
        settings: &Settings,
        client: std::net::IpAddr,
        request: &Request<B>,
    ) -> Option<Self> {
        let log = settings.access_log.clone()?;
        let clock = settings.clock.clone();
        let plain =
            |text: &str| text.bytes().filter(u8::is_ascii_graphic).map(char::from).collect::<String>();
        let query = request.uri().query().filter(|_| log.wants_queries()).map(plain);
        Some(Self {
            time: clock.now(),
            begun: clock.monotonic(),
            client,
            method: request.method().to_string(),
            path: plain(request.uri().path()),
            query,
            version: request.version(),
            host: String::new(),
            status: 0,
            bytes: 0,
            complete: false,
            log,
            clock,
        })
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.log.record(&Entry {
            time: self.time,
            client: self.client,
            host: &self.host,
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            version: self.version,
            status: self.status,
            bytes: self.bytes,
            complete: self.complete,
            duration: self.clock.monotonic().saturating_sub(self.begun),
        });
    }
}
