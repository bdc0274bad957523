//! Answers that nobody should send.

use std::fmt::Write;
use std::time::Instant;

use cloudron_core::ErrorKind;
use cloudron_provision::ec2::{Meaning::*, *};

use proptest::prelude::*;

use super::bench::{answer, client};

async fn told(body: impl Into<Vec<u8>>) -> String {
    let (client, _) = client([answer(200, body)]);
    let failure = client.call(&DescribeAddresses::default()).await.unwrap_err();
    assert!(failure.is(Down) && failure.error.kind() == ErrorKind::Unavailable, "{failure}");
    let text = failure.to_string();
    assert!(text.len() < 500 && text.starts_with("DescribeAddresses: the answer cannot be read: "), "{text}");
    text
}

#[tokio::test]
async fn an_answer_that_is_no_such_xml_is_an_error_that_says_so() {
    let start = Instant::now();
    assert!(told("").await.contains("no element"));
    assert!(told("it works").await.contains("no element"));
    assert!(
        told("<DescribeAddressesResponse><a></DescribeAddressesResponse>").await.contains("not well-formed")
    );
    assert!(told("<DescribeAddressesResponse><b>").await.contains("cut off"));
    assert!(told(b"<a>\xff\xfe</a>".to_vec()).await.contains("UTF-8"));
    let utf16: Vec<u8> = "\u{feff}<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(told(utf16).await.contains("UTF-8"));
    assert!(told("<a>&unknown;</a><b/>").await.contains("something else"));
    // Well-formed, and neither an empty list nor a list at all.
    assert!(told("<html><body>Log in to the hotel</body></html>").await.contains("something else"));
    assert!(told("<DescribeVpcsResponse><vpcSet/></DescribeVpcsResponse>").await.contains("something else"));
    assert!(
        told("<DescribeAddressesResponse><requestId>r</requestId></DescribeAddressesResponse>")
            .await
            .contains("expected")
    );
    let nameless = "<DescribeAddressesResponse><addressesSet><item><publicIp>192.0.2.1</publicIp></item></addressesSet>\
                    </DescribeAddressesResponse>";
    assert!(told(nameless).await.contains("expected"));
    assert!(start.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn entities_depth_and_length_are_bounded_and_refused_at_once() {
    let start = Instant::now();
    let mut bomb = "<!DOCTYPE lolz [<!ENTITY a0 \"lol\">".to_owned();
    for n in 1..30 {
        write!(bomb, "<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10)).unwrap();
    }
    bomb += "]><DescribeAddressesResponse><addressesSet><item><publicIp>&a29;</publicIp></item></addressesSet></DescribeAddressesResponse>";
    assert!(told(bomb).await.contains("document type"));
    let external = "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><R>&x;</R>";
    assert!(told(external).await.contains("document type"));
    let deep =
        "<DescribeAddressesResponse>".to_owned() + &"<a>".repeat(1_000_000) + &"</a>".repeat(1_000_000);
    assert!(told(deep).await.contains("nested"));
    assert!(told(vec![b'<'; 100 << 20]).await.contains("longer than"));
    let wide = format!(
        "<DescribeAddressesResponse><addressesSet>{}</addressesSet></DescribeAddressesResponse>",
        "<item/>".repeat(1_000_000)
    );
    assert!(told(wide).await.contains("more than 400000 elements"));
    let long = format!(
        "<DescribeAddressesResponse><addressesSet><item><publicIp>{}</publicIp></item></addressesSet></DescribeAddressesResponse>",
        "1".repeat(1 << 20)
    );
    assert!(told(long).await.contains("too long"));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[tokio::test]
async fn escaped_characters_are_read_and_unknown_elements_passed_over() {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- new --><DescribeAddressesResponse xmlns=\"x\"><novel a=\"b\"><deep><er/></deep></novel>\
                <addressesSet><item><novelty>1</novelty><allocationId>e-1</allocationId><publicIp>a&amp;b&#x41;</publicIp><tagSet><item><key>k</key><value/>\
                </item></tagSet></item></addressesSet></DescribeAddressesResponse>";
    let (client, _) = client([answer(200, body)]);
    let addresses = client.call(&DescribeAddresses::default()).await.unwrap().addresses;
    assert_eq!(addresses[0].public_ip, "a&bA");
    assert_eq!(addresses[0].tags.value("k"), Some(""));
    assert_eq!(addresses[0].instance_id, None);
}

#[tokio::test]
async fn an_error_that_is_hostile_is_short_and_on_one_line() {
    let message = format!("\u{1b}[2Jline\nline\u{202e}{}", "x".repeat(100_000));
    let body = format!(
        "<Response><Errors><Error><Code>Bad\u{1b}[31m {}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>{}\n</RequestID></Response>",
        "C".repeat(5000),
        "r".repeat(5000)
    );
    let (client, _) = client([answer(400, body)]);
    let failure = client.call(&DescribeAddresses::default()).await.unwrap_err();
    let text = failure.to_string();
    assert!(text.len() < 1000 && !text.contains(cloudron_core::escape::is_unsafe), "{text}");
    assert!(failure.error.request_id().unwrap().len() <= 100 && failure.name.len() <= 100);
}

#[tokio::test]
async fn what_only_amazon_can_read_is_left_out_of_a_message() {
    let message = "You are not authorized to perform this operation. User: arn:aws:iam::1:user/a is not authorized to \
                   perform: ec2:DescribeAddresses. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm";
    let (client, _) = client([super::bench::refusal(403, "UnauthorizedOperation", message)]);
    let text = client.call(&DescribeAddresses::default()).await.unwrap_err().to_string();
    assert!(text.ends_with("perform: ec2:DescribeAddresses."), "{text}");
}

fn page(entries: usize, next: &str) -> String {
    let items = "<item><vpcId>vpc-1</vpcId></item>".repeat(entries);
    format!(
        "<DescribeVpcsResponse><vpcSet>{items}</vpcSet><nextToken>{next}</nextToken></DescribeVpcsResponse>"
    )
}

#[tokio::test]
async fn all_pages_are_read_and_one_of_them_may_be_empty() {
    let (client, script) = client([
        answer(200, page(2, "a+b/c=")),
        answer(200, page(0, "second")),
        answer(503, ""),
        answer(200, page(1, "")),
    ]);
    let request = DescribeVpcs { filters: vec![Filter::new("isDefault", "true")], ..DescribeVpcs::default() };
    assert_eq!(client.all(&request).await.unwrap().len(), 3);
    let bodies = script.bodies();
    assert!(!bodies[0].contains("NextToken") && bodies[1].contains("NextToken=a%2Bb%2Fc%3D"), "{bodies:?}");
    assert!(bodies.iter().all(|body| body.contains("Filter.1.Name=isDefault")), "{bodies:?}");
}

#[tokio::test]
async fn a_list_without_an_end_is_an_error() {
    // The same page for ever.
    let (same, script) = client([answer(200, page(1, "again"))]);
    let failure = same.all(&DescribeVpcs::default()).await.unwrap_err();
    assert!(failure.to_string().contains("no end") && script.count() == 2, "{failure}");
    // Another page for ever.
    let (other, script) = client((0..1000).map(|n| answer(200, page(1, &n.to_string()))));
    assert!(other.all(&DescribeVpcs::default()).await.unwrap_err().to_string().contains("no end"));
    assert!(script.count() <= 201);
    // Ever more entries.
    let (more, script) = client((0..1000).map(|n| answer(200, page(20_000, &n.to_string()))));
    assert!(more.all(&DescribeVpcs::default()).await.unwrap_err().to_string().contains("no end"));
    assert!(script.count() <= 7);
}

proptest! {
    #[test]
    fn bytes_that_were_changed_break_nothing(at in 0..400_usize, length in 0..9_usize, bytes in "[<>/&;a-z!\\[\\]\"'= -]{0,9}") {
        let whole = format!("<?xml version=\"1.0\"?><R><reservationSet><item><instancesSet>{}</instancesSet></item>\
                             </reservationSet><nextToken>x</nextToken></R>", "<item><instanceId>i-1</instanceId><tagSet>\
                             <item><key>k</key><value>&amp;</value></item></tagSet></item>".repeat(3));
        let at = at.min(whole.len());
        let end = (at + length).min(whole.len());
        let changed = [&whole[..at], &bytes, &whole[end..]].concat();
        let _ = xml::parse::<Instances>(changed.as_bytes(), None);
        let _ = xml::parse::<Instances>(&changed.as_bytes()[..at], None);
    }
}
