//! Amazon Route 53, as moto plays it.

use cloudron_testkit::moto::Moto;

use crate::common::{Home, Run};

const SECRET: &str = "canary-secret-access-key";

#[test]
fn a_hosted_zone_is_written_exported_and_left_alone_when_right() {
    let Some(moto) = Moto::start() else { return };
    let zone = "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>example.com.</Name>\
        <CallerReference>one</CallerReference></CreateHostedZoneRequest>";
    moto.request("route53", "POST", "/2013-04-01/hostedzone", &["Content-Type: text/xml"], zone);
    let home = Home::new();
    std::fs::write(home.path("zone"), "* 300 A 192.0.2.1\n@ 300 TXT \"v=spf1 -all\"\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = home.command();
        command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.arg("dns").args(arguments).args(["--provider", "route53"]);
        let run =
            Run::of(command.args(["--endpoint", &format!("route53={}", moto.endpoint())]).output().unwrap());
        assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET));
        assert_eq!(run.code, 0, "{arguments:?}\n{}{}", run.stdout, run.stderr);
        run.stdout
    };
    let wanted = ["example.com", "--records", "zone"];
    let applied = run(&[&["apply"], &wanted[..], &["--yes", "--wait", "insync"]].concat());
    assert!(applied.contains("+ *.example.com. 300 IN A 192.0.2.1\n"), "{applied}");
    assert_eq!(run(&[&["plan", "--exit-code"], &wanted[..]].concat()), "= 2 record sets are right already\n");
    let exported = run(&["export", "example.com"]);
    assert!(exported.contains("*\t300\tIN\tA\t192.0.2.1\n") && exported.contains("\tNS\t"), "{exported}");
}
