//! HTTP/2 that no library would send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use http::StatusCode;

use crate::client::PATIENCE;
use crate::raw_h2::{self, Field, Outcome};
use crate::running::Running;
use crate::upstream::Recorder;

/// Sends a request and returns what the proxy does.
async fn ask(proxy: &Running, fields: &[Field<'_>], body: Option<&[u8]>) -> Outcome {
    let mut stream = proxy.tls("a.test", "h2").await;
    let mut bytes = raw_h2::opening(fields, body.is_none());
    bytes.extend(raw_h2::acknowledge());
    bytes.extend(body.map(|body| raw_h2::data(body, true)).unwrap_or_default());
    stream.write_all(&bytes).await.unwrap();
    let mut back = Vec::new();
    loop {
        if let Some(outcome) = raw_h2::outcome(&back) {
            return outcome;
        }
        let mut part = [0; 4096];
        match timeout(PATIENCE, stream.read(&mut part)).await.unwrap() {
            Ok(0) | Err(_) => return Outcome::Refused,
            Ok(count) => back.extend_from_slice(&part[..count]),
        }
    }
}

fn with<'a>(name: &'a [u8], value: &'a [u8]) -> Vec<Field<'a>> {
    let mut fields = raw_h2::get("a.test");
    match fields.iter_mut().find(|(own, _)| *own == name) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
    fields
}

#[tokio::test]
async fn nothing_is_injected_into_the_request_behind() {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    assert_eq!(ask(&proxy, &raw_h2::get("a.test"), None).await, Outcome::Response(0x88), "a good one passes");
    upstream.take();
    let smuggled = b"/ HTTP/1.1\r\nHost: a.test\r\n\r\nGET /smuggled HTTP/1.1\r\nX: ";
    let twice = [raw_h2::get("a.test"), raw_h2::get("a.test")].concat();
    let late = [vec![(&b"x"[..], &b"y"[..])], raw_h2::get("a.test")].concat();
    for (name, fields) in [
        ("path with a request", with(b":path", smuggled)),
        ("path with a blank", with(b":path", b"/x HTTP/1.1")),
        ("path with LF", with(b":path", b"/x\ny")),
        ("path with NUL", with(b":path", b"/x\0y")),
        ("path above ASCII", with(b":path", b"/\xc3\xa9")),
        ("empty path", with(b":path", b"")),
        ("path of another host", with(b":path", b"http://b.test/")),
        ("method with a request", with(b":method", b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET")),
        ("method with a blank", with(b":method", b"GET /x")),
        ("empty method", with(b":method", b"")),
        ("authority with CRLF", with(b":authority", b"a.test\r\nX: y")),
        ("authority with a path", with(b":authority", b"a.test/x")),
        ("authority with a user", with(b":authority", b"x@a.test")),
        ("scheme with a host", with(b":scheme", b"https://b.test/?")),
        ("scheme with CRLF", with(b":scheme", b"https\r\nX: y")),
        ("unknown pseudo-field", with(b":x", b"y")),
        ("pseudo-field of responses", with(b":status", b"200")),
        ("pseudo-fields twice", twice),
        ("pseudo-fields late", late),
        ("another host (RFC 9113, section 8.3.1)", with(b"host", b"b.test")),
        ("value with CRLF", with(b"x", b"y\r\nTransfer-Encoding: chunked")),
        ("value with LF", with(b"x", b"y\nz")),
        ("value with CR", with(b"x", b"y\rz")),
        ("value with NUL", with(b"x", b"y\0z")),
        ("name with CRLF", with(b"x: y\r\nTransfer-Encoding", b"chunked")),
        ("name with a colon", with(b"transfer-encoding: chunked\r\nx", b"y")),
        ("name with a blank", with(b"transfer-encoding ", b"chunked")),
        ("name in upper case", with(b"X", b"y")),
        ("empty name", with(b"", b"y")),
        ("coding (RFC 9113, section 8.2.2)", with(b"transfer-encoding", b"chunked")),
        ("connection", with(b"connection", b"upgrade")),
        ("upgrade", with(b"upgrade", b"h2c")),
        ("keep-alive", with(b"keep-alive", b"x")),
        ("te", with(b"te", b"chunked")),
        (
            "extended CONNECT (RFC 8441)",
            [with(b":method", b"CONNECT"), vec![(&b":protocol"[..], &b"websocket"[..])]].concat(),
        ),
    ] {
        let outcome = ask(&proxy, &fields, None).await;
        assert_ne!(outcome, Outcome::Response(0x88), "{name}");
        let arrived = upstream.take();
        assert!(arrived.is_empty(), "{name}: {arrived:?}");
    }
}

#[tokio::test]
async fn a_length_must_be_that_of_the_data() {
    // H2.CL: the upstream would take the rest for another request.
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let post = |length: &'static [u8]| {
        let mut fields = with(b":method", b"POST");
        fields.push((b"content-length", length));
        fields
    };
    assert_eq!(ask(&proxy, &post(b"3"), Some(b"abc")).await, Outcome::Response(0x88));
    assert_eq!(upstream.take()[0].body, "abc");
    let twice = [post(b"3"), vec![(&b"content-length"[..], &b"0"[..])]].concat();
    for (name, fields) in [
        ("0", post(b"0")),
        ("short", post(b"2")),
        ("long", post(b"60")),
        ("a sign", post(b"+3")),
        ("no number", post(b"3x")),
        ("twice", twice),
    ] {
        assert_ne!(ask(&proxy, &fields, Some(b"abc")).await, Outcome::Response(0x88), "{name}");
        for arrived in upstream.take() {
            assert_eq!(arrived.body, "broken", "{name}: {arrived:?}");
        }
    }
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn floods_of_frames_end_the_connection() {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let empty = raw_h2::data(b"", false).repeat(100_000);
    let resets: Vec<u8> = (0..2000).flat_map(|n| raw_h2::rapid_reset(3 + 2 * n)).collect();
    for (name, flood) in [
        ("continued head (CVE-2024-27316)", raw_h2::endless_head(20_000)),
        ("resets (CVE-2023-44487)", resets),
        ("empty data (RUSTSEC-2026-0258)", empty),
    ] {
        let mut stream = proxy.tls("a.test", "h2").await;
        let post = with(b":method", b"POST");
        let open = raw_h2::opening(&post, false);
        // Without a request of its own, where the flood is one.
        let open = if name.starts_with("continued") { open[..24 + 15 + 13].to_vec() } else { open };
        let sending = async {
            let _ = stream.write_all(&[open, raw_h2::acknowledge(), flood].concat()).await;
            let mut back = [0; 4096];
            while matches!(stream.read(&mut back).await, Ok(1..)) {}
        };
        // Either the proxy ends it, or it waits for more with nothing piled up.
        let _ = timeout(std::time::Duration::from_secs(3), sending).await;
        assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::OK, "{name}");
        let reached = upstream.take().len();
        assert!(reached < 1200, "{name}: {reached} requests");
    }
}
