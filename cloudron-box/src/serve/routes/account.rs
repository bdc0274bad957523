//! First-time setup and login.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use cloudron_core::{Secret, random};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::api::{ActivateRequest, EventSource, LoginRequest, TokenAnswer};
use crate::db::tokens::{self, Kind};
use crate::db::users::{self, User};
use crate::db::{blocking, events};
use crate::serve::App;
use crate::serve::auth::{Address, Body, bearer};
use crate::serve::password;
use crate::serve::reply::{Answer, Failure};
use crate::serve::throttle::must_wait;
use crate::time::{later, timestamp};
use crate::{Error, Result, codes};

/// How long a login is valid.
const SESSION: Duration = Duration::from_secs(7 * 24 * 3600);

pub(crate) async fn activate(
    State(app): State<Arc<App>>,
    address: Address,
    headers: HeaderMap,
    Body(request): Body<ActivateRequest>,
) -> Answer<(StatusCode, Json<TokenAnswer>)> {
    if app.is_activated() {
        return Err(already().into());
    }
    let user = new_user(&request)?;
    password::check(&request.password)?;
    app.setups.attempt("", app.tuning.clock.monotonic()).map_err(wait)?;
    let setup = Secret::new(bearer(&headers).unwrap_or_default());
    let user = User { password: hash(&app, request.password).await?, ..user };
    let now = app.now();
    let answer = app
        .db
        .write_async(move |c| {
            // One transaction: of several at the same time, one finds the token and no owner.
            if users::any(c)? {
                return Err(already());
            }
            if !tokens::take_setup(c, setup.expose(), now)? {
                return Err(Error::new(
                    &codes::SETUP_TOKEN_INVALID,
                    "the setup token is wrong or no longer valid",
                ));
            }
            tokens::clear_setup(c)?;
            users::add_owner(c, &user, now)?;
            let source = source(&user, address);
            events::add(c, now, "cloudron.activate", &source, &json!({"email": user.email}))?;
            session(c, &user, now)
        })
        .await
        .map_err(|e| Failure::from(e).for_stranger())?;
    app.setups.success("");
    app.set_activated();
    tracing::info!("The first-time setup was done");
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(crate) async fn login(
    State(app): State<Arc<App>>,
    address: Address,
    Body(request): Body<LoginRequest>,
) -> Answer<Json<TokenAnswer>> {
    if !app.is_activated() {
        return Err(Error::new(&codes::NOT_ACTIVATED, "the first-time setup was not done yet").into());
    }
    let name = request.username.trim().to_owned();
    if name.is_empty() || name.len() > 320 || request.password.expose().len() > 4 * 256 {
        return Err(refused().into());
    }
    let (account, network) = (name.to_lowercase(), address.network());
    let monotonic = app.tuning.clock.monotonic();
    app.addresses.attempt(&network, monotonic).map_err(wait)?;
    app.accounts.attempt(&account, monotonic).map_err(wait)?;
    let user = app.db.read_async(move |c| users::find(c, &name)).await;
    let user = user.map_err(|e| Failure::from(e).for_stranger())?;
    let Some(user) = verified(&app, user, request.password).await? else {
        tracing::warn!(address = address.text(), "A login failed");
        let data = json!({"reason": "wrong user name or password"});
        let source = EventSource { ip: Some(address.text()), ..EventSource::default() };
        app.try_event("user.login.failed", source, data).await;
        return Err(refused().into());
    };
    app.accounts.success(&account);
    app.addresses.success(&network);
    let now = app.now();
    let answer = app
        .db
        .write_async(move |c| {
            events::add(c, now, "user.login", &source(&user, address), &json!({"authType": "password"}))?;
            session(c, &user, now)
        })
        .await;
    Ok(Json(answer.map_err(|e| Failure::from(e).for_stranger())?))
}

fn already() -> Error {
    Error::new(&codes::ALREADY_ACTIVATED, "the first-time setup was done already")
}

fn refused() -> Error {
    Error::new(&codes::LOGIN_FAILED, "the user name or the password is wrong")
}

fn wait(time: Duration) -> Failure {
    Failure::from(must_wait(time)).retry_after(time.as_secs())
}

fn source(user: &User, address: Address) -> EventSource {
    EventSource {
        username: Some(user.name().to_owned()),
        user_id: Some(user.id.clone()),
        ip: Some(address.text()),
    }
}

/// A new session of the user.
fn session(c: &rusqlite::Connection, user: &User, now: i64) -> Result<TokenAnswer> {
    let (token, expires) = (tokens::fresh(), later(now, SESSION));
    tokens::add(c, &token, Kind::Session, ("login", Some(&user.id)), (now, expires))?;
    Ok(TokenAnswer { token, expires_at: timestamp(expires) })
}

async fn hash(app: &App, password: Secret) -> Result<String> {
    let _permit = app.hashing.acquire().await;
    blocking(move || password::hash(&password)).await
}

/// The user, if there is one and the password is theirs. Takes equally long for one that does not exist.
async fn verified(app: &App, user: Option<User>, password: Secret) -> Result<Option<User>> {
    let _permit = app.hashing.acquire().await;
    blocking(move || match user {
        Some(user) => Ok(password::verify(&password, &user.password).then_some(user)),
        None => {
            password::pretend(&password);
            Ok(None)
        }
    })
    .await
}

/// The owner as asked for, without the password.
fn new_user(request: &ActivateRequest) -> Result<User> {
    let wrong = |text: &str| Error::new(&codes::BAD_REQUEST, text.to_owned());
    let email = request.email.trim();
    if !is_email(email) {
        return Err(wrong("the e-mail address is not one"));
    }
    let name_ok = |name: &String| {
        (2..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if !request.username.as_ref().is_none_or(name_ok) {
        return Err(wrong("a user name has 2 to 64 letters, digits, dots, hyphens or underscores"));
    }
    let shown_ok = |name: &String| name.chars().count() <= 100 && !name.chars().any(char::is_control);
    if !request.display_name.as_ref().is_none_or(shown_ok) {
        return Err(wrong("a displayed name has at most 100 characters"));
    }
    Ok(User {
        id: random::token(20),
        email: email.to_owned(),
        username: request.username.clone(),
        display_name: request.display_name.clone(),
        password: String::new(),
    })
}

/// Whether a text has the form of an e-mail address that somebody would use: no quoted local parts.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"\"(),:;<>@[\\]".contains(c);
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.chars().all(plain)
        && !domain.is_empty()
        && domain.split('.').all(|l| !l.is_empty() && l.chars().all(|c| c.is_alphanumeric() || c == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses_are_told_from_other_texts() {
        for good in ["me@example.com", "a.b+c@x.y.example.co.uk", "root@localhost", "jürgen@müller.example"]
        {
            assert!(is_email(good), "{good}");
        }
        for bad in
            ["", "me", "@example.com", "me@", "a b@example.com", "a@b@c", "a@b..c", "\"q\"@example.com"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
