//! `cloudron dns check --mail` for configurations made by other tools.

use std::sync::OnceLock;

use cloudron_dns::{RecordSet, RecordType as T};
use tokio::runtime::Runtime;

use crate::common::{Home, Run};
use crate::name_server::{DnsServer, set};

const KEY: &str = include_str!("../../../cloudron-dns/tests/support/dkim-2048.txt");

/// Returns the records that other tools set for a machine at 192.0.2.1, with additional ones.
fn zone(more: &[(&str, T, &[&str])]) -> Vec<RecordSet> {
    let base: [(&str, T, &[&str]); 4] = [
        ("my.example.com", T::A, &["192.0.2.1"]),
        ("*.example.com", T::A, &["192.0.2.1"]),
        ("example.com", T::MX, &["10 my.example.com"]),
        ("_dmarc.example.com", T::TXT, &["v=DMARC1; p=reject"]),
    ];
    let all = base.into_iter().filter(|(name, rtype, _)| !more.iter().any(|m| (m.0, m.1) == (*name, *rtype)));
    all.chain(more.iter().copied()).map(|(name, rtype, values)| set(name, rtype, values)).collect()
}

fn check(sets: Vec<RecordSet>, more: &[&str]) -> Run {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    let server = runtime.block_on(DnsServer::start("example.com", sets));
    let (home, dkim) = (Home::new(), format!("sel={}", KEY.trim()));
    let server = server.address.to_string();
    let base = ["dns", "check", "example.com", "--ip", "192.0.2.1", "--mail", "--dkim", &dkim];
    home.run(&[&base[..], &["--name-server", &server], more].concat())
}

#[test]
fn records_that_mean_the_same_are_right() {
    let spf = |text: &'static str| ("example.com", T::TXT, &*Box::leak(Box::new([text])) as &[&str]);
    let key = KEY.trim();
    let dkim = |text: String| {
        ("sel._domainkey.example.com", T::TXT, &*Box::leak(Box::new([&*text.leak()])) as &[&str])
    };
    let plain = || dkim(format!("v=DKIM1; k=rsa; p={key}"));
    for (records, why) in [
        (vec![spf("v=spf1 a:my.example.com ~all"), plain()], "as it would be written here"),
        (vec![spf("v=spf1 mx -all"), plain()], "SPF by mx"),
        (vec![spf("v=spf1 ip4:192.0.2.0/24 -all"), plain()], "SPF by ip4"),
        (
            vec![
                spf("v=spf1 redirect=_spf.example.com"),
                ("_spf.example.com", T::TXT, &["v=spf1 a:my.example.com -all"]),
                plain(),
            ],
            "SPF by redirect",
        ),
        (vec![spf("v=spf1 mx -all"), dkim(format!("p={key}"))], "a key alone"),
        (
            vec![
                spf("v=spf1 mx -all"),
                dkim(format!("v=DKIM1; h=sha256; n=a note; t=s; p={} {}", &key[..90], &key[90..])),
            ],
            "a key with other tags and a blank",
        ),
        (
            vec![
                spf("v=spf1 mx -all"),
                ("sel._domainkey.example.com", T::CNAME, &["k1.dkim.example.com"]),
                ("k1.dkim.example.com", T::TXT, dkim(format!("k=rsa; p={key}")).2),
            ],
            "a key behind a CNAME",
        ),
        (
            vec![
                spf("v=spf1 mx -all"),
                plain(),
                ("example.com", T::MX, &["5 mail.example.com"]),
                ("mail.example.com", T::A, &["192.0.2.1"]),
            ],
            "another name of this server",
        ),
    ] {
        let run = check(zone(&records), &[]);
        assert_eq!(run.code, 0, "{why}\n{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn what_receivers_cannot_use_fails_in_both_parts() {
    let key = KEY.trim();
    let spf: (&str, T, &[&str]) = ("example.com", T::TXT, &["v=spf1 mx -all"]);
    for (text, says) in [
        (format!("v=DKIM1; h=sha1; p={key}"), "sha256"),
        (format!("v=DKIM1; s=other; p={key}"), "not for mail"),
        ("v=DKIM1; p=".to_owned(), "retired"),
    ] {
        let run = check(zone(&[spf, ("sel._domainkey.example.com", T::TXT, &[&text])]), &[]);
        assert_eq!(run.code, 10, "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("fail") && run.stdout.contains(says), "{}", run.stdout);
    }
    // A mail server elsewhere may be intended; a missing key is not.
    let run = check(zone(&[spf]), &[]);
    assert!(run.code == 10 && run.stdout.contains("it has no key record"), "{}", run.stdout);
}

#[test]
fn a_broken_spf_or_dmarc_record_is_shown_with_what_is_wrong_and_no_advice_to_delete_it() {
    let dkim = format!("v=DKIM1; p={}", KEY.trim());
    let dkim: (&str, T, &[&str]) = ("sel._domainkey.example.com", T::TXT, &[&dkim]);
    let two = check(zone(&[dkim, ("example.com", T::TXT, &["v=spf1 mx -all", "v=spf1 a -all"])]), &[]);
    assert_eq!(two.code, 10, "{}", two.stdout);
    assert!(two.stdout.contains("which has to be corrected: "), "{}", two.stdout);
    assert!(!two.stdout.contains("should have nothing"), "{}", two.stdout);
    // A receiver stops after ten look-ups.
    let names: Vec<String> = (0..11).map(|n| format!("i{n}.example.com")).collect();
    let mut many: Vec<(&str, T, &[&str])> =
        names.iter().map(|name| (&**name, T::TXT, &["v=spf1 ?all"] as &[&str])).collect();
    let includes = format!("v=spf1 include:{} mx -all", names.join(" include:"));
    let includes: [&str; 1] = [&includes];
    many.extend([dkim, ("example.com", T::TXT, &includes)]);
    let many = check(zone(&many), &[]);
    assert_eq!(many.code, 10, "{}", many.stdout);
    assert!(many.stdout.contains("which has to be corrected: "), "{}", many.stdout);
    assert!(many.stdout.contains("look-ups"), "{}", many.stdout);
    assert!(!many.stdout.contains("should have nothing"), "{}", many.stdout);
    let spf: (&str, T, &[&str]) = ("example.com", T::TXT, &["v=spf1 mx -all"]);
    let record = "v=DMARC1; p=reject; sp:none; rua=mailto:a@example.com";
    let run = check(zone(&[spf, dkim, ("_dmarc.example.com", T::TXT, &[record])]), &[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(run.stdout.contains("the policy is reject; receivers ignore \"sp:none\""), "{}", run.stdout);
    let run = check(zone(&[spf, dkim, ("_dmarc.example.com", T::TXT, &["V=DMARC1; p=reject"])]), &[]);
    assert_eq!(run.code, 10, "{}", run.stdout);
    assert!(run.stdout.contains("_dmarc.example.com. has \"V=DMARC1; p=reject\""), "{}", run.stdout);
}
