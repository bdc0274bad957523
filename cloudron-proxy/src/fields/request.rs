//! Requests on their way to an upstream.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Uri, Version};

use super::hop;
use super::target::Problem;
use crate::Protocol;

/// Fields by which proxies say who a client is, and fields that name another target, beside those that begin with one of
/// [`PREFIXES`]. A program may believe them, so only the proxy sets them. `Proxy` becomes `HTTP_PROXY` in CGI
/// (CVE-2016-5385).
const SPOKEN_FOR: [&str; 13] = [
    "forwarded",
    "x-forwarded",
    "forwarded-for",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-cluster-client-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-original-host",
    "proxy",
];

/// The beginnings of such fields. `Remote-User` and its kin are what sign-on in front of a program sets.
const PREFIXES: [&str; 3] = ["x-forwarded-", "remote-", "x-remote-"];

/// Fields that a message may have only in one spelling: with underscores, a program that reads them as CGI does would take
/// them for the real ones.
const NO_ALIAS: [&str; 5] = ["content-length", "transfer-encoding", "host", "connection", "upgrade"];

/// What the proxy says of a request.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// The client's address.
    pub(crate) client: IpAddr,
    /// The name of this proxy in `Via`.
    pub(crate) pseudonym: &'a str,
    /// The protocol of the upstream.
    pub(crate) protocol: Protocol,
    /// Whether the body's length is unknown.
    pub(crate) unknown_length: bool,
}

/// Makes a client's request one of this proxy: what concerns the client's connection and what the client may not say is
/// removed, then what the proxy knows is set. Returns whether the client asks for a WebSocket.
///
/// # Errors
/// A [`Problem`].
pub(crate) fn forward(request: &mut Parts, authority: &str, facts: &Facts<'_>) -> Result<bool, Problem> {
    let fields = &mut request.headers;
    check_expectation(fields)?;
    if hop::tokens(fields, &header::VIA).any(|via| via.split(' ').nth(1) == Some(facts.pseudonym)) {
        return Err(Problem::Loop);
    }
    // Only WebSocket, and only from HTTP/1.1. `h2c` would open a second, unchecked way to the upstream.
    let websocket = request.version == Version::HTTP_11
        && facts.protocol == Protocol::Http1
        && request.method == Method::GET
        && hop::has(fields, &header::CONNECTION, "upgrade")
        && fields.get_all(header::UPGRADE).iter().count() == 1
        && fields.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let trailers = hop::has(fields, &header::TE, "trailers");
    hop::remove(fields);
    remove_spoken_for(fields);
    join_cookies(fields);
    for name in [header::EXPECT, header::CONTENT_LENGTH, header::HOST, header::TRAILER] {
        fields.remove(name);
    }
    set_forwarded(fields, authority, facts)?;
    let path = request.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    match facts.protocol {
        Protocol::Http1 => {
            let host = HeaderValue::from_str(authority).map_err(|_| Problem::Malformed)?;
            fields.insert(header::HOST, host);
            if websocket {
                fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            }
            if facts.unknown_length {
                fields.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            request.uri = Uri::from(path);
            request.version = Version::HTTP_11;
        }
        Protocol::H2c => {
            if trailers {
                fields.insert(header::TE, HeaderValue::from_static("trailers"));
            }
            let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path);
            request.uri = uri.build().map_err(|_| Problem::Malformed)?;
            request.version = Version::HTTP_2;
        }
    }
    Ok(websocket)
}

/// `100-continue` is answered by the proxy when the upstream takes the body (RFC 9110, section 10.1.1).
fn check_expectation(fields: &HeaderMap) -> Result<(), Problem> {
    match hop::tokens(fields, &header::EXPECT).all(|token| token.eq_ignore_ascii_case("100-continue")) {
        true => Ok(()),
        false => Err(Problem::Expectation),
    }
}

fn remove_spoken_for(fields: &mut HeaderMap) {
    let removed = |name: &HeaderName| {
        let plain = name.as_str().replace('_', "-");
        SPOKEN_FOR.contains(&plain.as_str())
            || PREFIXES.iter().any(|prefix| plain.starts_with(prefix))
            || (plain != name.as_str() && NO_ALIAS.contains(&plain.as_str()))
    };
    let names: Vec<HeaderName> = fields.keys().filter(|name| removed(name)).cloned().collect();
    for name in names {
        fields.remove(name);
    }
}

/// HTTP/2 may split cookies into several fields (RFC 9113, section 8.2.3).
fn join_cookies(fields: &mut HeaderMap) {
    let mut cookies = fields.get_all(header::COOKIE).iter();
    if let (Some(first), Some(_)) = (cookies.next(), cookies.next()) {
        let mut joined = first.as_bytes().to_vec();
        for more in fields.get_all(header::COOKIE).iter().skip(1) {
            joined.extend_from_slice(b"; ");
            joined.extend_from_slice(more.as_bytes());
        }
        // Both were parts of a field.
        if let Ok(joined) = HeaderValue::from_bytes(&joined) {
            fields.insert(header::COOKIE, joined);
        }
    }
}

