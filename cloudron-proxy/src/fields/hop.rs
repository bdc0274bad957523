//! Fields that concern one connection only (RFC 9110, section 7.6.1).

use http::header::{self, HeaderMap, HeaderName};

/// Fields that are removed whether or not `Connection` names them. `TE` and `Upgrade` are set again where they apply.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
];

/// Removes the fields of this connection, with those that `Connection` names.
pub(super) fn remove(fields: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(fields, &header::CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        // Naming these would change what the message is.
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    for name in named {
        fields.remove(name);
    }
    for name in HOP_BY_HOP {
        fields.remove(name);
    }
    fields.remove("proxy-connection");
}

/// Returns the members of a field that is a list of tokens.
pub(super) fn tokens<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = fields.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// Returns whether a list of tokens has that one, in any case.
pub(super) fn has(fields: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(fields, name).any(|member| member.eq_ignore_ascii_case(token))
}
