//! The same session at the other hosts with an interface.

use std::sync::Arc;

use cloudron_core::http::{HttpTransport, Request, Response};
use cloudron_testkit::canary::{Canary, assert_none};
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

/// Plans, writes, writes again, changes and exports a zone, and gives the export.
fn session<S: Service>(provider: &str, variable: &str, path: &str, model: &Arc<Model<S>>) -> String {
    let runtime = Runtime::new().unwrap();
    let transport: Arc<dyn HttpTransport> = Arc::new(Reached(model.clone()));
    let endpoint = runtime.block_on(host::serve(transport, Arc::default()));
    let home = Home::new();
    std::fs::write(home.path("zone"), ZONE).unwrap();
    let canary = Canary::new().secret("token", S::TOKEN);
    let run = |arguments: &[&str]| {
        let mut command = home.command();
        command.env(variable, S::TOKEN).arg("dns").args(arguments).args(["--provider", provider]);
        let endpoint = format!("{provider}={endpoint}{path}");
        let run = Run::of(command.args(["--endpoint", &endpoint]).output().unwrap());
        assert_eq!(run.code, 0, "{arguments:?}\n{}{}", run.stdout, run.stderr);
        assert_none(&canary.in_bytes("output", format!("{}{}", run.stdout, run.stderr).as_bytes()));
        assert_none(&canary.in_tree(home.dir()).unwrap());
        model.none_wrong();
        run.stdout
    };
    let wanted = ["example.com", "--records", "zone"];
    let apply = || run(&[&["apply"], &wanted[..], &["--yes"]].concat());
    let plan = run(&[&["plan"], &wanted[..]].concat());
    assert_eq!(plan.lines().count(), 3, "{plan}");
    assert_eq!(apply(), plan);
    assert_eq!(apply(), "= 3 record sets are right already\n");
    std::fs::write(home.path("zone"), ZONE.replace("192.0.2.25", "192.0.2.26")).unwrap();
    assert!(
        apply()
            .contains("- mail.example.com. 3600 IN A 192.0.2.25\n+ mail.example.com. 3600 IN A 192.0.2.26\n")
    );
    run(&["export", "example.com"])
}

#[test]
fn cloudflare_takes_the_whole_session() {
    let model = Model::new(cloudflare::Cloudflare::default().with_zone(cloudflare::ZONE, "example.com"));
    let exported = session("cloudflare", "CLOUDFLARE_API_TOKEN", "/client/v4", &model);
    assert!(exported.contains("mail\t3600\tIN\tA\t192.0.2.26\n"), "{exported}");
}

#[test]
fn hetzner_takes_the_whole_session() {
    let model = Model::new(hetzner::Hetzner::default().with_zone(hetzner::ZONE, "example.com"));
    let exported = session("hetzner", "HETZNER_API_TOKEN", "/v1", &model);
    assert!(exported.contains("mail\t3600\tIN\tA\t192.0.2.26\n"), "{exported}");
}
