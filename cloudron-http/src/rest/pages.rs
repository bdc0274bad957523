//! Paginated lists.

use std::collections::BTreeSet;

use http::Method;

use super::{Failure, Rest, garbled};
use crate::{Error, Response, Result};

/// Maximum number of pages and of entries in a list. 10,000 requests take hours, and no zone has a million
/// records.
const MOST: (u32, usize) = (10_000, 1_000_000);

/// One page of a list.
pub struct Page<T> {
    /// The entries of the page.
    pub entries: Vec<T>,
    /// True if another page follows.
    pub more: bool,
    /// The number of entries on all pages.
    pub total: Option<usize>,
}

impl Rest {
    /// Returns all entries of a list; `path` has a query. A list that changes between pages is read again
    /// from the start, since entries could be missed.
    ///
    /// # Errors
    /// The failure of a page; that of an unavailable service if the list has no end or keeps changing.
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
            // The URL of the next page in a response is not followed: it could name another host, which would
            // receive the credential.
            let url = if number == 1 { path.to_owned() } else { format!("{path}&page={number}") };
            let answer = self.repeat(&Method::GET, &url, None).await?;
            let Page { entries: found, more, total } =
                page(&answer).ok_or_else(|| garbled(self.vendor.codes, path))?;
            let empty = found.is_empty();
            // An entry removed from an earlier page moves another one off the next page, which the count does
            // not show.
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
