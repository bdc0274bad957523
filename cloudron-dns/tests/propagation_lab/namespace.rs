//! A separate network for one test.

use std::net::Ipv4Addr;
use std::process::Command;

use cloudron_testkit::require;

const INSIDE: &str = "CLOUDRON_DNS_LAB";

/// Runs a test of this program in a new network namespace; skips it if a tool is missing or this is not permitted.
#[track_caller]
pub(crate) fn in_namespace(test: &str) {
    let tools = require::tools(["unshare", "ip", "named", "knotd", "knotc"]);
    let Some([unshare, ..]) = tools else { return };
    let permitted =
        Command::new(&unshare).args(["-Urn", "true"]).status().is_ok_and(|status| status.success());
    if !require::that(permitted, "network namespaces are not permitted") {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(unshare);
    command.arg("-Urn").arg(program).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{test}: {text}");
}

/// Returns whether this is a run in a namespace. Configures its loopback with these addresses: BIND only binds to
/// addresses of an interface.
pub(crate) fn inside(addresses: &[Ipv4Addr]) -> bool {
    if std::env::var_os(INSIDE).is_none() {
        return false;
    }
    let ip = |args: &[&str]| {
        let mut ip = Command::new(require::find("ip").unwrap());
        assert!(ip.args(args).status().unwrap().success(), "ip {args:?}");
    };
    ip(&["link", "set", "lo", "up"]);
    for address in addresses {
        ip(&["addr", "add", &format!("{address}/32"), "dev", "lo"]);
    }
    true
}
