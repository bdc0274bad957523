//! Responses on their way to a client.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use http::{StatusCode, Version};

use super::hop;

/// Fields that a trailer section must not have, because they belong before the body (RFC 9110, section 6.5.1).
const NOT_TRAILERS: [HeaderName; 14] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::LOCATION,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::TRAILER,
    header::VIA,
    header::WWW_AUTHENTICATE,
];

/// Checks an upstream's response and removes what concerns its connection. Returns whether it can be passed on: its framing
/// must not be ambiguous (RFC 9112, section 6.3), for a client or a cache in front may read it in another way.
pub(crate) fn back(response: &mut Parts) -> bool {
    let fields = &mut response.headers;
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    let single = lengths.next().is_none()
        && length.is_none_or(|l| !l.is_empty() && l.as_bytes().iter().all(u8::is_ascii_digit));
    let mut codings = fields.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let plain = codings.next().is_none()
        && coding.is_none_or(|c| c.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && (coding.is_none() || response.version == Version::HTTP_11);
    if !single || !plain || (length.is_some() && coding.is_some()) || response.status.is_informational() {
        return false;
    }
    hop::remove(fields);
    if response.status == StatusCode::NO_CONTENT {
        fields.remove(header::CONTENT_LENGTH);
    }
    response.extensions.clear();
    true
}

/// Returns whether a response with status 101 switches to WebSocket. Its fields become those of this connection.
pub(crate) fn is_switch(response: &mut Parts) -> bool {
    let fields = &mut response.headers;
    let websocket = fields.get_all(header::UPGRADE).iter().count() == 1
        && hop::has(fields, &header::UPGRADE, "websocket")
        && hop::has(fields, &header::CONNECTION, "upgrade")
        && !fields.contains_key(header::TRANSFER_ENCODING)
        && !fields.contains_key(header::CONTENT_LENGTH);
    hop::remove(fields);
    fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    websocket
}

/// Removes from trailers what may not stand there.
pub(crate) fn trailers(fields: &mut HeaderMap) {
    hop::remove(fields);
    for name in NOT_TRAILERS {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(status: u16, version: Version, fields: &[(&str, &str)]) -> Parts {
        let mut response = http::Response::builder().status(status).version(version);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn fields_of_the_connection_stay_behind() {
        let fields = [
            ("connection", "close, x-hop"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("content-length", "3"),
            ("set-cookie", "a=b"),
        ];
        let mut response = parts(200, Version::HTTP_11, &fields);
        assert!(back(&mut response));
        let names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-length", "set-cookie"]);
    }

    #[test]
    fn an_ambiguous_response_is_not_passed_on() {
        let (length, chunked) = (("content-length", "3"), ("transfer-encoding", "chunked"));
        for (version, fields) in [
            (Version::HTTP_11, vec![length, chunked]),
            (Version::HTTP_11, vec![length, length]),
            (Version::HTTP_11, vec![length, ("content-length", "4")]),
            (Version::HTTP_11, vec![("content-length", "3, 3")]),
            (Version::HTTP_11, vec![("content-length", "+3")]),
            (Version::HTTP_11, vec![chunked, chunked]),
            (Version::HTTP_11, vec![("transfer-encoding", "gzip, chunked")]),
            (Version::HTTP_11, vec![("transfer-encoding", "identity")]),
            (Version::HTTP_10, vec![chunked]),
        ] {
            assert!(!back(&mut parts(200, version, &fields)), "{fields:?}");
        }
        assert!(back(&mut parts(200, Version::HTTP_11, &[chunked])));
        assert!(!back(&mut parts(103, Version::HTTP_11, &[])));
    }

    #[test]
    fn a_switch_is_to_what_was_asked_for() {
        let of = |fields: &[(&str, &str)]| is_switch(&mut parts(101, Version::HTTP_11, fields));
        assert!(of(&[("connection", "Upgrade"), ("upgrade", "websocket")]));
        assert!(!of(&[("connection", "Upgrade"), ("upgrade", "h2c")]));
        assert!(!of(&[("upgrade", "websocket")]));
        assert!(!of(&[]));
        assert!(!of(&[("connection", "upgrade"), ("upgrade", "websocket"), ("content-length", "9")]));
    }
}
