//! Groups of records for tests, with their steps.

/// Records below a label, in several steps.
pub struct Group {
    pub label: &'static str,
    pub steps: &'static [&'static str],
    /// Names of servers that do not accept them.
    pub except: &'static [&'static str],
}

const fn group(label: &'static str, steps: &'static [&'static str]) -> Group {
    Group { label, steps, except: &[] }
}

impl Group {
    const fn except(self, except: &'static [&'static str]) -> Self {
        Self { except, ..self }
    }
}

/// All groups are in one zone, each below its own label, so that one run covers a step of all groups.
/// Relative names are below the label. The default TTL is 300.
pub const GROUPS: &[Group] = &[
    // The zone apex.
    group(
        "",
        &[
            "@ A 192.0.2.1\n@ MX 10 mail.example.net.\n@ TXT \"v=spf1 mx -all\"\n@ CAA 0 issue \"ca.example.net\"",
            "@ A 192.0.2.2\n@ MX 20 mail.example.net.\n@ TXT \"v=spf1 -all\"\n@ CAA 0 issue \";\"",
            "@ A 192.0.2.2\n@ AAAA 2001:db8::2\n@ MX 0 .\n@ TXT \"v=spf1 -all\"\n@ TXT \"token=1\"",
            "@ 60 A 192.0.2.2\n@ AAAA 2001:db8::2\n@ TXT \"token=1\"",
        ],
    ),
    // Create, change, add a value, remove one, change the TTL, delete.
    group(
        "a",
        &[
            "@ A 192.0.2.1",
            "@ A 192.0.2.2",
            "@ A 192.0.2.2\n@ A 192.0.2.3",
            "@ A 192.0.2.3",
            "@ 600 A 192.0.2.3",
            "",
            "@ A 192.0.2.1",
        ],
    ),
    group(
        "aaaa",
        &[
            "@ AAAA 2001:DB8::1",
            "@ AAAA 2001:db8::2",
            "@ AAAA 2001:db8::2\n@ AAAA ::ffff:192.0.2.1",
            "@ AAAA ::ffff:192.0.2.1",
            "@ AAAA 2001:db8:0:0:1::1",
            "@ 1 AAAA ::1",
        ],
    ),
    group(
        "cname",
        &[
            "@ CNAME a.example.net.",
            "@ CNAME b.example.net.",
            "@ CNAME c.example.net.\nx CNAME @",
            "@ 600 CNAME c.example.net.\nx CNAME example.com.",
            "x CNAME a.example.net.",
            "@ CNAME a.example.net.\nx CNAME _y.a.example.net.",
        ],
    ),
    // A name changes its type.
    group(
        "type",
        &[
            "@ A 192.0.2.1\nb CNAME a.example.net.",
            "@ CNAME a.example.net.\nb A 192.0.2.1",
            "@ TXT one\n@ MX 10 mail.example.net.\nb CNAME b.example.net.",
            "@ CNAME b.example.net.\nb TXT one\nb AAAA 2001:db8::1",
            "@ CNAME c.example.net.\nb AAAA 2001:db8::1",
            "@ AAAA 2001:db8::1\nb CNAME d.example.net.",
        ],
    ),
    group(
        "dname",
        &[
            "@ DNAME a.example.net.",
            "@ DNAME b.example.net.\n@ TXT beside",
            "@ 600 DNAME c.example.net.",
            "below A 192.0.2.1",
            "@ DNAME d.example.net.",
        ],
    ),
    group(
        "mx",
        &[
            "@ MX 10 mail.example.net.",
            "@ MX 10 mail.example.net.\n@ MX 20 mail2.example.net.",
            "@ MX 5 mail.example.net.\n@ MX 20 mail2.example.net.",
            "@ MX 0 .",
            "@ MX 10 mail3.example.net.",
            "@ 1h MX 65535 mail3.example.net.",
        ],
    ),
    group(
        "txt",
        &[
            "@ TXT plain",
            "@ TXT \"with \\\"quotes\\\" and ; and \\\\ and `\"",
            "@ TXT \"gr\\195\\188\\195\\159e\" \n@ TXT \" blanks  around \"",
            "@ TXT \"first\" \"second\"\n@ TXT \"third\"",
            "@ TXT \"\"",
            "@ TXT \"\\000\\001\\127\\255\"",
        ],
    ),
    group(
        "long",
        &[
            concat!(
                "@ TXT \"v=DKIM1; k=rsa; p=",
                "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwV1cP2BZ9pVzX3nR2h7cYkQm1",
                "0f0kU7yJ8sGxgq7kqSkTm0bWq7iRr0vN8p9x8m0TnJ1m5oBvQnR3yY1b2s9cH8Qk2V5uJ6m2aY1p7rZ0n3v\" \"",
                "L5f8t4dX6g9w1eK3b7Qz2cM0xU5yP8sR1oT4hN6vB9aJ7kD3fG0iW2qE5lZ8mC4uX1rY6tH9pS3jV0nK7bO2",
                "dF5gA8wQ1eL4zM6xU9yI3cT0hR7vN2aB5oJ8kP1sG4fD6iW9qE3lZ0mC7uX2rY5tH8pS1jV4nK6bO9IDAQAB\""
            ),
            concat!(
                "@ TXT \"v=DKIM1; k=rsa; p=",
                "ANOTHERjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwV1cP2BZ9pVzX3nR2h7cYkQm1",
                "0f0kU7yJ8sGxgq7kqSkTm0bWq7iRr0vN8p9x8m0TnJ1m5oBvQnR3yY1b2s9cH8Qk2V5uJ6m2aY1p7rZ0n3v\" \"",
                "L5f8t4dX6g9w1eK3b7Qz2cM0xU5yP8sR1oT4hN6vB9aJ7kD3fG0iW2qE5lZ8mC4uX1rY6tH9pS3jV0nK7bO2\""
            ),
            "@ TXT short",
        ],
    ),
    group(
        "many",
        &[
            "@ A 192.0.2.1\n@ A 192.0.2.2\n@ A 192.0.2.3\n@ A 192.0.2.4\n@ A 192.0.2.5\n@ A 192.0.2.6\n@ A 192.0.2.7",
            "@ A 192.0.2.2\n@ A 192.0.2.4\n@ A 192.0.2.6\n@ A 192.0.2.8\n@ A 192.0.2.10",
            "@ A 192.0.2.10",
        ],
    ),
    group(
        "wild",
        &[
            "* A 192.0.2.1",
            "* A 192.0.2.2\n*.deep TXT deep",
            "* A 192.0.2.2\n* TXT also\nplain A 192.0.2.3",
            "* CNAME a.example.net.\nplain A 192.0.2.3",
            "* CNAME b.example.net.",
        ],
    ),
    // An asterisk that is not a wildcard (RFC 4592, section 2.1.3). The plan refuses it at the HTTP API.
    group("star", &["*.* TXT one\na.* TXT inside", "*.* TXT two\na.*.b TXT inside"])
        .except(&["PowerDNS by HTTP"]),
    group(
        "under",
        &[
            "_dmarc TXT \"v=DMARC1; p=none\"\n_acme-challenge CNAME x.acme.example.net.",
            "_dmarc TXT \"v=DMARC1; p=reject\"\n_acme-challenge CNAME y.acme.example.net.",
            "_dmarc CNAME _dmarc.example.net.\n_acme-challenge TXT token",
            "s1._domainkey CNAME s1.dkim.example.net.",
            "s1._domainkey CNAME s2.dkim.example.net.\n_sip._tcp SRV 10 5 5060 sip.example.net.",
        ],
    ),
    group(
        "srv",
        &[
            "_imaps._tcp SRV 0 1 993 mail.example.net.",
            "_imaps._tcp SRV 0 1 994 mail.example.net.",
            "_imaps._tcp SRV 0 1 994 mail.example.net.\n_imaps._tcp SRV 10 1 993 mail2.example.net.",
            "_imaps._tcp SRV 65535 65535 65535 mail.example.net.",
            "_imaps._tcp SRV 0 0 0 .",
        ],
    ),
    group(
        "caa",
        &[
            "@ CAA 0 issue \"ca.example.net\"",
            "@ CAA 0 issue \"ca.example.net; accounturi=https://ca.example.net/1\"\n@ CAA 0 issuewild \";\"",
            "@ CAA 128 issue \"other.example.net\"\n@ CAA 0 iodef \"mailto:security@example.com\"",
            "@ CAA 0 issue \";\"",
            "@ CAA 0 contactemail \"a b@example.com\"",
        ],
    ),
    group(
        "cut",
        &[
            "child NS ns1.example.net.",
            "child NS ns1.example.net.\nchild NS ns2.example.net.",
            "child NS ns2.example.net.\nchild DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "child NS ns3.example.net.\nchild DS 12346 13 2 ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\
         child DS 12347 8 2 ee112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "child NS ns3.example.net.",
            "child A 192.0.2.1\na.child TXT \"no longer delegated\"",
            "child 2h NS ns1.example.net.",
        ],
    ),
    // DS and NS are added and removed together.
    group(
        "both",
        &[
            "child NS ns1.example.net.\nchild DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "",
            "child NS ns1.example.net.\nchild DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "child TXT \"no zone any more\"",
        ],
    ),
    group(
        "glue",
        &[
            "sub NS ns.sub\nns.sub A 192.0.2.60",
            "sub NS ns.sub\nns.sub A 192.0.2.61",
            "sub NS ns.sub\nns.sub A 192.0.2.61\nns.sub AAAA 2001:db8::61",
            "sub NS ns2.sub\nns2.sub A 192.0.2.62",
            "sub NS sub\nsub A 192.0.2.63",
            "",
            "sub NS ns.sub\nns.sub 600 A 192.0.2.64",
        ],
    ),
    // A name server in a delegated sibling zone (RFC 9471, section 3.2).
    group(
        "sibling",
        &[
            "one NS ns.two\ntwo NS ns.two\nns.two A 192.0.2.70",
            "one NS ns.two\ntwo NS ns.two\nns.two A 192.0.2.71",
            "one NS ns.one\none NS ns.two\ntwo NS ns.two\nns.one A 192.0.2.72\nns.two A 192.0.2.71",
            "one NS ns1.example.net.",
        ],
    ),
    group(
        "naptr",
        &[
            "@ NAPTR 100 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1@example.com!\" .",
            "@ NAPTR 100 10 \"u\" \"E2U+sip\" \"!^(.*)$!sip:\\\\1@example.net!\" .",
            "@ NAPTR 100 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.net.\n@ NAPTR 200 10 \"s\" \"SIP+D2T\" \"\" _sip._tcp.example.net.",
        ],
    ),
    group(
        "sshfp",
        &[
            "@ SSHFP 4 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "@ SSHFP 4 2 ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "@ SSHFP 4 2 ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\
         @ SSHFP 1 1 00112233445566778899aabbccddeeff00112233",
        ],
    ),
    group(
        "tlsa",
        &[
            "_25._tcp TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "_25._tcp TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\
         _25._tcp TLSA 2 0 1 ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "_25._tcp TLSA 2 0 1 ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        ],
    ),
    group(
        "svc",
        &[
            "@ HTTPS 1 . alpn=h2\ns SVCB 1 foo.example.net. port=8443",
            "@ HTTPS 1 . alpn=\"h3,h2\" ipv4hint=192.0.2.1\ns SVCB 2 foo.example.net. port=8444 alpn=h2",
            "@ HTTPS 0 target.example.net.\ns SVCB 0 foo.example.net.",
        ],
    ),
    group(
        "rare",
        &[
            "loc LOC 52 22 23 N 4 53 32 E -2m\nuri URI 10 1 \"https://example.com/\"\nrp RP admin.example.net. t.example.net.",
            "loc LOC 33 51 35.9 S 151 12 40 E 5m 10m\nuri URI 10 1 \"https://example.net/a b\"\nrp RP root.example.net. t.example.net.",
            "hi HINFO \"ARM64\" \"Linux\"\ncert CERT 1 0 0 AQIDBA==\nkey OPENPGPKEY AQIDBAUGBwg=\neui EUI48 00-00-5e-00-53-2a",
            "hi HINFO \"AMD64\" \"Linux\"\nsm SMIMEA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "afs AFSDB 1 db.example.net.\nkx KX 10 kx.example.net.\nspf SPF \"v=spf1 -all\"",
        ],
    ),
    group(
        "generic",
        &[
            "@ TYPE65280 \\# 4 01020304",
            "@ TYPE65280 \\# 4 0102abcd\n@ TYPE65280 \\# 1 ff",
            "@ TYPE65281 \\# 3 010203",
        ],
    )
    // It answers FORMERR to an update with an unknown type.
    .except(&["PowerDNS by update"]),
    group(
        "ptr",
        &[
            "1 PTR host.example.net.\n0/25 PTR net.example.net.",
            "1 PTR other.example.net.\n0/25 PTR net.example.net.",
            "1 PTR other.example.net.\n1 PTR host.example.net.\n2 PTR two.example.net.",
        ],
    ),
    // The plan refuses them at the HTTP API.
    group(
        "odd",
        &[
            "a\\.dot TXT dot\na\\032blank TXT blank",
            "a\\.dot TXT dot2\na\\032blank TXT blank\n\\@ TXT at\n\\052x TXT four",
            "\\000\\255 TXT bytes",
        ],
    )
    .except(&["PowerDNS by HTTP"]),
    group(
        "names",
        &[
            "-dash- TXT dash\n0 TXT digit\nxn--bcher-kva CNAME a.example.net.",
            "xn--bcher-kva CNAME b.example.net.\nUPPER TXT Case",
            "xn--bcher-kva CNAME c.example.net.\nupper TXT case",
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk TXT 63\n\
         a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t TXT deep",
        ],
    ),
    // An empty non-terminal, which then gets its own records.
    group(
        "empty",
        &[
            "a.b.c TXT one",
            "c TXT own\na.b.c TXT one",
            "b.c CNAME x.example.net.\nc TXT own",
            "a.b.c TXT one",
        ],
    ),
    // Several changes at once.
    group(
        "swap",
        &[
            "a A 192.0.2.1\nb CNAME a\nc TXT c",
            "b A 192.0.2.1\na CNAME b\nd TXT c",
            "a A 192.0.2.1\nb CNAME a\nc A 192.0.2.3\nd CNAME c\ne CNAME d",
            "e A 192.0.2.1\nd CNAME e\nc CNAME d\nb CNAME c\na CNAME b",
            "a A 192.0.2.9",
        ],
    ),
    group(
        "ttl",
        &[
            "a 0 A 192.0.2.1\nb 2147483647 TXT long\nc 1d CNAME a.example.net.",
            "a 1 A 192.0.2.1\nb 300 TXT long\nc 0 CNAME a.example.net.",
            "a 86400 A 192.0.2.2\nb 0 TXT short\nc 300 CNAME b.example.net.",
        ],
    ),
];

/// Records that every plan refuses, with the error.
pub const REFUSED: &[(&str, &str)] = &[
    ("sub NS ns1.example.net.\na.sub A 192.0.2.1", "delegated zone"),
    ("sub NS ns.sub\nns.sub A 192.0.2.1\nns.sub TXT \"no glue\"", "delegated zone"),
    ("sub NS ns1.example.net.\nsub A 192.0.2.1", "delegated zone"),
    ("child DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "NS records"),
    ("@ DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "NS records"),
    ("d DNAME x.example.net.\na.d A 192.0.2.1", "DNAME"),
    ("a CNAME b\na A 192.0.2.1", "exclude each other"),
    ("d DNAME x.example.net.\nd CNAME x.example.net.", "exclude each other"),
    ("@ CNAME x.example.net.", "never touched"),
    ("@ TXT \"v=spf1 -all\"\n@ TXT \"v=spf1 +all\"", "SPF"),
    ("x.example.org. A 192.0.2.1", "not in this zone"),
    ("t CDS 0 0 0 00", "cannot be written"),
    ("t TYPE250 \\# 1 00", "cannot be written"),
];
