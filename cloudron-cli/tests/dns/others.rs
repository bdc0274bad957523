//! The same session at the other hosts with an interface.

use std::sync::Arc;

use cloudron_http::{HttpTransport, Request, Response};
use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::pdns::Pdns;
use tokio::runtime::Runtime;

use crate::common::{Home, Run};
use crate::rest::{Model, Service};
use crate::{cloudflare, hetzner, host};

const ZONE: &str = "$TTL 1h
@    MX  10 mail
@    TXT \"v=spf1 mx -all\"
mail A   192.0.2.25
";

/// A model that requests reach over a socket, on which they lose their host and the mark of their secret.
struct Reached<S>(Arc<Model<S>>);

#[async_trait::async_trait]
impl<S: Service> HttpTransport for Reached<S> {
    async fn send(&self, mut request: Request) -> cloudron_core::Result<Response> {
        let path = request.uri().path_and_query().unwrap();
        *request.uri_mut() = format!("https://{}{path}", S::HOST).parse().unwrap();
        request.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        self.0.send(request).await
    }
}

/// A host, and who speaks to it.
struct Account<'a> {
    provider: &'a str,
    variable: &'a str,
    token: &'a str,
    endpoint: String,
}

/// Plans, writes, writes again, changes and exports a zone, and gives the export.
fn session(account: &Account<'_>) -> String {
    let home = Home::new();
    std::fs::write(home.path("zone"), ZONE).unwrap();
    let canary = Canary::new().secret("token", account.token);
    let run = |arguments: &[&str]| {
        let mut command = home.command();
        command.env(account.variable, account.token);
        command.arg("dns").args(arguments).args(["--provider", account.provider]);
        let endpoint = format!("{}={}", account.provider, account.endpoint);
        let run = Run::of(command.args(["--endpoint", &endpoint]).output().unwrap());
        assert_eq!(run.code, 0, "{arguments:?}\n{}{}", run.stdout, run.stderr);
        assert_none(&canary.in_bytes("output", format!("{}{}", run.stdout, run.stderr).as_bytes()));
        assert_none(&canary.in_tree(home.dir()).unwrap());
        run.stdout
    };
    let wanted = ["example.com", "--records", "zone"];
    let apply = || run(&[&["apply"], &wanted[..], &["--yes"]].concat());
    let plan = run(&[&["plan"], &wanted[..]].concat());
    assert_eq!(plan.lines().count(), 3, "{plan}");
    assert_eq!(apply(), plan);
    assert_eq!(apply(), "= 3 record sets are right already\n");
    std::fs::write(home.path("zone"), ZONE.replace("192.0.2.25", "192.0.2.26")).unwrap();
    let moved = "- mail.example.com. 3600 IN A 192.0.2.25\n+ mail.example.com. 3600 IN A 192.0.2.26\n";
    assert!(apply().contains(moved));
    let exported = run(&["export", "example.com"]);
    assert!(exported.contains("mail\t3600\tIN\tA\t192.0.2.26\n"), "{exported}");
    exported
}

/// The same against a model of the host.
fn session_at<S: Service>(provider: &str, variable: &str, path: &str, model: &Arc<Model<S>>) {
    let runtime = Runtime::new().unwrap();
    let transport: Arc<dyn HttpTransport> = Arc::new(Reached(model.clone()));
    let endpoint = runtime.block_on(host::serve(transport, Arc::default())) + path;
    session(&Account { provider, variable, token: S::TOKEN, endpoint });
    model.none_wrong();
}

#[test]
fn cloudflare_takes_the_whole_session() {
    let model = Model::new(cloudflare::Cloudflare::default().with_zone(cloudflare::ZONE, "example.com"));
    session_at("cloudflare", "CLOUDFLARE_API_TOKEN", "/client/v4", &model);
}

#[test]
fn hetzner_takes_the_whole_session() {
    let model = Model::new(hetzner::Hetzner::default().with_zone(hetzner::ZONE, "example.com"));
    session_at("hetzner", "HETZNER_API_TOKEN", "/v1", &model);
}

#[test]
fn powerdns_takes_the_whole_session() {
    let Some(server) = Pdns::start("", &["example.com".to_owned()], "") else { return };
    let endpoint = server.endpoint();
    let account = Account { provider: "powerdns", variable: "PDNS_API_KEY", token: Pdns::API_KEY, endpoint };
    assert!(session(&account).contains("\tSOA\t"));
}
