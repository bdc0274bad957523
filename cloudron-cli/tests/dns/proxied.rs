//! Every DNS host behind a real forward proxy, with a certificate of a private authority.

use std::sync::Arc;

use cloudron_http::HttpTransport;
use cloudron_testkit::moto::Moto;
use cloudron_testkit::pdns::Pdns;
use cloudron_testkit::tinyproxy::Tinyproxy;
use cloudron_testkit::tls_front::{Authority, Identity, TlsFront};
use tokio::runtime::Runtime;

use crate::common::{Home, Run};
use crate::others::{Account, Reached, session};
use crate::rest::{Model, Service};
use crate::{cloudflare, hetzner, host, model};

/// A computer that reaches a host only through a proxy, and trusts an authority by a file.
struct Office {
    proxy: Tinyproxy,
    front: TlsFront,
    folder: tempfile::TempDir,
    host: String,
}

impl Office {
    /// Places it before a plain HTTP server, which then is the host of that name.
    fn before(server: &str, host: &str) -> Option<Self> {
        let authority = Authority::default();
        let front = TlsFront::start(
            &authority.identity(&[host]),
            server.trim_start_matches("http://").parse().unwrap(),
        );
        let proxy = Tinyproxy::start(front.address())?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Some(Self { proxy, front, folder, host: host.to_owned() })
    }

    /// Runs the whole session at the host's own address.
    fn session(&self, provider: &str, secrets: &[(&str, &str)], endpoint: Option<String>) {
        let mut variables = secrets.to_vec();
        variables.push(("CANARY_OF_THE_PROXY", Tinyproxy::PASSWORD));
        let ca_file = self.folder.path().join("ca.pem").display().to_string();
        let environment = vec![("HTTPS_PROXY", self.proxy.url()), ("SSL_CERT_FILE", ca_file)];
        session(&Account { provider, variables, endpoint, environment });
        let target = format!("{}:443", self.host);
        assert!(self.proxy.was_asked_for(&target));
        assert!(self.front.targets().iter().all(|t| *t == target), "{:?}", self.front.targets());
    }
}

/// Serves a host's model behind a socket. Returns its address.
fn plain(runtime: &Runtime, transport: Arc<dyn HttpTransport>) -> String {
    runtime.block_on(host::serve(transport, Arc::default()))
}

fn session_at<S: Service>(provider: &str, variable: &str, model: &Arc<Model<S>>) {
    let runtime = Runtime::new().unwrap();
    let server = plain(&runtime, Arc::new(Reached(model.clone())));
    let Some(office) = Office::before(&server, S::HOST) else { return };
    office.session(provider, &[(variable, S::TOKEN)], None);
    model.none_wrong();
}

#[test]
fn cloudflare_is_reached_through_a_proxy() {
    let model = Model::new(cloudflare::Cloudflare::default().with_zone(cloudflare::ZONE, "example.com"));
    session_at("cloudflare", "CLOUDFLARE_API_TOKEN", &model);
}

#[test]
fn hetzner_is_reached_through_a_proxy() {
    let model = Model::new(hetzner::Hetzner::default().with_zone(hetzner::ZONE, "example.com"));
    session_at("hetzner", "HETZNER_API_TOKEN", &model);
}

#[test]
fn digitalocean_is_reached_through_a_proxy() {
    let (runtime, host) = (Runtime::new().unwrap(), model::Model::new());
    host.zone("example.com");
    let Some(office) = Office::before(&plain(&runtime, host.clone()), "api.digitalocean.com") else { return };
    office.session("digitalocean", &[("DIGITALOCEAN_TOKEN", model::TOKEN)], None);
    assert_eq!(host.lock().violations, Vec::<String>::new());
}

#[test]
fn powerdns_is_reached_through_a_proxy() {
    let Some(server) = Pdns::start("", &["example.com".to_owned()], "") else { return };
    let Some(office) = Office::before(&server.endpoint(), "pdns.example") else { return };
    office.session("powerdns", &[("PDNS_API_KEY", Pdns::API_KEY)], Some("https://pdns.example".to_owned()));
}

#[cfg(feature = "route53")]
#[test]
fn route_53_is_reached_through_a_proxy() {
    let Some(moto) = Moto::start() else { return };
    let zone = "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>example.com.</Name>\
        <CallerReference>one</CallerReference></CreateHostedZoneRequest>";
    moto.request("route53", "POST", "/2013-04-01/hostedzone", &["Content-Type: text/xml"], zone);
    let Some(office) = Office::before(&moto.endpoint(), "route53.amazonaws.com") else { return };
    let secrets =
        [("AWS_ACCESS_KEY_ID", "canary-access-key-id"), ("AWS_SECRET_ACCESS_KEY", "canary-secret-key")];
    office.session("route53", &secrets, None);
}

/// `dns plan` for a model of Hetzner behind TLS on this computer.
struct Private {
    home: Home,
    front: TlsFront,
    _runtime: Runtime,
}

