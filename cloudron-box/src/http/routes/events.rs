//! The event log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;

use crate::api::EventPage;
use crate::db::events::{Filter, page};
use crate::http::App;
use crate::http::auth::Caller;
use crate::http::query::{Paging, ValidQuery};
use crate::http::response::ApiResult;
use crate::{Error, Result, codes};

// `Paging` cannot be flattened into this: serde passes flattened numbers as text.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    action: Option<String>,
    search: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

pub(crate) async fn list(
    _: Caller,
    State(app): State<Arc<App>>,
    ValidQuery(paging): ValidQuery<Paging>,
    ValidQuery(wanted): ValidQuery<Wanted>,
) -> ApiResult<Json<EventPage>> {
    let (page_number, per_page) = paging.checked()?;
    let filter = Filter {
        page: page_number,
        per_page,
        action: wanted.action.filter(|t| !t.is_empty()),
        search: wanted.search.filter(|t| !t.is_empty()),
        since: time("since", wanted.since)?,
        until: time("until", wanted.until)?,
    };
    Ok(Json(app.db.read_async(move |c| page(c, &filter)).await?))
}

fn time(name: &str, text: Option<String>) -> Result<Option<Timestamp>> {
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Error::new(&codes::BAD_REQUEST, format!("{name} must be a time as in 2026-11-24T03:00:00Z"))
    })
}
