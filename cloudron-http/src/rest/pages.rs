//! Lists that are answered in pages.

use std::collections::BTreeSet;

use http::Method;

use super::{Failure, Rest, garbled};
use crate::{Error, Response, Result};

/// The most pages that a list has, and the most entries: 10,000 requests are hours, a million records is no zone.
const MOST: (u32, usize) = (10_000, 1_000_000);

/// One page of a list.
pub struct Page<T> {
    /// What is on it.
    pub entries: Vec<T>,
    /// Whether another page follows.
    pub more: bool,
    /// How many entries all pages have together.
    pub total: Option<usize>,
}

impl Rest {
    /// Every entry of a list; `path` has a query. One that changes between its pages is read again from the start,
    /// since entries would be missed.
    ///
    /// # Errors
    /// The failure of a page; that of a service which is down for a list that has no end or never stays the same.
    pub async fn list<T, K: Ord>(
        &self,
        path: &str,
        page: impl Fn(&Response) -> Option<Page<T>>,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, Failure> {
        for _ in 0..4 {
            if let Some(entries) = self.list_once(path, &page, &key).await? {
                return Ok(entries);
            }
        }
        let message = format!("{path} changed again and again while its pages were read");
        Err(Error::new(self.vendor.codes.down, message).into())
    }

    async fn list_once<T, K: Ord>(
        &self,
        path: &str,
        page: &impl Fn(&Response) -> Option<Page<T>>,
        key: &impl Fn(&T) -> K,
    ) -> Result<Option<Vec<T>>, Failure> {
        let (mut entries, mut number) = (Vec::new(), 1_u32);
        let (mut seen, mut before) = (BTreeSet::new(), None);
        loop {
            // The address of the next page that is answered is not followed: it could name another host, which
            // would get the credential.
            let url = if number == 1 { path.to_owned() } else { format!("{path}&page={number}") };
            let answer = self.repeat(&Method::GET, &url, None).await?;
            let Page { entries: found, more, total } =
                page(&answer).ok_or_else(|| garbled(self.vendor.codes, path))?;
            let empty = found.is_empty();
            // One that went from an earlier page draws another one off the next page, which the sum does not show.
            let shifted = number > 1 && total != before;
            before = total;
            let doubled = found.iter().any(|entry| !seen.insert(key(entry)));
            entries.extend(found);
            if number > MOST.0 || entries.len() > MOST.1 {
                return Err(Error::new(self.vendor.codes.down, format!("{path}: the list has no end")).into());
            }
            match more {
                _ if shifted || doubled || (more && empty) => return Ok(None),
                true => number += 1,
                false => return Ok(total.is_none_or(|total| total == entries.len()).then_some(entries)),
            }
        }
    }
}
