//! Path parameters and query parameters.

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::response::ApiFailure;
use crate::{Error, Result, codes};

/// The query of a request, with our own errors.
pub(crate) struct ValidQuery<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, ApiFailure> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = format!("the query is malformed: {}", rejection.body_text());
                Err(Error::new(&codes::BAD_REQUEST, text).into())
            }
        }
    }
}

/// The variable parts of a path, with our own errors.
pub(crate) struct ValidPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ValidPath<T> {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, ApiFailure> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(Error::new(&codes::BAD_REQUEST, "the address is not text in UTF-8").into()),
        }
    }
}

/// The page of a list to return.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Paging {
    #[serde(default = "first")]
    page: u32,
    #[serde(default = "many")]
    per_page: u32,
}

fn first() -> u32 {
    1
}

fn many() -> u32 {
    25
}

impl Paging {
    /// Returns the page number, from 1, and the number of entries per page.
    ///
    /// # Errors
    /// `bad-request` for page 0, or if `per_page` is not 1 to 1000.
    pub(crate) fn checked(self) -> Result<(u32, u32)> {
        if self.page == 0 || !(1..=1000).contains(&self.per_page) {
            let text = "page starts at 1, per_page is 1 to 1000";
            return Err(Error::new(&codes::BAD_REQUEST, text));
        }
        Ok((self.page, self.per_page))
    }
}
