//! The plain port.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::rest;
use crate::running::{Running, settings, to};

async fn plain(proxy: &Running, bytes: &str) -> String {
    let mut stream = TcpStream::connect(proxy.plain).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

async fn proxy(port: u16) -> Running {
    let mut settings = settings();
    settings.https_port = port;
    settings.challenges.insert("token-1", "token-1.thumbprint");
    Running::of(settings, &[("a.test", to("127.0.0.1:1".parse().unwrap()))]).await
}

#[tokio::test]
async fn known_hosts_are_redirected_and_others_are_not() {
    let location = |answer: String| {
        assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
        let line = answer.lines().find_map(|line| line.strip_prefix("location: ").map(str::to_owned));
        line.unwrap()
    };
    let usual = proxy(443).await;
    assert_eq!(location(plain(&usual, &get("/a?b=c", "A.test:80")).await), "https://a.test/a?b=c");
    assert_eq!(location(plain(&usual, &get("//evil.test/", "a.test")).await), "https://a.test//evil.test/");
    assert_eq!(location(plain(&usual, &get("http://a.test/x", "a.test")).await), "https://a.test/x");
    assert_eq!(location(plain(&proxy(8443).await, &get("/", "a.test")).await), "https://a.test:8443/");
    for bytes in [get("/", "evil.test"), "GET / HTTP/1.0\r\n\r\n".to_owned()] {
        let answer = plain(&usual, &bytes).await;
        assert!(answer.split(' ').nth(1) == Some("404"), "{answer}");
    }
    for bytes in
        [get("http://evil.test/", "a.test"), "GET / HTTP/1.1\nHost: a.test\n\n".to_owned(), get("/", "")]
    {
        assert!(plain(&usual, &bytes).await.starts_with("HTTP/1.1 400 "), "{bytes:?}");
    }
}

#[tokio::test]
async fn challenges_are_answered_for_any_host_until_they_are_removed() {
    let settings = settings();
    let challenges = settings.challenges.clone();
    let proxy = Running::of(settings, &[]).await;
    let path = "/.well-known/acme-challenge/abc";
    assert!(plain(&proxy, &get(path, "new.test")).await.starts_with("HTTP/1.1 404 "));
    challenges.insert("abc", "abc.thumbprint");
    let answer = plain(&proxy, &get(path, "new.test")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nabc.thumbprint"), "{answer}");
    assert!(
        plain(&proxy, &get("/.well-known/acme-challenge/", "new.test")).await.starts_with("HTTP/1.1 404 ")
    );
    assert!(
        plain(&proxy, &get("/.well-known/acme-challenge/../abc", "a")).await.starts_with("HTTP/1.1 404 ")
    );
    challenges.remove("abc");
    assert!(plain(&proxy, &get(path, "new.test")).await.starts_with("HTTP/1.1 404 "));
}
