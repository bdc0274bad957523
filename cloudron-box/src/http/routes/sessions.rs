//! Sessions: listing, ending, and changing the password.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::json;

use super::account::{Guess, refused, verified};
use crate::api::{PasswordRequest, SessionList, SessionsEnded};
use crate::db::{events, tokens, users};
use crate::http::App;
use crate::http::auth::{Address, Body, Caller};
use crate::http::hashing::Queue;
use crate::http::query::ValidPath;
use crate::http::response::ApiResult;
use crate::{Error, codes, password};

/// Name for the requesting session.
const CURRENT: &str = "current";

pub(crate) async fn list(caller: Caller, State(app): State<Arc<App>>) -> ApiResult<Json<SessionList>> {
    let lead = tokens::lead(app.token_time(), app.now());
    let user = caller.user_id();
    let mut sessions = app.db.read_async(move |c| tokens::sessions(c, user.as_deref(), lead)).await?;
    let own = caller.session.as_ref().map(tokens::session_name);
    for session in &mut sessions {
        session.current = own.as_ref() == Some(&session.id);
    }
    Ok(Json(SessionList { sessions }))
}

/// Ends one session: by its name, or the requesting one.
pub(crate) async fn end(
    caller: Caller,
    State(app): State<Arc<App>>,
    ValidPath(id): ValidPath<String>,
) -> ApiResult<Json<SessionsEnded>> {
    let unknown = || Error::new(&codes::SESSION_UNKNOWN, "there is no such session");
    let name = match id.as_str() {
        CURRENT => tokens::session_name(caller.session.as_ref().ok_or_else(unknown)?),
        _ => id,
    };
    let (user, source, now) = (caller.user_id(), caller.source, app.now());
    app.db
        .write_async(move |c| {
            if !tokens::end_session(c, &name, user.as_deref())? {
                return Err(unknown());
            }
            events::add(c, now, "session.end", &source, &json!({"id": name}))
        })
        .await?;
    Ok(Json(SessionsEnded { ended: 1 }))
}

/// Ends all sessions of the user, also the one that asks.
pub(crate) async fn end_all(caller: Caller, State(app): State<Arc<App>>) -> ApiResult<Json<SessionsEnded>> {
    let (user, source, now) = (caller.user_id(), caller.source, app.now());
    let ended = app.db.write_async(move |c| {
        let ended = tokens::end_sessions(c, user.as_deref(), None)?;
        events::add(c, now, "session.end", &source, &json!({"ended": ended}))?;
        Ok(ended)
    });
    Ok(Json(SessionsEnded { ended: ended.await? }))
}

/// Changes the requesting user's password, and ends all other sessions of the user.
pub(crate) async fn password(
    caller: Caller,
    State(app): State<Arc<App>>,
    address: Address,
    Body(request): Body<PasswordRequest>,
) -> ApiResult<Json<SessionsEnded>> {
    let id = caller.user_id().ok_or_else(|| {
        let text = "a token that was made on the machine belongs to no user";
        Error::new(&codes::BAD_REQUEST, text)
            .with_hint(format!("`cloudron machine reset-password {}` sets a new password", app.settings.fqdn))
    })?;
    password::check(&request.new_password)?;
    let network = address.network();
    let (wanted, shown) = (id.clone(), network.to_string());
    let found =
        app.db.read_async(move |c| Ok((users::get(c, &wanted)?, users::knows_network(c, &wanted, &shown)?)));
    let (user, known) = found.await?;
    let guess = Guess { account: &id, known, address };
    if request.password.expose().len() > 4 * 256
        || !verified(&app, guess, user.as_ref(), request.password).await?
    {
        return Err(refused().into());
    }
    let queue = if known { Queue::Known } else { Queue::Strangers };
    let hash = app.hashing.hash(queue, network, request.new_password).await?;
    let (kept, source, now) = (caller.session, caller.source, app.now());
    let ended = app.db.write_async(move |c| {
        users::set_password(c, &id, &hash)?;
        let ended = tokens::end_sessions(c, Some(&id), kept.as_ref())?;
        users::forget_networks(c, &id)?;
        users::note_network(c, &id, &network.to_string(), now)?;
        events::add(c, now, "user.password", &source, &json!({"by": "user", "ended": ended}))?;
        Ok(ended)
    });
    Ok(Json(SessionsEnded { ended: ended.await? }))
}
