//! Amazon Route 53, as simulated by moto.

use cloudron_testkit::moto::Moto;

use crate::common::{Home, Run};

const SECRET: &str = "canary-secret-access-key";
const XML: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// A hosted zone for `example.com`, and a home with the account's credentials.
struct Account {
    moto: Moto,
    home: Home,
    /// The path of the zone in the interface.
    zone: String,
}

impl Account {
    fn new() -> Option<Self> {
        let moto = Moto::start()?;
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"{XML}\"><Name>example.com.</Name>\
             <CallerReference>one</CallerReference></CreateHostedZoneRequest>"
        );
        let answer =
            moto.request("route53", "POST", "/2013-04-01/hostedzone", &["Content-Type: text/xml"], &body);
        let id = answer.split("<Id>/hostedzone/").nth(1).unwrap().split('<').next().unwrap();
        let zone = format!("/2013-04-01/hostedzone/{id}");
        Some(Self { moto, home: Home::new(), zone })
    }

    /// Puts a set into the zone as somebody else would, with properties beyond a plain set.
    fn foreign(&self, name: &str, rtype: &str, more: &str, value: &str) {
        let body = format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"{XML}\"><ChangeBatch><Changes><Change><Action>CREATE</Action>\
             <ResourceRecordSet><Name>{name}.</Name><Type>{rtype}</Type>{more}<TTL>60</TTL><ResourceRecords>\
             <ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change>\
             </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        let path = format!("{}/rrset", self.zone);
        self.moto.request("route53", "POST", &path, &["Content-Type: text/xml"], &body);
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.home.command();
        command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.arg("dns").args(arguments).args(["--provider", "route53"]);
        let endpoint = format!("route53={}", self.moto.endpoint());
        let run = Run::of(command.args(["--endpoint", &endpoint]).output().unwrap());
        assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET));
        run
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}{}", run.stdout, run.stderr);
        run.stdout
    }
}

#[test]
fn a_hosted_zone_is_written_exported_and_left_alone_when_right() {
    let Some(account) = Account::new() else { return };
    let records = "* 300 A 192.0.2.1\n@ 300 TXT \"v=spf1 -all\"\n";
    std::fs::write(account.home.path("zone"), records).unwrap();
    let wanted = ["example.com", "--records", "zone"];
    let applied = account.ok(&[&["apply"], &wanted[..], &["--yes", "--wait", "insync"]].concat());
    assert!(applied.contains("+ *.example.com. 300 IN A 192.0.2.1\n"), "{applied}");
    let again = account.ok(&[&["plan", "--exit-code"], &wanted[..]].concat());
    assert_eq!(again, "= 2 record sets are right already\n");
    let exported = account.ok(&["export", "example.com"]);
    assert!(exported.contains("*\t300\tIN\tA\t192.0.2.1\n") && exported.contains("\tNS\t"), "{exported}");
}

#[test]
fn an_export_has_types_that_are_not_written_and_names_the_sets_that_have_no_form_in_a_zone_file() {
    let Some(account) = Account::new() else { return };
    account.foreign("a.example.com", "HTTPS", "", "1 . alpn=\"h2,h3\"");
    account.foreign("a.example.com", "NAPTR", "", r#"10 10 "u" "E2U+sip" "!^(.*)$!sip:\\1@x!" ."#);
    account.foreign("a.example.com", "SSHFP", "", "4 2 00112233");
    let export = account.ok(&["export", "example.com"]);
    for line in [
        "a\t60\tIN\tHTTPS\t1 . alpn=h2,h3\n",
        "a\t60\tIN\tNAPTR\t10 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1@x!\" .\n",
        "a\t60\tIN\tSSHFP\t4 2 00112233\n",
    ] {
        assert!(export.contains(line), "{line} is not in\n{export}");
    }

    for (id, weight, address) in [("one", 10, "192.0.2.71"), ("two", 20, "192.0.2.72")] {
        let more = format!("<SetIdentifier>{id}</SetIdentifier><Weight>{weight}</Weight>");
        account.foreign("w.example.com", "A", &more, address);
    }
    let run = account.run(&["export", "example.com"]);
    run.failed(
        9,
        "dns-export",
        "2 record sets have no form in a zone file: w.example.com. A [one], w.example.com. A [two]",
    );
    // Their addresses are not lost.
    for address in ["192.0.2.71", "192.0.2.72"] {
        assert!(run.stdout.lines().any(|l| l.starts_with(';') && l.contains(address)), "{}", run.stdout);
    }
    assert!(export.lines().all(|line| run.stdout.contains(line)), "{}", run.stdout);
}
