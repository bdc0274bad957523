//! Signatures of requests (AWS Signature Version 4).

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use cloudron_core::{Error, Result, codes};
use cloudron_http::Request;
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};

use super::{Credentials, Region, Service};

/// Builds a signed POST request.
pub(super) fn post(
    service: Service,
    region: &Region,
    credentials: &Credentials,
    (endpoint, headers, body): (&str, &[(&'static str, &str)], Bytes),
    now: SystemTime,
) -> Result<Request> {
    let unusable = |what: String| Error::new(&codes::USAGE, format!("{}: {what}", service.name()));
    let session = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
    let secret = credentials.secret_access_key.expose();
    let identity =
        aws_credential_types::Credentials::new(&credentials.access_key_id, secret, session, None, "cloudron")
            .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.signing(service))
        .name(service.name())
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .expect("all parameters are set")
        .into();
    let url = format!("{endpoint}/");
    // The body may hold user data, which the signer writes to a log if the environment says so: it gets the hash only.
    let hash = SignableBody::Precomputed(hex::encode(Sha256::digest(&body)));
    let signable = SignableRequest::new("POST", &*url, headers.iter().copied(), hash);
    let signature = signable.and_then(|request| sign(request, &params));
    // The error might hold a header.
    let (signature, _) = signature.map_err(|_| unusable("the request cannot be signed".into()))?.into_parts();
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = url.parse().map_err(|e| unusable(format!("{url}: {e}")))?;
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|e| unusable(format!("{name}: {e}")))?;
        request.headers_mut().insert(*name, value);
    }
    for header in signature.into_parts().0 {
        let mut value = HeaderValue::from_str(header.value())
            .map_err(|_| unusable("credentials have characters that none have".into()))?;
        value.set_sensitive(header.name() != "x-amz-date");
        request.headers_mut().insert(header.name(), value);
    }
    agent(request.headers_mut());
    Ok(request)
}

fn agent(headers: &mut HeaderMap) {
    let agent = concat!("cloudron/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
}
