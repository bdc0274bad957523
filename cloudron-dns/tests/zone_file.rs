//! Zone files: accepted and refused input, and round trips.

#![allow(missing_docs)]

use cloudron_dns::zone_file::{MAX_ENTRY, ReadOptions, ZoneFile, from_json, read, read_any, write};
use cloudron_dns::{Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Text, Ttl, codes};
use cloudron_testkit::require;
use proptest::prelude::*;

fn zone() -> Name {
    Name::parse("example.com").unwrap()
}

fn parse(text: impl AsRef<[u8]>) -> cloudron_dns::Result<ZoneFile> {
    read(text.as_ref(), &ReadOptions::new(zone()))
}

/// Returns the records of a zone file, one per line.
#[track_caller]
fn lines(text: impl AsRef<[u8]>) -> Vec<String> {
    let sets = parse(text).unwrap().sets;
    sets.iter().flat_map(|set| set.to_string().lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

const RFC1035: &str = "@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        NS      VAXA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32

VAXA    A       10.2.0.27
        A       128.9.0.33
";

#[test]
fn the_example_of_the_standard_is_read() {
    let read = parse(RFC1035).unwrap();
    let of = |name: &str, rtype| {
        let key = RecordKey::new(Name::parse(name).unwrap(), rtype);
        read.sets.iter().find(|set| *set.key() == key).unwrap().clone()
    };
    assert_eq!(of("example.com", RecordType::NS).values().len(), 3);
    assert_eq!(of("venera.example.com", RecordType::A).values().len(), 2);
    let soa = of("example.com", RecordType::SOA);
    // No time to live is stated anywhere: the SOA record's minimum counts for all.
    assert!(read.sets.iter().all(|set| set.ttl().seconds() == 60));
    let text = write(&zone(), &[Observed::Plain(soa)]);
    assert!(
        text.ends_with(
            "@\t60\tIN\tSOA\tvenera.example.com. action\\046domains.example.com. 20 7200 600 3600000 60\n"
        ),
        "{text}"
    );
}

#[test]
fn times_to_live_come_from_the_record_the_directive_or_the_record_before() {
    let text = "a A 192.0.2.1\nb 1h30m IN A 192.0.2.2\nc IN 60 A 192.0.2.3\nd A 192.0.2.4\n\
                $TTL 1D ; from here\ne in A 192.0.2.5\nf 5 A 192.0.2.6\ng A 192.0.2.7";
    let ttls: Vec<u32> = parse(text).unwrap().sets.iter().map(|set| set.ttl().seconds()).collect();
    assert_eq!(ttls, [300, 5400, 60, 60, 86400, 5, 86400]);
}

#[test]
fn names_are_relative_to_the_origin_unless_they_end_with_a_dot() {
    let text = "$ORIGIN sub.example.com.\nwww CNAME @\n$ORIGIN deep\n@ MX 10 mail.example.org.\n\
                *.x A 192.0.2.1\n  AAAA 2001:db8::1\n\\@ TXT at\na\\.b TXT dot\nb\u{fc}cher A 192.0.2.2";
    assert_eq!(
        lines(text),
        [
            "deep.sub.example.com. 300 IN MX 10 mail.example.org.",
            "\\064.deep.sub.example.com. 300 IN TXT \"at\"",
            "a\\046b.deep.sub.example.com. 300 IN TXT \"dot\"",
            "*.x.deep.sub.example.com. 300 IN A 192.0.2.1",
            "*.x.deep.sub.example.com. 300 IN AAAA 2001:db8::1",
            "xn--bcher-kva.deep.sub.example.com. 300 IN A 192.0.2.2",
            "www.sub.example.com. 300 IN CNAME sub.example.com.",
        ]
    );
    assert_eq!(read(b"$ORIGIN .\nexample.org A 192.0.2.1", &ReadOptions::new(zone())).unwrap().sets.len(), 1);
}

#[test]
fn every_type_is_read_in_its_own_form_and_as_bytes() {
    let text = "@ TXT plain \"two words\" \"q\\\"uo\\\\te; \\195\\188\" \u{fc}\n\
                @ CAA 128 ISSUE \"letsencrypt.org; x=1\"\n_s._tcp SRV 0 5 443 my\n\
                _443._tcp.my TLSA 3 1 1 ( AB\n cd )\nkey DS 1 8 2 abcd\nhost SSHFP 4 2 0123\n\
                n NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .\nd DNAME example.org.\n\
                dk DNSKEY 257 3 13 Zm9v Ym E=\nh HTTPS \\# 3 0001 00\nh2 HTTPS 1 . port=8443 alpn=\"h2,h3\"\n\
                l LOC 52 22 23 N 4 53 32 E -2m\nu URI 10 1 \"https://example.com/\"\nc CDS 0 0 0 00\n\
                key2 DS 1 ECDSAP256SHA256 2 abcd\nw WKS \\# 5 c000020106\nx TYPE65280 \\# 0\ny TYPE1 \\# 4 C0000201";
    let sets = parse(text).unwrap().sets;
    let observed: Vec<Observed> = sets.iter().cloned().map(Observed::Plain).collect();
    let written = write(&zone(), &observed);
    for line in [
        "@\t300\tIN\tTXT\t\"plain\" \"two words\" \"q\\\"uo\\\\te; \\195\\188\" \"\\195\\188\"",
        "@\t300\tIN\tCAA\t128 issue \"letsencrypt.org; x=1\"",
        "_s._tcp\t300\tIN\tSRV\t0 5 443 my.example.com.",
        "_443._tcp.my\t300\tIN\tTLSA\t3 1 1 abcd",
        "key\t300\tIN\tDS\t1 8 2 abcd",
        "host\t300\tIN\tSSHFP\t4 2 0123",
        "n\t300\tIN\tNAPTR\t100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
        "d\t300\tIN\tDNAME\texample.org.",
        "dk\t300\tIN\tDNSKEY\t257 3 13 Zm9vYmE=",
        "h\t300\tIN\tHTTPS\t1 .",
        "h2\t300\tIN\tHTTPS\t1 . alpn=h2,h3 port=8443",
        "l\t300\tIN\tLOC\t52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m",
        "u\t300\tIN\tURI\t10 1 \"https://example.com/\"",
        "c\t300\tIN\tCDS\t0 0 0 00",
        "key2\t300\tIN\tDS\t1 13 2 abcd",
        "w\t300\tIN\tWKS\t\\# 5 c000020106",
        "x\t300\tIN\tTYPE65280\t\\# 0",
        "y\t300\tIN\tA\t192.0.2.1",
    ] {
        assert!(written.lines().any(|l| l == line), "{line} is not in\n{written}");
    }
    assert_eq!(parse(&written).unwrap().sets, sets);
}

#[test]
fn the_line_ends_of_every_system_and_a_mark_of_the_encoding_do_not_matter() {
    let unix = "a A 192.0.2.1 ; one\nb TXT ( \"x\"\n \"y\" )\n";
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    assert_eq!(parse(unix).unwrap(), parse(windows).unwrap());
    assert_eq!(lines("\n\n ; nothing\n\t\n"), Vec::<String>::new());
}

#[test]
fn what_is_not_taken_as_written_is_said() {
    let text = "a 60 A 192.0.2.1\na 30 A 192.0.2.2\na 30 A 192.0.2.2\n@ RRSIG A 8 3 300 x\n@ 5 IN NSEC a A\n";
    let read = parse(text).unwrap();
    assert_eq!(read.sets.len(), 1);
    assert_eq!((read.sets[0].ttl().seconds(), read.sets[0].values().len()), (30, 2));
    let notes: Vec<String> = read.notes.iter().map(|n| format!("{} {}", n.line, n.what)).collect();
    assert_eq!(notes[0], "2 the records of a.example.com. A differ in their TTL: all get the lowest, 30");
    assert!(notes[1].starts_with("4 the RRSIG record was left out"), "{notes:?}");
    assert!(notes[2].starts_with("5 the NSEC record was left out"), "{notes:?}");
}

#[test]
fn an_error_says_the_line_and_what_was_expected() {
    let long = format!("\na TXT \"{}\"", "x".repeat(MAX_ENTRY + 1));
    let spread = format!("a TXT (\n{})", "  ; x\n".repeat(MAX_ENTRY / 4));
    let big = format!("a TXT {}", "\"yyyyyyyyy\" ".repeat(7000));
    for (text, line, expected) in [
        ("a A 192.0.2", 1, "`192.0.2` is not an IPv4 address"),
        ("\n\na MX mail", 3, "expected a number from 0 to 65535, then a name"),
        ("a MX 10", 1, "a name is missing"),
        ("a MX 70000 b", 1, "`70000` is not a number from 0 to 65535"),
        ("a MX +1 b", 1, "`+1` is not a number"),
        ("a A 192.0.2.1 192.0.2.2", 1, "`192.0.2.2` is too much"),
        ("a A", 1, "the data of the A record is missing"),
        ("a IN 300", 1, "expected a type"),
        ("a", 1, "expected a type"),
        ("a NOTYPE 192.0.2.1", 1, "`NOTYPE` is not a type"),
        ("a WKS 192.0.2.1 6 25", 1, "\\# LENGTH HEX"),
        ("a 1h30 A 192.0.2.1", 1, "`1h30` is not a TTL"),
        ("a 2147483648 A 192.0.2.1", 1, "too long"),
        ("a CH TXT x", 1, "only IN"),
        ("a CLASS255 TXT x", 1, "only class IN"),
        ("  A 192.0.2.1", 1, "no record before it"),
        ("a CNAME b\na CNAME c", 1, "a CNAME has one target"),
        ("a..b A 192.0.2.1", 1, "a label is empty"),
        ("\"a\" A 192.0.2.1", 1, "in quotes"),
        ("a CNAME \"b\"", 1, "in quotes"),
        ("a \"A\" b", 1, "in quotes"),
        ("a TXT (\n\"x\"\n", 1, "never closed"),
        ("a TXT x\nb TXT )", 2, "`)` without `(`"),
        ("a TXT \"x\ny\"", 1, "not closed"),
        ("a TXT \\25", 1, "`\\25` is not a string"),
        ("a TXT \\999", 1, "`\\999` is not a string"),
        ("a TLSA 3 1 1 abc", 1, "hexadecimal"),
        ("a TLSA 3 1 1", 1, "hexadecimal digits is missing"),
        ("a HTTPS 1 . alpn", 1, "`alpn` is not a parameter"),
        ("a LOC 91 N 0 E 0m", 1, "no latitude"),
        ("a DNAME b\na DNAME c", 1, "a DNAME has one target"),
        ("a TYPE65280 \\# 3 00", 1, "as many bytes as LENGTH says"),
        ("a A \\# 3 000000", 1, "3 bytes are not the data of a A record"),
        ("\n$INCLUDE other", 2, "$INCLUDE is not read"),
        ("$GENERATE 1-3 a$ A 192.0.2.$", 1, "$GENERATE is not read"),
        ("$FOO x", 1, "expected $ORIGIN or $TTL"),
        ("$TTL", 1, "expected a time"),
        ("$TTL x", 1, "expected a time"),
        ("$ORIGIN a b", 1, "expected one name"),
        (&long, 2, "longer than"),
        (&spread, 1, "longer than"),
        (&big, 1, "more than the 65535"),
    ] {
        let error = parse(text).unwrap_err();
        let short: String = text.chars().take(60).collect();
        assert!(error.is(&codes::ZONE_FILE), "{short}: {error:?}");
        assert!(error.message().starts_with(&format!("line {line}: ")), "{short}: {error}");
        assert!(error.message().contains(expected), "{short}: {error}");
        assert!(error.message().len() < 400 && !error.message().contains('\n'), "{short}: {error}");
    }
    let mut none = ReadOptions::new(zone());
    none.origin = None;
    let error = read(b"a A 192.0.2.1", &none).unwrap_err();
    assert!(error.message().contains("relative to nothing"), "{error}");
}

#[test]
fn json_and_zone_files_are_told_apart_by_what_is_in_them() {
    let json = br#" [{"name": "my.example.com", "type": "A", "ttl": 300, "values": ["192.0.2.1"]}]"#;
    let options = ReadOptions::new(zone());
    let zone_file = read_any(b"my 300 A 192.0.2.1", &options).unwrap();
    assert_eq!(read_any(json, &options).unwrap(), zone_file);
    let object = [br#"{"schema": 1, "zone": {}, "records": "#, &json[..], b"}"].concat();
    assert_eq!(read_any(&object, &options).unwrap(), zone_file);
    for (text, expected) in [
        ("{", "not JSON"),
        ("{}", "a list of record sets"),
        ("[1]", "record set 1"),
        (r#"[{"name": "a", "type": "A", "ttl": 1, "values": []}]"#, "at least one value"),
        (r#"[{"name": "a", "type": "A", "ttl": -1, "values": ["192.0.2.1"]}]"#, "record set 1"),
        (r#"[{"name": "a", "type": "A", "ttl": 1, "values": ["x"]}]"#, "an IPv4 address"),
    ] {
        let error = read_any(text.as_bytes(), &options).unwrap_err();
        assert!(error.is(&codes::ZONE_FILE) && error.message().contains(expected), "{text}: {error}");
    }
    let set = r#"{"name": "a.", "type": "A", "ttl": 1, "values": ["192.0.2.1"]}"#;
    let error = from_json(format!("[{set},{set}]").as_bytes()).unwrap_err();
    assert!(error.message().contains("twice"), "{error}");
}

#[test]
fn what_cannot_be_expressed_becomes_a_comment_that_stays_one() {
    let key = RecordKey::new(zone(), RecordType::A);
    let alias = Observed::Opaque { key, what: "alias to x\n@ 300 IN A 192.0.2.66".into() };
    let weighted =
        RecordSet::parse(zone().below("w").unwrap(), Ttl::DEFAULT, RecordType::A, ["192.0.2.1"]).unwrap();
    let text = write(&zone(), &[alias, Observed::Plain(weighted.with_variant("blue\r\nx"))]);
    assert_eq!(text.lines().filter(|line| line.starts_with("; ")).count(), 2, "{text}");
    assert!(text.contains("; w.example.com. A [blue\\r\\nx]: 192.0.2.1 (TTL 300)"), "{text}");
    assert_eq!(parse(text).unwrap().sets, []);
}

fn record_data() -> impl Strategy<Value = RecordData> {
    let name = || {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 0..4)
            .prop_filter_map("no name", |labels| Name::from_labels(labels.iter().map(Vec::as_slice)).ok())
    };
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    prop_oneof![
        any::<[u8; 4]>().prop_map(|a| RecordData::A(a.into())),
        any::<[u8; 16]>().prop_map(|a| RecordData::Aaaa(a.into())),
        name().prop_map(RecordData::Cname),
        (any::<u16>(), name()).prop_map(|(preference, exchange)| RecordData::Mx { preference, exchange }),
        bytes(600).prop_map(RecordData::txt),
        prop::collection::vec(bytes(40), 1..4).prop_map(|s| RecordData::Txt(Text::from_strings(s))),
        (any::<[u16; 3]>(), name()).prop_map(|([priority, weight, port], target)| RecordData::Srv {
            priority,
            weight,
            port,
            target
        }),
        (any::<u8>(), "[a-z0-9]{1,9}", bytes(40)).prop_map(|(flags, tag, value)| RecordData::Caa {
            flags,
            tag,
            value
        }),
        (prop::sample::select(vec![6, 35, 39, 43, 44, 48, 52, 59, 60, 64, 65, 65280]), bytes(60))
            .prop_map(|(rtype, rdata)| RecordData::Unknown { rtype: RecordType(rtype), rdata }),
    ]
}

prop_compose! {
    fn record_set()(
        labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..6), 0..4),
        outside in prop::bool::weighted(0.1),
        ttl in 0..=0x7fff_ffffu32,
        values in prop::collection::vec(record_data(), 1..5),
    ) -> Option<RecordSet> {
        let apex: &[&[u8]] = if outside { &[b"org"] } else { &[b"example", b"com"] };
        let name = Name::from_labels(labels.iter().map(Vec::as_slice).chain(apex.iter().copied())).ok()?;
        let rtype = values[0].record_type();
        let most = if rtype == RecordType::CNAME { 1 } else { values.len() };
        let values = values.into_iter().filter(|v| v.record_type() == rtype).take(most);
        RecordSet::new(name, Ttl::new(ttl).ok()?, values).ok()
    }
}

/// Returns the verdict of BIND's program on a zone file.
fn named_checkzone(text: &str) -> Option<Result<(), String>> {
    let program = require::tool("named-checkzone")?;
    let folder = std::env::temp_dir();
    let file = folder.join(format!("cloudron-zone-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::write(&file, text).unwrap();
    let mut checked = std::process::Command::new(program);
    let output = checked.args(["-i", "none", "-k", "ignore", "example.com"]).arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(if output.status.success() { Ok(()) } else { Err(said) })
}

/// The SOA record and a name server, which every zone has.
const HEAD: &str =
    "@ 3600 SOA ns1.example.net. hostmaster.example.com. 1 7200 900 1209600 300\n@ NS ns1.example.net.\n";

#[test]
fn what_is_written_is_a_zone_to_bind() {
    let more = "@ MX 10 my\n@ TXT \"v=spf1 a:my.example.com ~all\" \"\\000\\255;(\\\"\\\\\"\nmy 1h A 192.0.2.1\n\
        * AAAA 2001:db8::1\n_443._tcp.my TLSA 3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\
        @ CAA 0 issue \"letsencrypt.org\"\nsub DS 1 8 2 \
        000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\nsub NS ns.sub\nns.sub A 192.0.2.5\n\
        k DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n\
        x TYPE65280 \\# 3 abcdef\na\\.b\\;c\\@ TXT odd\n_s._tcp SRV 0 0 443 my\nn NAPTR 1 2 \"u\" \"x\" \"!a!b!\" .\n";
    let sets = parse(format!("{HEAD}{more}")).unwrap().sets;
    let observed: Vec<Observed> = sets.iter().rev().cloned().map(Observed::Plain).collect();
    let text = write(&zone(), &observed);
    assert_eq!(parse(&text).unwrap().sets, sets);
    assert!(text.lines().nth(1).unwrap().contains("SOA") && text.lines().nth(2).unwrap().contains("NS"));
    let Some(checked) = named_checkzone(&text) else { return };
    assert_eq!(checked, Ok(()), "{text}");
}

fn rounds() -> u32 {
    std::env::var("CLOUDRON_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(256)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(rounds()))]

    #[test]
    fn what_is_written_reads_back_the_same(sets in prop::collection::vec(record_set(), 0..8)) {
        let sets: std::collections::BTreeMap<RecordKey, RecordSet> =
            sets.into_iter().flatten().map(|set| (set.key().clone(), set)).collect();
        let sets: Vec<RecordSet> = sets.into_values().collect();
        let observed: Vec<Observed> = sets.iter().cloned().map(Observed::Plain).collect();
        let text = write(&zone(), &observed);
        let read = parse(&text).unwrap();
        prop_assert_eq!(&read.sets, &sets);
        prop_assert_eq!(read.notes, vec![]);
        prop_assert_eq!(write(&zone(), observed.iter().rev()), text);
        let json = serde_json::to_vec(&sets).unwrap();
        prop_assert_eq!(from_json(&json).unwrap(), sets);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_any(&bytes, &ReadOptions::new(zone()));
    }

    #[test]
    fn no_damage_to_a_zone_file_makes_the_reader_panic(
        cuts in prop::collection::vec((0..RFC1035.len(), 0..6usize, "[@$().\"\\\\; \nA-Z0-9]{0,4}"), 1..6),
    ) {
        let mut text = RFC1035.as_bytes().to_vec();
        for (at, length, put) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.into_bytes());
        }
        if let Ok(read) = parse(&text) {
            let observed: Vec<Observed> = read.sets.iter().cloned().map(Observed::Plain).collect();
            prop_assert_eq!(parse(write(&zone(), &observed)).unwrap().sets, read.sets);
        }
    }
}
