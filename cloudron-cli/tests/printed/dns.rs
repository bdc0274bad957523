//! DNS records, planned without a network, and output that needs no domain.

use crate::story::Story;

#[test]
fn what_is_printed_without_a_dns_host() {
    let mut story = Story::new();
    story.types("dns plan example.com --machine --ip 192.0.2.1 --provider cloudflare");
    story.types("dns plan example.com --machine --ip 192.0.2.1 --provider nobody");
    story.types("dns plan example.com --provider wildcard");
    story.types("dns dkim-key example.com --selector s1 --out dkim.pem");
    story.types("dns dkim-key example.com --out dkim.pem");
    story.types("policy lifecycle --store store");
    story.types("explain no-space");
    story.types("explain nothing-like-it");
    story.types("version");
    story.is("dns");
}
