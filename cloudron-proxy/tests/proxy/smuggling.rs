//! Requests that two readers could understand differently. The advisories are named; each case was accepted by a proxy or a
//! server once.

use http::StatusCode;

use crate::client::{rest, until};
use crate::running::Running;
use crate::upstream::{Recorder, head, serve_raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Sends each of these, with a request hidden behind it. None of them, and nothing hidden, may reach the upstream as a whole.
async fn refused(cases: &[(&str, String)]) {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    for (name, bytes) in cases {
        let answer = proxy.raw(format!("{bytes}{SMUGGLED}")).await;
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answers == 1, "{name}: {answer}");
        for arrived in upstream.take() {
            assert_eq!(arrived.body, "broken", "{name}: {arrived:?}");
            assert!(!arrived.line.contains("smuggled"), "{name}: {arrived:?}");
        }
    }
    // The upstream's connections are not out of step.
    assert_eq!(proxy.get("a.test", "/after").await.status(), StatusCode::OK);
    assert_eq!(upstream.take().last().unwrap().line, "GET /after");
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /first HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n{body}")
}

#[tokio::test]
async fn a_length_beside_a_coding_is_refused() {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    refused(&[
        ("CL.TE", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunks)),
        ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunks)),
        ("TE.CL, length 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", chunks)),
        ("CL.0", post("Content-Length: 4\r\ntransfer-encoding:\tchunked\t\r\n", chunks)),
    ])
    .await;
}

#[tokio::test]
async fn a_length_that_is_no_number_or_occurs_twice_is_refused() {
    refused(&[
        (
            "twice, the same (RFC 9112, section 6.3)",
            post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
        ),
        ("twice, differing", post("Content-Length: 3\r\nContent-Length: 0\r\n", "abc")),
        ("a list", post("Content-Length: 3, 3\r\n", "abc")),
        ("a sign (RUSTSEC-2021-0078)", post("Content-Length: +3\r\n", "abc")),
        ("below zero", post("Content-Length: -3\r\n", "abc")),
        ("hexadecimal", post("Content-Length: 0x3\r\n", "abc")),
        ("blank inside", post("Content-Length: 3 0\r\n", "abc")),
        ("empty", post("Content-Length: \r\n", "abc")),
        ("beyond 64 bits", post("Content-Length: 18446744073709551619\r\n", "abc")),
        ("blank before the colon", post("Content-Length : 3\r\n", "abc")),
    ])
    .await;
}

