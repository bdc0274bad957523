//! Authentication of requests.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::App;
use super::network::Network;
use super::response::ApiFailure;
use crate::api::EventSource;
use crate::db::tokens;
use crate::{Error, codes, upkeep};

/// Interval for recording a token's use, in milliseconds.
const NOTED: i64 = 10 * 60 * 1000;

/// The address of the client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The client's address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address(pub(crate) Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Peer>().map(|peer| peer.0.to_canonical())))
    }
}

impl Address {
    pub(crate) fn text(self) -> String {
        self.0.map(|ip| ip.to_string()).unwrap_or_default()
    }

    /// Returns the network by which attempts are counted.
    pub(crate) fn network(self) -> Network {
        Network::of(self.0.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)))
    }
}

/// The sender of a valid token: a logged-in user, or the owner of the machine on the machine.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) source: EventSource,
    /// Hash of the session's token. `None` for a token made on the machine.
    pub(crate) session: Option<[u8; 32]>,
}

impl Caller {
    /// Refuses a logged-in user if only the owner on the machine is allowed.
    ///
    /// # Errors
    /// `machine-only`.
    pub(crate) fn only_on_the_machine(&self) -> crate::Result<()> {
        if self.session.is_none() {
            return Ok(());
        }
        Err(Error::new(&codes::MACHINE_ONLY, "a login is not enough for this: it is done on the machine"))
    }

    /// Returns the user whose sessions these are. `None` for the owner of the machine, who may see and end
    /// all.
    pub(crate) fn user_id(&self) -> Option<String> {
        self.source.user_id.clone()
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let invalid = || Error::new(&codes::TOKEN_INVALID, "no valid access token was sent");
        let token = bearer(&parts.headers).ok_or_else(invalid)?.to_owned();
        let now = app.token_time();
        let found = app.db.read_async(move |c| tokens::find(c, &token, now)).await;
        let Some(token) = found.map_err(|e| ApiFailure::from(e).for_stranger())? else {
            // The token may have been made on the machine with a clock set back. The next one will be
            // accepted.
            if tokens::lead(now, app.now()) > 0 {
                let _ = upkeep::note_time(app).await;
            }
            return Err(invalid().into());
        };
        if !app.is_activated() && !token.admin {
            return Err(Error::new(&codes::NOT_ACTIVATED, "the first-time setup was not done yet").into());
        }
        let address = parts.extensions.get::<Peer>().map(|peer| peer.0.to_canonical().to_string());
        if !token.admin && token.used.is_none_or(|used| now - used >= NOTED) {
            let (hash, address) = (token.hash, address.clone().unwrap_or_default());
            let noted = app.db.write_async(move |c| tokens::note_use(c, &hash, &address, now)).await;
            if let Err(error) = noted {
                tracing::warn!(%error, "The use of a session could not be noted");
            }
        }
        let username = if token.admin { Some(token.name) } else { token.username };
        let source = EventSource { username, user_id: token.user_id, ip: address };
        Ok(Self { source, session: (!token.admin).then_some(token.hash) })
    }
}

/// Returns the bearer token of a request (RFC 6750, section 2.1), limited in length.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && (1..=200).contains(&token.len())).then_some(token)
}

/// The JSON body of a request. Errors do not contain the body, which may hold a password.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiFailure;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiFailure> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Error::new(&codes::BODY_TOO_LARGE, "the body is larger than 64 KiB").into())
            }
            Err(rejection) => {
                let why = match rejection.status() {
                    StatusCode::UNSUPPORTED_MEDIA_TYPE => "the content type must be application/json",
                    StatusCode::UNPROCESSABLE_ENTITY => "the body lacks a field or one has the wrong type",
                    _ => "the body is not JSON",
                };
                Err(Error::new(&codes::BAD_REQUEST, why).into())
            }
        }
    }
}
