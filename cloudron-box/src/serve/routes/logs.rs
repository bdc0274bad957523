//! The server's log, as JSON lines.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Deserialize;

use crate::db::blocking;
use crate::log::{Follower, tail};
use crate::serve::App;
use crate::serve::auth::Caller;
use crate::serve::query::Asked;
use crate::serve::reply::Answer;
use crate::{Error, codes};

/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// After how many looks without a line an empty one is sent, so that a client that went away is noticed.
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
    _: Caller,
    State(app): State<Arc<App>>,
    Asked(wanted): Asked<Wanted>,
) -> Answer<Response> {
    if wanted.lines > 10_000 {
        return Err(Error::new(&codes::BAD_REQUEST, "lines is 0 to 10000").into());
    }
    let path = app.log.path().to_owned();
    let (lines, follower) = blocking(move || tail(&path, wanted.lines)).await?;
    let body = if wanted.follow { followed(app, lines, follower) } else { Body::from(text(&lines)) };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// The lines, and the new ones until the server stops or the client goes away.
fn followed(app: Arc<App>, lines: Vec<String>, follower: Follower) -> Body {
    let first = text(&lines);
    let start = (app, follower, Some(first));
    Body::from_stream(stream::try_unfold(start, |(app, mut follower, first)| async move {
        if let Some(first) = first.filter(|t| !t.is_empty()) {
            return Ok::<_, Error>(Some((first, (app, follower, None))));
        }
        let mut looks = 0;
        loop {
            let (back, lines) = blocking(move || {
                let mut follower = follower;
                let lines = follower.more()?;
                Ok((follower, lines))
            })
            .await?;
            follower = back;
            if !lines.is_empty() {
                return Ok(Some((text(&lines), (app, follower, None))));
            }
            looks += 1;
            if looks >= SIGN_OF_LIFE {
                return Ok(Some(("\n".to_owned(), (app, follower, None))));
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = app.stopping.cancelled() => return Ok(None),
            }
        }
    }))
}