#[tokio::test]
async fn a_coding_other_than_chunked_once_is_refused() {
    let chunks = "0\r\n\r\n";
    let with = |value: &str| post(&format!("Transfer-Encoding:{value}\r\n"), chunks);
    refused(&[
        ("RUSTSEC-2021-0020", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunks)),
        ("twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks)),
        ("RUSTSEC-2020-0031", with(" xchunked")),
        ("not last", with(" chunked, identity")),
        ("RUSTSEC-2026-0034, several", with(" identity, chunked")),
        ("gzip", with(" gzip, chunked")),
        ("twice in a list", with(" chunked, chunked")),
        ("quoted", with(" \"chunked\"")),
        ("vertical tab", with("\u{b}chunked")),
        ("form feed", with(" chunked\u{c}")),
        ("NUL", with(" chunked\0")),
        ("a byte above ASCII", with(" \u{a0}chunked")),
        ("parameter", with(" chunked;q=1")),
        ("blank before the colon", post("Transfer-Encoding : chunked\r\n", chunks)),
        ("CR before the colon", post("Transfer-Encoding\r: chunked\r\n", chunks)),
        ("in a folded line", post("X: y\r\n Transfer-Encoding: chunked\r\n", chunks)),
        ("value in a folded line", post("Transfer-Encoding:\r\n chunked\r\n", chunks)),
        ("behind a bare LF", post("X: y\nTransfer-Encoding: chunked\r\n", chunks)),
        ("behind a bare CR", post("X: y\rTransfer-Encoding: chunked\r\n", chunks)),
        (
            "RUSTSEC-2026-0034, HTTP/1.0",
            "POST /first HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn chunks_that_end_elsewhere_for_another_reader_are_refused() {
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    refused(&[
        ("size line ends with LF", chunked("3\nabc\r\n0\r\n\r\n")),
        ("size line ends with CR", chunked("3\rabc\r\n0\r\n\r\n")),
        ("data longer than said", chunked("2\r\nabc\r\n0\r\n\r\n")),
        ("data ends with LF", chunked("3\r\nabc\n0\r\n\r\n")),
        ("data without an end", chunked("3\r\nabc0\r\n\r\n")),
        ("extension with LF", chunked("3;x\nabc\r\n0\r\n\r\n")),
        ("extension with CR", chunked("3;x\ry\r\nabc\r\n0\r\n\r\n")),
        ("extension without an end", chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(20_000)))),
        ("blank before the extension", chunked("3 ;x\r\nabc\r\n0\r\n\r\n")),
        ("hexadecimal prefix", chunked("0x3\r\nabc\r\n0\r\n\r\n")),
        ("sign", chunked("+3\r\nabc\r\n0\r\n\r\n")),
        ("overflow (RUSTSEC-2021-0079)", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n")),
        ("overflow (RUSTSEC-2026-0181)", chunked("fffffffffffffffe\r\nabc\r\n0\r\n\r\n")),
        ("empty size", chunked("\r\n\r\n")),
        ("trailer ends with LF", chunked("0\r\nX: y\n\r\n")),
        ("trailer folded", chunked("0\r\nX: y\r\n z\r\n\r\n")),
        ("trailer without a colon", chunked("0\r\nGET /smuggled HTTP/1.1\r\n\r\n")),
    ])
    .await;
}

#[tokio::test]
async fn heads_that_another_reader_splits_differently_are_refused() {
    let host = "Host: a.test\r\n";
    refused(&[
        ("LF ends the request line", format!("GET / HTTP/1.1\n{host}\r\n")),
        ("LF ends a field", "GET / HTTP/1.1\r\nHost: a.test\n\r\n".to_owned()),
        ("LF ends the head", "GET / HTTP/1.1\r\nHost: a.test\r\n\n".to_owned()),
        ("CR in a field", format!("GET / HTTP/1.1\r\n{host}X: a\rb\r\n\r\n")),
        ("NUL in a field", format!("GET / HTTP/1.1\r\n{host}X: a\0b\r\n\r\n")),
        ("folded line", format!("GET / HTTP/1.1\r\n{host}X: a\r\n\tb\r\n\r\n")),
        ("folded first line", format!("GET / HTTP/1.1\r\n X: a\r\n{host}\r\n")),
        ("no colon", format!("GET / HTTP/1.1\r\n{host}X\r\n\r\n")),
        ("no name", format!("GET / HTTP/1.1\r\n{host}: x\r\n\r\n")),
        ("two hosts", format!("GET / HTTP/1.1\r\n{host}{host}\r\n")),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("host with a blank", "GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n".to_owned()),
        ("host with a path", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n".to_owned()),
        ("host with a user", "GET / HTTP/1.1\r\nHost: x@a.test\r\n\r\n".to_owned()),
        ("target names another host", format!("GET https://b.test/ HTTP/1.1\r\n{host}\r\n")),
        ("target is only a host", format!("GET a.test HTTP/1.1\r\n{host}\r\n")),
        ("blank in the target", format!("GET /a b HTTP/1.1\r\n{host}\r\n")),
        ("two blanks", format!("GET  / HTTP/1.1\r\n{host}\r\n")),
        ("tab", format!("GET\t/ HTTP/1.1\r\n{host}\r\n")),
        ("a byte above ASCII in the target", format!("GET /\u{e9} HTTP/1.1\r\n{host}\r\n")),
        ("HTTP/0.9", "GET /\r\n\r\n".to_owned()),
        ("preface of HTTP/2", "PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n".to_owned()),
    ])
    .await;
}

#[tokio::test]
async fn what_is_well_framed_passes_and_is_written_anew() {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let answer = proxy
        .raw(
            "\r\nPOST /1 HTTP/1.1\r\nHost: A.test\r\nTransfer-Encoding: Chunked\r\n\r\n\
             3;x=y\r\nabc\r\n0;z\r\nTrailer: t\r\n\r\n\
             POST /2 HTTP/1.1\r\nHost: a.test:443\r\nContent-Length: 04\r\n\r\nabcd\
             GET /3 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    let arrived = upstream.take();
    let seen: Vec<_> = arrived.iter().map(|a| (a.line.as_str(), a.body.as_str())).collect();
    assert_eq!(seen, [("POST /1", "abc"), ("POST /2", "abcd"), ("GET /3", "")]);
    assert_eq!(arrived[1].fields["content-length"], "4");
    assert!(!arrived[2].fields.contains_key("content-length"));
}

#[tokio::test]
async fn a_body_with_a_get_is_framed() {
    // RUSTSEC-2020-0008: without framing, the body would be the next request.
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let get = format!(
        "GET /1 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
    );
    assert!(proxy.raw(get).await.starts_with("HTTP/1.1 200 OK"));
    let arrived = upstream.take();
    assert_eq!((arrived.len(), arrived[0].body.as_str()), (1, SMUGGLED));
}

#[tokio::test]
async fn nothing_follows_an_upgrade_before_the_upstream_switches() {
    // RUSTSEC-2026-0033: what came after the request was passed on before a 101.
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let upgrade = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let bad = "GET /smuggled HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n";
    let answer = proxy.raw(format!("{upgrade}{bad}")).await;
    // The upstream says 200, so that what follows is a request, and checked as one.
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("HTTP/1.1 400 "), "{answer}");
    let arrived = upstream.take();
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    // A well-formed one is answered, as a request of its own with the proxy's fields.
    let next = "GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    let answer = proxy.raw(format!("{upgrade}{next}")).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    let arrived = upstream.take();
    assert_eq!(arrived[1].fields["x-forwarded-for"], "127.0.0.1");
}

#[tokio::test]
async fn an_upgrade_to_anything_but_websocket_stays_a_request() {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let upgrade = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    assert!(proxy.raw(upgrade).await.starts_with("HTTP/1.1 200 OK"));
    let arrived = &upstream.take()[0];
    assert!(
        ["upgrade", "http2-settings", "connection"].iter().all(|name| !arrived.fields.contains_key(*name))
    );
}

#[tokio::test]
async fn bytes_before_the_switch_reach_the_other_protocol_after_it() {
    let upstream = serve_raw(|mut stream| async move {
        head(&mut stream).await;
        let mut early = [0; 1];
        let nothing =
            tokio::time::timeout(std::time::Duration::from_millis(200), stream.read(&mut early)).await;
        assert!(nothing.is_err(), "bytes before the 101");
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(switch.as_bytes()).await.unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    })
    .await;
    let proxy = Running::with(upstream).await;
    let mut stream = proxy.tls("a.test", "http/1.1").await;
    let upgrade =
        "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\0\n\rxy";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let answer = until(&mut stream, "xy").await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n\0\n\rxy"), "{answer}");
    assert_eq!(rest(&mut stream).await, "");
}
