//! First-time setup and login.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use cloudron_core::{Secret, random};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::api::{ActivateRequest, EventSource, LoginRequest, TokenAnswer};
use crate::db::users::{self, User};
use crate::db::{events, tokens};
use crate::http::App;
use crate::http::auth::{Address, Body, bearer};
use crate::http::failures;
use crate::http::hashing::Queue;
use crate::http::response::{ApiFailure, ApiResult};
use crate::http::throttle::{Key, must_wait};
use crate::time::{later, timestamp};
use crate::{Error, Result, codes, password};

/// Lifetime of a session.
const SESSION: Duration = Duration::from_secs(7 * 24 * 3600);

/// Retry time in seconds if a password could not be checked because the queue is full.
const BUSY: u64 = 3;

/// The clock's time, and the time used to judge tokens.
#[derive(Debug, Clone, Copy)]
struct Times {
    clock: i64,
    token: i64,
}

impl Times {
    fn of(app: &App) -> Self {
        Self { clock: app.now(), token: app.token_time() }
    }
}

pub(crate) async fn activate(
    State(app): State<Arc<App>>,
    address: Address,
    headers: HeaderMap,
    Body(request): Body<ActivateRequest>,
) -> ApiResult<(StatusCode, Json<TokenAnswer>)> {
    if app.is_activated() {
        return Err(already().into());
    }
    let user = new_user(&request)?;
    password::check(&request.password)?;
    let (network, times) = (address.network(), Times::of(&app));
    let setup = Secret::new(bearer(&headers).unwrap_or_default());
    let wanted = setup.clone();
    let right = app.db.read_async(move |c| tokens::is_setup(c, wanted.expose(), times.token)).await;
    // Only wrong tokens are slowed down: the right one is too long to be guessed, and always gets in.
    if !right.map_err(|e| ApiFailure::from(e).for_stranger())? {
        app.throttle.attempt(&[Key::setup(network)], app.tuning.clock.monotonic()).map_err(wait)?;
        return Err(wrong_setup().into());
    }
    let hash = app.hashing.hash(Queue::Known, network, request.password).await.map_err(busy)?;
    let user = User { password: hash, ..user };
    let answer = app
        .db
        .write_async(move |c| {
            // In one transaction: of several concurrent requests, only one finds the token and no owner.
            if users::any(c)? {
                return Err(already());
            }
            if !tokens::take_setup(c, setup.expose(), times.token)? {
                return Err(wrong_setup());
            }
            tokens::clear_setup(c)?;
            users::add_owner(c, &user, times.clock)?;
            let source = source(&user, address);
            events::add(c, times.clock, "cloudron.activate", &source, &json!({"email": user.email}))?;
            session(c, &user, address, times)
        })
        .await
        .map_err(|e| ApiFailure::from(e).for_stranger())?;
    app.throttle.success(&[Key::setup(network)]);
    app.set_activated();
    tracing::info!("The first-time setup was done");
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(crate) async fn login(
    State(app): State<Arc<App>>,
    address: Address,
    Body(request): Body<LoginRequest>,
) -> ApiResult<Json<TokenAnswer>> {
    if !app.is_activated() {
        return Err(Error::new(&codes::NOT_ACTIVATED, "the first-time setup was not done yet").into());
    }
    let name = request.username.trim().to_owned();
    if name.is_empty() || name.len() > 320 || request.password.expose().len() > 4 * 256 {
        return Err(refused().into());
    }
    let found = app.db.read_async({
        let (name, network) = (name.clone(), address.network().to_string());
        move |c| {
            let Some(user) = users::find(c, &name)? else { return Ok(None) };
            let known = users::knows_network(c, &user.id, &network)?;
            Ok(Some((user, known)))
        }
    });
    let found = found.await.map_err(|e| ApiFailure::from(e).for_stranger())?;
    let (user, known) = found.map_or((None, false), |(user, known)| (Some(user), known));
    // A user has two names and one account. An unknown name is counted like a known one.
    let account = user.as_ref().map_or_else(|| name.to_lowercase(), |user| user.id.clone());
    let guess = Guess { account: &account, known, address };
    if !verified(&app, guess, user.as_ref(), request.password).await? {
        failures::note(&app, address).await;
        return Err(refused().into());
    }
    let Some(user) = user else { return Err(refused().into()) };
    let times = Times::of(&app);
    let answer = app
        .db
        .write_async(move |c| {
            let data = json!({"authType": "password"});
            events::add(c, times.clock, "user.login", &source(&user, address), &data)?;
            session(c, &user, address, times)
        })
        .await;
    Ok(Json(answer.map_err(|e| ApiFailure::from(e).for_stranger())?))
}

fn already() -> Error {
    Error::new(&codes::ALREADY_ACTIVATED, "the first-time setup was done already")
}

fn wrong_setup() -> Error {
    Error::new(&codes::SETUP_TOKEN_INVALID, "the setup token is wrong or no longer valid")
}

pub(super) fn refused() -> Error {
    Error::new(&codes::LOGIN_FAILED, "the user name or the password is wrong")
}

fn wait(time: Duration) -> ApiFailure {
    ApiFailure::from(must_wait(time)).retry_after(time.as_secs())
}

fn busy(error: Error) -> ApiFailure {
    let wait = error.is(&codes::LOGIN_BUSY);
    let failure = ApiFailure::from(error);
    if wait { failure.retry_after(BUSY) } else { failure.for_stranger() }
}

fn source(user: &User, address: Address) -> EventSource {
    EventSource {
        username: Some(user.name().to_owned()),
        user_id: Some(user.id.clone()),
        ip: Some(address.text()),
    }
}

/// Adds a session for the user, whose network is known from then on.
fn session(c: &rusqlite::Connection, user: &User, address: Address, times: Times) -> Result<TokenAnswer> {
    let token = tokens::fresh();
    let life = tokens::Life { from: times.token, until: later(times.token, SESSION) };
    let login = tokens::Login { user_id: &user.id, address: &address.text() };
    tokens::add_session(c, &token, login, life)?;
    users::note_network(c, &user.id, &address.network().to_string(), times.clock)?;
    Ok(TokenAnswer { token, expires_at: timestamp(later(times.clock, SESSION)) })
}

/// A login attempt: the account and the client's address.
pub(super) struct Guess<'a> {
    /// The key by which attempts are counted.
    pub(super) account: &'a str,
    /// True if the account was logged in to from this network before.
    pub(super) known: bool,
    pub(super) address: Address,
}