impl Private {
    fn new(identity: &Identity) -> Self {
        let model = Model::new(hetzner::Hetzner::default().with_zone(hetzner::ZONE, "example.com"));
        let runtime = Runtime::new().unwrap();
        let server = plain(&runtime, Arc::new(Reached(model)));
        let front = TlsFront::start(identity, server.trim_start_matches("http://").parse().unwrap());
        let home = Home::new();
        std::fs::write(home.path("zone"), "www A 192.0.2.1\n").unwrap();
        Self { home, front, _runtime: runtime }
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.home.path(name), text).unwrap();
        self.home.path(name).display().to_string()
    }

    fn plan(&self, options: &[&str], environment: &[(&str, &str)]) -> Run {
        let mut command = self.home.command();
        command.env("HETZNER_API_TOKEN", <hetzner::Hetzner as Service>::TOKEN);
        command.envs(environment.iter().copied());
        let endpoint = format!("https://localhost:{}/v1", self.front.address().port());
        command.args(["dns", "plan", "example.com", "--records", "zone", "--provider", "hetzner"]);
        Run::of(command.args(["--endpoint", &endpoint]).args(options).output().unwrap())
    }

    #[track_caller]
    fn works(&self, options: &[&str], environment: &[(&str, &str)]) {
        let run = self.plan(options, environment);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
        assert!(run.stdout.contains("+ www.example.com."), "{}", run.stdout);
    }
}

#[test]
fn a_private_authority_is_trusted_by_an_option_or_a_variable_and_no_other_one_is() {
    let (right, wrong) = (Authority::default(), Authority::default());
    let private = Private::new(&right.identity(&["localhost"]));
    let (right, wrong) = (private.file("ca.pem", &right.pem()), private.file("other.pem", &wrong.pem()));
    private.works(&["--ca-file", "ca.pem"], &[]);
    private.works(&[], &[("SSL_CERT_FILE", &right)]);
    // The proxy is not used for loopback.
    private.works(&["--ca-file", "ca.pem"], &[("ALL_PROXY", "http://127.0.0.1:1")]);
    // The system's certificates stay trusted.
    private.works(&["--ca-file", "ca.pem"], &[("SSL_CERT_FILE", &wrong)]);
    let before = private.front.connections();
    for (options, environment) in [
        (vec![], vec![]),
        (vec!["--ca-file", "other.pem"], vec![]),
        (vec![], vec![("SSL_CERT_FILE", wrong.as_str())]),
    ] {
        private.plan(&options, &environment).failed(4, "http-certificate", "localhost");
        assert!(private.plan(&options, &environment).stderr.contains("--ca-file"));
    }
    // A permanent error is not retried.
    assert_eq!(private.front.connections() - before, 6);
}

#[test]
fn a_certificate_that_a_host_signed_itself_is_trusted_as_it_is() {
    for authority in [false, true] {
        let identity = Identity::self_signed(&["localhost"], authority);
        let private = Private::new(&identity);
        let file = private.file("host.pem", &identity.pem());
        private.works(&["--ca-file", "host.pem"], &[]);
        private.works(&[], &[("SSL_CERT_FILE", &file)]);
        let other = Identity::self_signed(&["localhost"], authority).pem();
        private.file("other.pem", &other);
        private.plan(&["--ca-file", "other.pem"], &[]).failed(4, "http-certificate", "signed it");
    }
}

#[test]
fn a_trusted_certificate_for_another_name_is_refused() {
    for authority in [false, true] {
        let identity = Identity::self_signed(&["elsewhere.example"], authority);
        let private = Private::new(&identity);
        private.file("host.pem", &identity.pem());
        let run = private.plan(&["--ca-file", "host.pem"], &[]);
        assert!(!run.stderr.contains("next:"), "{}", run.stderr);
        run.failed(4, "http-certificate", "elsewhere.example");
    }
}

#[test]
fn a_file_or_a_variable_that_is_unusable_is_said() {
    let private = Private::new(&Authority::default().identity(&["localhost"]));
    let nothing = private.file("nothing.pem", "no certificate\n");
    private.plan(&["--ca-file", "nothing.pem"], &[]).failed(2, "http-ca-file", "nothing.pem");
    private.plan(&[], &[("SSL_CERT_FILE", &nothing)]).failed(2, "http-ca-file", "SSL_CERT_FILE");
    private.plan(&[], &[("SSL_CERT_FILE", "/nowhere/ca.pem")]).failed(2, "http-ca-file", "SSL_CERT_FILE");
    private.plan(&["--ca-file", "missing.pem"], &[]).failed(3, "file-missing", "missing.pem");
    private.plan(&[], &[("HTTPS_PROXY", "gopher://proxy")]).failed(2, "http-proxy", "HTTPS_PROXY");
    assert_eq!(private.front.connections(), 0);
}
