//! Checks that texts are returned byte for byte, without quotes.

use super::values::{exotic, there_and_back};
use crate::conformance::{Done, Trial, cases, ensure};
use crate::{Intent, Ownership, PlanOptions, RecordData, RecordSet, Text, Ttl};

cases![
    a_text_comes_back,
    a_text_of_254_bytes_comes_back,
    a_text_of_255_bytes_comes_back,
    a_text_of_256_bytes_comes_back,
    a_key_of_410_bytes_comes_back,
    a_text_of_510_bytes_comes_back,
    a_text_of_511_bytes_comes_back,
    the_longest_text_that_it_says_it_takes_comes_back,
    quotes_and_semicolons_come_back,
    a_text_in_quotes_keeps_them,
    backslashes_come_back_or_are_refused,
    an_escape_in_a_text_is_no_escape,
    a_text_beyond_ascii_comes_back,
    every_byte_comes_back_or_is_refused,
    line_breaks_and_tabs_come_back_or_are_refused,
    spaces_at_the_ends_of_a_text_come_back_or_are_refused,
    an_empty_text_comes_back_or_is_refused,
    a_text_that_looks_like_a_name_comes_back,
    several_texts_come_back,
    texts_that_differ_in_case_are_two,
    two_long_texts_of_one_name_come_back,
    where_the_strings_of_a_text_end_does_not_matter,
];

fn set(t: &Trial<'_>, text: impl Into<Vec<u8>>) -> crate::Result<RecordSet> {
    RecordSet::new(t.name("text")?, Ttl::new(3600)?, [RecordData::txt(text)])
}

async fn text(t: &Trial<'_>, text: impl Into<Vec<u8>>) -> Done {
    there_and_back(t, set(t, text)?).await
}

async fn long(t: &Trial<'_>, bytes: usize) -> Done {
    t.needs_text(bytes)?;
    // No two parts of 255 bytes are equal, so that a lost or swapped one is detected.
    let all: String = (0..).flat_map(|n| format!("{n}.").chars().collect::<Vec<_>>()).take(bytes).collect();
    text(t, all).await
}

async fn a_text_comes_back(t: &Trial<'_>) -> Done {
    there_and_back(t, t.txt("@", &["v=spf1 a:my.example.net ~all"])?).await
}

async fn a_text_of_254_bytes_comes_back(t: &Trial<'_>) -> Done {
    long(t, 254).await
}

async fn a_text_of_255_bytes_comes_back(t: &Trial<'_>) -> Done {
    long(t, 255).await
}

async fn a_text_of_256_bytes_comes_back(t: &Trial<'_>) -> Done {
    long(t, 256).await
}

async fn a_key_of_410_bytes_comes_back(t: &Trial<'_>) -> Done {
    t.needs_text(410)?;
    // As long as the public half of an RSA key of 2048 bits, with its tags.
    there_and_back(t, t.txt("c1._domainkey", &[&format!("v=DKIM1; t=s; p={}", "MIIBIjANBg".repeat(40))])?)
        .await
}

async fn a_text_of_510_bytes_comes_back(t: &Trial<'_>) -> Done {
    long(t, 510).await
}

async fn a_text_of_511_bytes_comes_back(t: &Trial<'_>) -> Done {
    long(t, 511).await
}

async fn the_longest_text_that_it_says_it_takes_comes_back(t: &Trial<'_>) -> Done {
    // A record has 65,535 bytes, of which one in 256 is a length; zone files and messages need some space.
    long(t, t.can().max_txt.min(4000)).await
}

async fn quotes_and_semicolons_come_back(t: &Trial<'_>) -> Done {
    text(t, r#"a "quoted" word; and  two spaces"#).await
}

async fn a_text_in_quotes_keeps_them(t: &Trial<'_>) -> Done {
    text(t, r#""v=spf1 -all""#).await
}

async fn backslashes_come_back_or_are_refused(t: &Trial<'_>) -> Done {
    exotic(t, set(t, r"a \ backslash, \\ two, \")?, "it has no texts with a backslash").await
}

async fn an_escape_in_a_text_is_no_escape(t: &Trial<'_>) -> Done {
    exotic(t, set(t, r#"\052 \010 \" \;"#)?, "it has no texts with a backslash").await
}

async fn a_text_beyond_ascii_comes_back(t: &Trial<'_>) -> Done {
    text(t, "grüße ☃ \u{1f980}").await
}

async fn every_byte_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    t.needs_text(256)?;
    exotic(t, set(t, (0..=255).collect::<Vec<u8>>())?, "it has no texts of any bytes").await
}

async fn line_breaks_and_tabs_come_back_or_are_refused(t: &Trial<'_>) -> Done {
    exotic(t, set(t, "one\ttwo\r\nthree\n")?, "it has no texts with line breaks").await
}

async fn spaces_at_the_ends_of_a_text_come_back_or_are_refused(t: &Trial<'_>) -> Done {
    exotic(t, set(t, "  between  ")?, "it has no texts with spaces at their ends").await
}

async fn an_empty_text_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    exotic(t, set(t, "")?, "it has no empty texts").await
}

async fn a_text_that_looks_like_a_name_comes_back(t: &Trial<'_>) -> Done {
    for looks in ["@", "my.example.net.", "10 mail.example.net.", "*", "192.0.2.1"] {
        text(t, looks).await?;
    }
    Ok(())
}

async fn several_texts_come_back(t: &Trial<'_>) -> Done {
    there_and_back(t, t.txt("@", &["one", "two", "three"])?).await
}

async fn texts_that_differ_in_case_are_two(t: &Trial<'_>) -> Done {
    there_and_back(t, t.txt("@", &["token=abc", "token=ABC"])?).await
}

async fn two_long_texts_of_one_name_come_back(t: &Trial<'_>) -> Done {
    t.needs_text(300)?;
    there_and_back(t, t.txt("text", &[&"a".repeat(300), &"b".repeat(300)])?).await
}

async fn where_the_strings_of_a_text_end_does_not_matter(t: &Trial<'_>) -> Done {
    let strings = Text::from_strings([b"v=spf1 ".to_vec(), b"-all".to_vec()]);
    let split = RecordSet::new(t.name("text")?, Ttl::new(3600)?, [RecordData::Txt(strings)])?;
    let mut ours = Ownership::none();
    t.bring(&[Intent::Exactly(split)], &mut ours).await?;
    let joined = set(t, "v=spf1 -all")?;
    let (plan, _) = t.plan(&[Intent::Exactly(joined.clone())], &ours, &PlanOptions::default()).await?;
    ensure(plan.is_empty(), || format!("it would change:\n{plan}"))?;
    t.holds(joined.name(), &[&joined]).await
}
