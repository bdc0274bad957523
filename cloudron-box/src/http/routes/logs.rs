//! The server's log, as JSON lines.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Deserialize;

use crate::db::{blocking, tokens};
use crate::http::App;
use crate::http::auth::Caller;
use crate::http::query::ValidQuery;
use crate::http::response::ApiResult;
use crate::log::{Follower, tail};
use crate::{Error, Result, codes};

/// Polling interval when following a log.
const PAUSE: Duration = Duration::from_millis(250);

/// The number of polls between checks whether the session has ended.
const ALIVE: u32 = 8;

/// The number of polls without a line after which an empty one is sent, to detect a disconnected client.
const SIGN_OF_LIFE: u32 = 60;

#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default = "hundred")]
    lines: usize,
    #[serde(default)]
    follow: bool,
}

fn hundred() -> usize {
    100
}

pub(crate) async fn logs(
    caller: Caller,
    State(app): State<Arc<App>>,
    ValidQuery(wanted): ValidQuery<Wanted>,
) -> ApiResult<Response> {
    if wanted.lines > 10_000 {
        return Err(Error::new(&codes::BAD_REQUEST, "lines is 0 to 10000").into());
    }
    let path = app.log.path().to_owned();
    let (lines, follower) = blocking(move || tail(&path, wanted.lines)).await?;
    let body =
        if wanted.follow { followed(app, caller.session, lines, follower) } else { Body::from(text(&lines)) };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// A followed log.
struct Followed {
    app: Arc<App>,
    session: Option<[u8; 32]>,
    follower: Option<Follower>,
    first: Option<String>,
    looks: u32,
}

/// Returns the lines, and new ones until the server stops, the session ends or the client disconnects.
fn followed(app: Arc<App>, session: Option<[u8; 32]>, lines: Vec<String>, follower: Follower) -> Body {
    let start = Followed { app, session, follower: Some(follower), first: Some(text(&lines)), looks: 0 };
    Body::from_stream(stream::try_unfold(start, |mut log| async move {
        Ok::<_, Error>(log.next().await?.map(|part| (part, log)))
    }))
}

impl Followed {
    async fn next(&mut self) -> Result<Option<String>> {
        if let Some(first) = self.first.take().filter(|t| !t.is_empty()) {
            return Ok(Some(first));
        }
        let mut quiet = 0;
        loop {
            self.looks = self.looks.wrapping_add(1);
            if self.looks.is_multiple_of(ALIVE) && !self.is_allowed().await? {
                return Ok(None);
            }
            let Some(mut follower) = self.follower.take() else { return Ok(None) };
            let (back, lines) = blocking(move || {
                let lines = follower.more()?;
                Ok((follower, lines))
            })
            .await?;
            self.follower = Some(back);
            if !lines.is_empty() {
                return Ok(Some(text(&lines)));
            }
            quiet += 1;
            if quiet >= SIGN_OF_LIFE {
                return Ok(Some("\n".to_owned()));
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.app.stopping.cancelled() => return Ok(None),
            }
        }
    }

    /// Returns true if the requesting session is still valid. A token made on the machine lives for minutes,
    /// and its owner may follow the log for longer.
    async fn is_allowed(&self) -> Result<bool> {
        let Some(session) = self.session else { return Ok(true) };
        let now = self.app.token_time();
        self.app.db.read_async(move |c| tokens::is_alive(c, &session, now)).await
    }
}
