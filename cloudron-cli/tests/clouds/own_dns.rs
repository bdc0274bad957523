//! The DNS hosts of the clouds, as far as the tests of machines need them.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::IntoResponse;
use cloudron_http::HttpTransport as _;
use cloudron_testkit::moto::Moto;

use crate::hetzner::Hetzner;
use crate::rest::{Model, Service};

const XML: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
const KIND: [&str; 1] = ["Content-Type: text/xml"];

/// Serves the model of Hetzner's DNS behind a socket. Returns its address.
pub(crate) async fn serve(model: Arc<Model<Hetzner>>) -> String {
    let handler = move |request: axum::extract::Request| {
        let model = model.clone();
        async move {
            let (mut head, body) = request.into_parts();
            // The model takes what the program sends to the real host, whose secret is marked.
            head.uri = format!("https://{}{}", Hetzner::HOST, head.uri).parse().unwrap();
            head.headers.values_mut().for_each(|value| value.set_sensitive(true));
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let answer = model.send(http::Request::from_parts(head, body)).await.expect("an answer");
            answer.map(Body::from).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/v1")
}

/// Makes a hosted zone at Route 53. Returns its path.
pub(crate) fn hosted_zone(moto: &Moto, name: &str) -> String {
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"{XML}\"><Name>{name}.</Name>\
         <CallerReference>one</CallerReference></CreateHostedZoneRequest>"
    );
    let answer = moto.request("route53", "POST", "/2013-04-01/hostedzone", &KIND, &body);
    let id = answer.split("<Id>/hostedzone/").nth(1).unwrap().split('<').next().unwrap();
    format!("/2013-04-01/hostedzone/{id}")
}

/// Puts a record into a hosted zone, as somebody else would.
pub(crate) fn put(moto: &Moto, zone: &str, (name, rtype, value): (&str, &str, &str)) {
    let name = name.replace('*', "\\052");
    let body = format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"{XML}\"><ChangeBatch><Changes><Change><Action>UPSERT</Action>\
         <ResourceRecordSet><Name>{name}.</Name><Type>{rtype}</Type><TTL>60</TTL><ResourceRecords>\
         <ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change>\
         </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    );
    moto.request("route53", "POST", &format!("{zone}/rrset"), &KIND, &body);
}

/// Returns the records of a hosted zone besides its own, as `my A 192.0.2.1`.
pub(crate) fn records(moto: &Moto, zone: &str, apex: &str) -> Vec<String> {
    let list = moto.request("route53", "GET", &format!("{zone}/rrset"), &[], "");
    let inside = |text: &str, tag: &str| -> Vec<String> {
        let begin = format!("<{tag}>");
        let parts = text.split(&begin).skip(1).map(|part| part.split('<').next().unwrap_or_default());
        parts.map(str::to_owned).collect()
    };
    let mut found = Vec::new();
    for set in list.split("<ResourceRecordSet>").skip(1) {
        let (name, rtype) =
            (inside(set, "Name").remove(0).replace("\\052", "*"), inside(set, "Type").remove(0));
        if rtype == "SOA" || rtype == "NS" {
            continue;
        }
        let name = name.trim_end_matches('.').trim_end_matches(apex).trim_end_matches('.');
        found.extend(inside(set, "Value").iter().map(|value| format!("{name} {rtype} {value}")));
    }
    found
}
