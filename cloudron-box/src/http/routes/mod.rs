//! The routes of the HTTP API, one file per group.

mod account;
mod backups;
mod download;
mod events;
mod logs;
mod machine;
mod sessions;

pub use account::check_owner;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::{HeaderValue, header};

use crate::http::App;
use crate::http::pages::setup;
use crate::http::response::ApiFailure;
use crate::{Error, codes};

/// Maximum size of a request's body, in bytes. It is held in memory before the sender is authenticated.
const BODY_LIMIT: usize = 64 * 1024;

/// Returns the router with all routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/cloudron/status", get(machine::status))
        .route("/cloudron/activate", post(account::activate))
        .route("/developer/login", post(account::login))
        .route("/profile/password", post(sessions::password))
        .route("/sessions", get(sessions::list).delete(sessions::end_all))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/cloudron/config", get(machine::config))
        .route("/cloudron/progress", get(machine::progress))
        .route("/cloudron/update", post(machine::update))
        .route("/cloudron/reboot", post(machine::reboot))
        .route("/cloudron/retire", post(machine::retire))
        .route("/cloudron/logs", get(logs::logs))
        .route("/jobs/{id}", get(backups::job))
        .route("/backups", get(backups::list).post(backups::create))
        .route("/backups/{id}/download_url", post(backups::download_url))
        .route("/download/{token}/", get(download::list))
        .route("/download/{token}/{*key}", get(download::object))
        .route("/eventlog", get(events::list));
    Router::new()
        .route("/", get(setup::page))
        .nest("/api/v1", api)
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(app.clone(), limits))
        .with_state(app)
}

async fn nothing() -> ApiFailure {
    Error::new(&codes::NO_SUCH_OBJECT, "there is nothing at this address").into()
}

async fn wrong_method() -> ApiFailure {
    Error::new(&codes::METHOD_NOT_ALLOWED, "the address does not take this method").into()
}

/// Limits the time of requests, and adds the headers common to all responses. The body of a response has no
/// time limit: logs and downloads are streams.
async fn limits(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let limit = app.tuning.request_limit;
    let mut response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let text = format!("the request took longer than {} s", limit.as_secs());
            ApiFailure::from(Error::new(&codes::REQUEST_TIMEOUT, text)).into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    }
    response
}
