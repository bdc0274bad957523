//! The log over the HTTP API.

use std::time::Duration;

use http_body_util::BodyExt;

use super::machine::Machine;
use crate::api::LogLine;

#[tokio::test]
async fn the_last_lines_of_the_log_are_given_as_json() {
    let machine = Machine::new().await;
    tracing::info!("first-marker");
    tracing::info!(number = 7_u64, "second-marker");
    let answer = machine.admin().get("/api/v1/cloudron/logs?lines=1000").await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let lines: Vec<LogLine> = answer.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let at = |text: &str| lines.iter().position(|l| l.message == text).unwrap();
    assert!(at("first-marker") < at("second-marker"));
    assert_eq!(lines[at("second-marker")].fields["number"], 7);
    assert_eq!(machine.admin().get("/api/v1/cloudron/logs?lines=2").await.text().lines().count(), 2);
    assert_eq!(machine.admin().get("/api/v1/cloudron/logs?lines=0").await.text(), "");
}

#[tokio::test]
async fn a_followed_log_gives_new_lines_until_the_server_stops() {
    let mut machine = Machine::new().await;
    let path = "/api/v1/cloudron/logs?lines=0&follow=true";
    let mut body = machine.admin().open("GET", path, None, &[]).await.into_body();
    let (mut seen, mut n) = (String::new(), 0);
    while !seen.contains("follow-marker-3") {
        n += 1;
        tracing::info!("follow-marker-{n}");
        if let Ok(Some(Ok(frame))) = tokio::time::timeout(Duration::from_millis(400), body.frame()).await {
            seen.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
        assert!(n < 60, "no line came");
    }
    assert!(seen.find("follow-marker-2").unwrap() < seen.find("follow-marker-3").unwrap());
    let stopped = async {
        machine.stop().await;
        while let Some(Ok(_)) = body.frame().await {}
    };
    tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap();
}
