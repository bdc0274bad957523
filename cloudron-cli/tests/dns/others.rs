//! Sessions at other hosts with an API.

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

/// A model reached over a socket, which removes the requests' host and the mark of their secret.
pub struct Reached<S>(pub Arc<Model<S>>);

#[async_trait::async_trait]
impl<S: Service> HttpTransport for Reached<S> {
    async fn send(&self, mut request: Request) -> cloudron_core::Result<Response> {
        let path = request.uri().path_and_query().unwrap();
        *request.uri_mut() = format!("https://{}{path}", S::HOST).parse().unwrap();
        request.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        self.0.send(request).await
    }
}

/// An account at a host.
pub struct Account<'a> {
    pub provider: &'a str,
    /// The variables with the credentials, including those that must not be printed.
    pub variables: Vec<(&'a str, &'a str)>,
    /// The endpoint, if it is not the host's own.
    pub endpoint: Option<String>,
    /// Further variables.
    pub environment: Vec<(&'a str, String)>,
}

/// Plans, writes, writes again, changes and exports a zone. Returns the export.
pub fn session(account: &Account<'_>) -> String {
    let home = Home::new();
    std::fs::write(home.path("zone"), ZONE).unwrap();
    let mut canary = Canary::new();
    for (_, secret) in &account.variables {
        canary = canary.secret("credential", secret);
    }
    let run = |arguments: &[&str]| {
        let mut command = home.command();
        command.envs(account.variables.iter().copied());
        command.envs(account.environment.iter().map(|(name, value)| (name, value)));
        command.arg("dns").args(arguments).args(["--provider", account.provider]);
        if let Some(endpoint) = &account.endpoint {
            command.args(["--endpoint", &format!("{}={endpoint}", account.provider)]);
        }
        let run = Run::of(command.output().unwrap());
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

/// Runs the session against a model of the host.
fn session_at<S: Service>(provider: &str, variable: &str, path: &str, model: &Arc<Model<S>>) {
    let runtime = Runtime::new().unwrap();
    let transport: Arc<dyn HttpTransport> = Arc::new(Reached(model.clone()));
    let endpoint = runtime.block_on(host::serve(transport, Arc::default())) + path;
    let variables = vec![(variable, S::TOKEN)];
    session(&Account { provider, variables, endpoint: Some(endpoint), environment: Vec::new() });
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
    let (endpoint, variables) = (Some(server.endpoint()), vec![("PDNS_API_KEY", Pdns::API_KEY)]);
    let account = Account { provider: "powerdns", variables, endpoint, environment: Vec::new() };
    assert!(session(&account).contains("\tSOA\t"));
}
