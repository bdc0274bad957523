//! No record is lost silently: neither those that a server drops, nor those that an export cannot express.

use super::lab::{Lab, meaning};

/// Rare types, a type without a name, and unusual names and texts.
const ALL: &str = "loc LOC 52 22 23 N 4 53 32 E -2m\nh HTTPS 1 . alpn=\"h2,h3\" port=8443\ns SVCB 1 a.example.net.\n\
    n NAPTR 10 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1@x!\" .\nu URI 10 1 \"https://example.com/\"\n\
    f SSHFP 4 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\
    g TYPE65280 \\# 3 010203\nk OPENPGPKEY AQIDBAUGBwg=\nhi HINFO \"a b\" \"c\"\nrp RP a.example.net. b.example.net.\n\
    c CERT 1 0 0 AQIDBA==\na.*.b TXT inside\nt TXT \"a\" \"b\" \"\\000\\255\"\nsub NS ns.sub\nns.sub A 192.0.2.1\n";

#[test]
fn an_export_has_every_record_and_plans_to_nothing() {
    for lab in Lab::all() {
        // The records that the server accepts.
        let all: String = ALL
            .lines()
            .filter(|line| lab.name != "PowerDNS by HTTP" || !line.starts_with("a.*.b"))
            .filter(|line| lab.name != "PowerDNS by update" || !line.starts_with("g TYPE"))
            .map(|line| format!("{line}\n"))
            .collect();
        lab.apply(&all, &[]);
        let exported = lab.ok(&["export", "example.com"]);
        assert!(!exported.contains("\n;"), "{} has comments:\n{exported}", lab.name);
        lab.file("exported", &exported);
        let without_own: String = exported
            .lines()
            .filter(|l| !l.contains("\tSOA\t") && !l.contains("@\t3600\tIN\tNS"))
            .map(|l| format!("{l}\n"))
            .collect();
        assert_eq!(lab.zone(), meaning(&without_own), "{}", lab.name);
        assert_eq!(lab.zone(), meaning(&all), "{}", lab.name);
        let again = lab.ok(&["plan", "example.com", "--records", "exported", "--prune", "--exit-code"]);
        let number = all.lines().count();
        assert_eq!(again, format!("= {number} record sets are right already\n"), "{}", lab.name);
    }
}

#[test]
fn the_diff_shows_fields_rather_than_bytes() {
    let Some(lab) = Lab::bind() else { return };
    lab.file("zone", ALL);
    let plan = lab.ok(&["plan", "example.com", "--records", "zone"]);
    for line in [
        "+ f.example.com. 300 IN SSHFP 4 2 00112233",
        "+ h.example.com. 300 IN HTTPS 1 . alpn=h2,h3 port=8443",
        "+ loc.example.com. 300 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m",
        "+ g.example.com. 300 IN TYPE65280 \\# 3 010203",
    ] {
        assert!(plan.contains(line), "{line} is not in\n{plan}");
    }
}

#[test]
fn two_texts_that_join_to_the_same_are_one_value_and_that_is_said() {
    let Some(lab) = Lab::bind() else { return };
    lab.file("zone", "t TXT \"ab\"\nt TXT \"a\" \"b\"\nt TXT \"ab\"\n");
    let run = lab.run(&["plan", "example.com", "--records", "zone"]);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    assert!(run.stderr.contains("zone line 3: t.example.com. TXT is there once"), "{}", run.stderr);
}