/// Returns true if the password is the user's. Takes the same time if there is no user. A wrong password
/// delays further attempts, except from networks that have logged in before.
pub(super) async fn verified(
    app: &App,
    guess: Guess<'_>,
    user: Option<&User>,
    password: Secret,
) -> ApiResult<bool> {
    let network = guess.address.network();
    let (queue, keys) = match guess.known {
        true => (Queue::Known, vec![Key::known(guess.account, network)]),
        false => (Queue::Strangers, vec![Key::account(guess.account), Key::address(network)]),
    };
    app.throttle.attempt(&keys, app.tuning.clock.monotonic()).map_err(wait)?;
    let hash = user.map(|user| user.password.clone());
    match app.hashing.verify(queue, network, password, hash).await {
        Ok(true) => {
            app.throttle.success(&keys);
            Ok(true)
        }
        Ok(false) => Ok(false),
        Err(error) => {
            app.throttle.undo(&keys);
            Err(busy(error))
        }
    }
}

/// Checks the owner for a first-time setup with the server's rules.
///
/// # Errors
/// `bad-request` with the field and the rule.
pub fn check_owner(request: &ActivateRequest) -> Result<()> {
    new_user(request)?;
    password::check(&request.password)
}

/// Returns the requested owner without a password.
fn new_user(request: &ActivateRequest) -> Result<User> {
    let wrong = |text: &str| Error::new(&codes::BAD_REQUEST, text.to_owned());
    let email = request.email.trim();
    if !is_email(email) {
        return Err(wrong("invalid email address"));
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

/// Returns true if a text is a common e-mail address: quoted local parts are not accepted.
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
