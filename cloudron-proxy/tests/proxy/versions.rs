//! What differs between methods and versions of HTTP/1.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;

use crate::client::{rest, until};
use crate::running::Running;
use crate::upstream::{Recorder, saying, serve};

#[tokio::test]
async fn a_client_that_expects_100_is_told_to_continue_by_an_upstream_that_takes_the_body() {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let mut stream = proxy.tls("a.test", "http/1.1").await;
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let arrived = &upstream.take()[0];
    assert!(arrived.body == "abc" && !arrived.fields.contains_key("expect"));
}

#[tokio::test]
async fn a_response_to_head_has_the_length_and_no_body() {
    let upstream = serve(|request: Request<Incoming>| async move {
        assert_eq!(request.method(), "HEAD");
        Response::builder().header("content-length", 12_345).body(Full::new(Bytes::new())).unwrap()
    })
    .await;
    let proxy = Running::with(upstream).await;
    let head =
        "HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\nHEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let answer = proxy.raw(head).await;
    assert_eq!(answer.matches("content-length: 12345\r\n").count(), 2, "{answer}");
    assert_eq!(answer.matches("\r\n\r\n").count(), 2, "{answer}");
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_a_body_without_chunks() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let proxy = Running::with(saying(chunks, false).await).await;
    let answer = proxy.raw("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nabc"), "{answer}");
    assert!(!answer.contains("chunked"), "{answer}");
}

#[tokio::test]
async fn an_upstream_of_http_1_0_that_ends_its_body_by_closing_is_understood() {
    let proxy = Running::with(saying("HTTP/1.0 200 OK\r\n\r\nabc", true).await).await;
    let answer = proxy.raw("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\n3\r\nabc\r\n0\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_comes_one_byte_at_a_time_is_understood() {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let mut stream = proxy.tls("a.test", "http/1.1").await;
    let bytes = "\r\nPOST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                 3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n";
    for byte in bytes.bytes() {
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(upstream.take()[0].body, "abc");
}
