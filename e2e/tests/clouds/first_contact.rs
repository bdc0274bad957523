//! What cloud-init, systemd and OpenSSH make of the user-data: the one-time host key, and the end of its use.

use std::sync::Arc;

use cloudron_core::{Cancel, Clock, Progress, Secret, SystemClock};
use cloudron_e2e::{Datacenter, available};
use cloudron_http::{HttpOptions, ReqwestTransport};
use cloudron_provision::cloud::{Login, remove_all};
use cloudron_provision::hetzner::{Hetzner, Settings};
use cloudron_provision::ssh::Auth;
use cloudron_provision::{CloudProvider, Context, Runner, Spec};
use cloudron_testkit::clouds::hetzner::Hetzner as Double;
use cloudron_testkit::sshd;

const DOMAIN: &str = "example.com";
const TOKEN: &str = "canary-6a1f-hetzner-token";

#[tokio::test(flavor = "multi_thread")]
async fn the_one_time_host_key_is_in_force_before_anything_listens_and_useless_afterwards() {
    if !available() {
        return;
    }
    let (datacenter, folder) = (Datacenter::new(), tempfile::tempdir().unwrap());
    let cloud = Double::start(TOKEN, datacenter.clone());
    let key = folder.path().join("id_ed25519");
    sshd::keygen(&key, "", "e2e");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let login = Login::new(Auth::key(key.to_str().unwrap()).without_agent(), clock.clone());
    let transport = Arc::new(ReqwestTransport::new(HttpOptions::default()).unwrap());
    let settings = Settings::new(std::fs::read_to_string(key.with_extension("pub")).unwrap());
    let provider = Hetzner::new(Secret::new(TOKEN), settings, login, transport, clock).unwrap();
    let provider = Arc::new(provider.at(cloud.endpoint()).unwrap());
    let spec = Spec {
        op: "create".into(),
        fqdn: DOMAIN.into(),
        provider: "hetzner".into(),
        inputs: serde_json::Value::Null,
    };
    let context = Context::new(DOMAIN, provider.clone());
    let steps = provider.steps(DOMAIN);
    let outputs = Runner::new(folder.path().join("runs")).run(spec, &steps, &context).await.unwrap();

    let server = datacenter.server();
    let lasting = outputs["host-key"]["host_key"].as_str().unwrap();
    let shown = server.exec_ok("cat /etc/ssh/ssh_host_ed25519_key.pub");
    assert_eq!(shown.split_whitespace().nth(1), lasting.split_whitespace().nth(1));
    assert_ne!(outputs["first-contact"]["host_key"], outputs["host-key"]["host_key"]);
    assert_eq!(server.exec_ok("hostname"), "my-example-com\n");
    assert!(server.exec_ok("sshd -T").contains("passwordauthentication no\n"));
    // The user-data named one key, and no other was made or is offered.
    let keys = server.exec_ok("sshd -T | grep ^hostkey; ls /etc/ssh/ssh_host_*_key");
    assert!(keys.contains("ssh_host_ed25519_key"), "{keys}");
    // cloud-init does not write the one-time key again when the machine starts anew.
    server.reboot();
    assert_eq!(server.exec_ok("cat /etc/ssh/ssh_host_ed25519_key.pub"), shown);
    provider.connect(&outputs).await.unwrap();

    let removed = remove_all(&*provider, DOMAIN, None, &Progress::none(), &Cancel::new()).await.unwrap();
    assert_eq!((removed.len(), cloud.resources(), datacenter.servers().len()), (3, Vec::new(), 0));
}