/// Sets `Forwarded` (RFC 7239), what came before it, and `Via` (RFC 9110, section 7.6.3).
fn set_forwarded(fields: &mut HeaderMap, authority: &str, facts: &Facts<'_>) -> Result<(), Problem> {
    let client = facts.client.to_string();
    let node = if facts.client.is_ipv6() { format!("\"[{client}]\"") } else { client.clone() };
    let via = format!("{} {}", "1.1", facts.pseudonym);
    for (name, value) in [
        ("forwarded", format!("for={node};host=\"{authority}\";proto=https")),
        ("x-forwarded-for", client.clone()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-forwarded-host", authority.to_owned()),
        ("x-real-ip", client),
    ] {
        let value = HeaderValue::from_str(&value).map_err(|_| Problem::Malformed)?;
        fields.insert(HeaderName::from_static(name), value);
    }
    fields.append(header::VIA, HeaderValue::from_str(&via).map_err(|_| Problem::Malformed)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::parts;
    use super::*;

    fn facts(protocol: Protocol) -> Facts<'static> {
        let client = "192.0.2.7".parse().unwrap();
        Facts { client, pseudonym: "proxy-1", protocol, unknown_length: false }
    }

    fn sent(fields: &[(&str, &str)], protocol: Protocol) -> (Parts, bool) {
        let mut request = parts("GET", "/a?b=c", Version::HTTP_11, fields);
        let websocket = forward(&mut request, "a.test", &facts(protocol)).unwrap();
        (request, websocket)
    }

    #[test]
    fn what_a_client_says_of_itself_is_replaced() {
        let forged = [
            ("forwarded", "for=127.0.0.1"),
            ("x-forwarded-for", "127.0.0.1"),
            ("X_Forwarded_For", "127.0.0.1"),
            ("x-forwarded-host", "evil.test"),
            ("x-forwarded-prefix", "/evil"),
            ("x-real-ip", "127.0.0.1"),
            ("true-client-ip", "127.0.0.1"),
            ("remote-user", "admin"),
            ("remote_user", "admin"),
            ("x-original-url", "/admin"),
            ("content_length", "7"),
            ("proxy", "http://evil.test"),
            // By which the fields that the proxy sets would be removed again.
            ("connection", "x-forwarded-for, x-real-ip, forwarded, close, host, x-mine"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("x-other", "2"),
        ];
        let (request, _) = sent(&forged, Protocol::Http1);
        let mut left: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("forwarded", "for=192.0.2.7;host=\"a.test\";proto=https"),
                ("host", "a.test"),
                ("via", "1.1 proxy-1"),
                ("x-forwarded-for", "192.0.2.7"),
                ("x-forwarded-host", "a.test"),
                ("x-forwarded-proto", "https"),
                ("x-other", "2"),
                ("x-real-ip", "192.0.2.7"),
            ]
        );
        assert_eq!(request.uri, "/a?b=c");
    }

    #[test]
    fn an_address_of_version_6_is_quoted() {
        let mut request = parts("GET", "/", Version::HTTP_11, &[]);
        let facts = Facts { client: "2001:db8::1".parse().unwrap(), ..facts(Protocol::Http1) };
        forward(&mut request, "a.test", &facts).unwrap();
        let forwarded = &request.headers["forwarded"];
        assert_eq!(forwarded, "for=\"[2001:db8::1]\";host=\"a.test\";proto=https");
    }

    #[test]
    fn only_a_websocket_is_an_upgrade() {
        let upgrade = |to| [("connection", "keep-alive, Upgrade"), ("upgrade", to)];
        let (request, websocket) = sent(&upgrade("WebSocket"), Protocol::Http1);
        assert!(
            websocket
                && request.headers["upgrade"] == "websocket"
                && request.headers["connection"] == "upgrade"
        );
        for (fields, protocol) in [
            (upgrade("h2c"), Protocol::Http1),
            (upgrade("websocket, h2c"), Protocol::Http1),
            (upgrade("websocket"), Protocol::H2c),
            ([("connection", "close"), ("upgrade", "websocket")], Protocol::Http1),
        ] {
            let (request, websocket) = sent(&fields, protocol);
            assert!(!websocket && !request.headers.contains_key("upgrade"), "{fields:?}");
        }
    }

    #[test]
    fn cookies_are_joined_and_trailers_announced_for_grpc() {
        let fields = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers, deflate")];
        let (request, _) = sent(&fields, Protocol::H2c);
        assert_eq!(request.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
        assert_eq!(
            (request.headers["te"].to_str().unwrap(), request.uri.to_string()),
            ("trailers", "http://a.test/a?b=c".into())
        );
        assert!(!sent(&fields, Protocol::Http1).0.headers.contains_key("te"));
    }

    #[test]
    fn loops_and_unknown_expectations_are_refused() {
        for (field, problem) in
            [(("via", "2 other, 1.1 proxy-1"), Problem::Loop), (("expect", "x"), Problem::Expectation)]
        {
            let mut request = parts("GET", "/", Version::HTTP_11, &[field]);
            assert_eq!(forward(&mut request, "a.test", &facts(Protocol::Http1)), Err(problem));
        }
    }
}
