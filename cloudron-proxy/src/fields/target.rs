//! The host that a request is for.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Method, Version};

use crate::host::HostName;

/// A problem with a request, other than its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Malformed: 400.
    Malformed,
    /// An expectation other than `100-continue`: 417.
    Expectation,
    /// The request has been here before: 508.
    Loop,
    /// A method that the proxy does not pass on: 501.
    Method,
}

/// Returns the host of a request and the authority as the client wrote it. `None` for a request of HTTP/1.0 without a
/// host.
///
/// # Errors
/// [`Problem::Malformed`] if target and `Host` name two hosts (RFC 9112, section 3.2.2; RFC 9113, section 8.3.1), or one
/// that is none.
pub(crate) fn target(request: &Parts) -> Result<Option<(HostName, String)>, Problem> {
    if request.method == Method::CONNECT || request.method == Method::TRACE {
        return Err(Problem::Method);
    }
    if !request.uri.path_and_query().is_some_and(|p| p.as_str().bytes().all(|b| b.is_ascii_graphic())) {
        return Err(Problem::Malformed);
    }
    if request.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Problem::Malformed);
    }
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let (field, more) = (hosts.next(), hosts.next());
    let field = field.map(HeaderValue::to_str).transpose().map_err(|_| Problem::Malformed)?;
    let authority = match (request.uri.authority().map(Authority::as_str), field) {
        _ if more.is_some() => return Err(Problem::Malformed),
        (Some(authority), Some(field)) if !authority.eq_ignore_ascii_case(field) => {
            return Err(Problem::Malformed);
        }
        (Some(authority), _) => authority,
        (None, Some(field)) => field,
        (None, None) if request.version == Version::HTTP_10 => return Ok(None),
        (None, None) => return Err(Problem::Malformed),
    };
    let host = HostName::of_authority(authority).ok_or(Problem::Malformed)?;
    Ok(Some((host, authority.to_ascii_lowercase())))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn parts(method: &str, uri: &str, version: Version, fields: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(uri).version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn target_and_host_must_agree() {
        let of = |uri: &str, version, host: &[(&str, &str)]| target(&parts("GET", uri, version, host));
        let name = |text: &str| Ok(Some((HostName::parse(text).unwrap(), text.to_owned())));
        let host = [("host", "a.test")];
        assert_eq!(of("/", Version::HTTP_11, &host), name("a.test"));
        assert_eq!(of("https://A.test/", Version::HTTP_11, &host), name("a.test"));
        assert_eq!(of("https://a.test/", Version::HTTP_2, &[]), name("a.test"));
        assert_eq!(of("/", Version::HTTP_10, &[]), Ok(None));
        for (uri, version, fields) in [
            ("https://b.test/", Version::HTTP_11, &host[..]),
            ("https://b.test/", Version::HTTP_2, &host),
            ("https://user@a.test/", Version::HTTP_2, &[]),
            ("ftp://a.test/", Version::HTTP_11, &host),
            ("/", Version::HTTP_11, &[]),
            ("/", Version::HTTP_11, &[("host", "a.test"), ("host", "a.test")]),
            ("/", Version::HTTP_11, &[("host", "a.test/b")]),
            ("a.test", Version::HTTP_11, &host),
        ] {
            assert_eq!(of(uri, version, fields), Err(Problem::Malformed), "{uri} {fields:?}");
        }
        for method in ["CONNECT", "TRACE"] {
            assert_eq!(target(&parts(method, "/", Version::HTTP_11, &host)), Err(Problem::Method));
        }
    }
}
