//! Checks whether receivers find the key that the server signs with (RFC 6376).

use super::Expected;
use super::finding::{Finding, Findings};
use crate::machine::{Dkim, DkimRecord, MIN_RSA_BITS};
use crate::resolve::Resolve;
use crate::{Name, RecordType};

pub(super) async fn check(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    let Some(dkim) = &expected.dkim else {
        let fix = "have the server sign its mail, and set the record of its key";
        return vec![Finding::warn("dkim", &expected.domain, "no key is known that signs its mail", fix)];
    };
    let Ok(name) = dkim.name(&expected.domain) else {
        return vec![Finding::fail(
            "dkim",
            &dkim.selector,
            "the selector is no name",
            "choose another selector",
        )];
    };
    let answer = resolver.resolve(&name, RecordType::TXT).await;
    let texts = match answer.texts() {
        Ok(texts) => texts,
        Err(why) => return vec![Finding::not_known("dkim", &name, &why)],
    };
    vec![judged(&texts, &name, dkim)]
}

fn judged(texts: &[Vec<u8>], name: &Name, dkim: &Dkim) -> Finding {
    let fix = format!("set {name} TXT {}", dkim.record());
    let fail = |evidence: String| Finding::fail("dkim", name, evidence, fix.clone());
    let text = match texts {
        [] => return fail("it has no key record".into()),
        [one] => one,
        // The behaviour of receivers is then not defined (RFC 6376, section 3.6.2.2).
        more => return fail(format!("it has {} key records, where one is allowed", more.len())),
    };
    let record = match DkimRecord::parse(text) {
        Ok(record) => record,
        Err(error) => return fail(error.message().to_owned()),
    };
    if let Some(why) = record.unusable() {
        return fail(format!("its key cannot be used: {why}"));
    }
    if !record.is_key(dkim) {
        return fail("it has another key than the one that signs".into());
    }
    match record.rsa_bits() {
        None => fail(format!("the key is no RSA key that can be read, but {}", record.key_type)),
        Some(bits) if bits < MIN_RSA_BITS => fail(format!("its key has {bits} bits, which receivers refuse")),
        Some(bits) if bits > 4096 => {
            // Receivers must accept 1024 to 4096 (RFC 8301, section 3.2).
            let evidence =
                format!("its key is the right one, with {bits} bits, which not all receivers take");
            Finding::warn("dkim", name, evidence, "use a key of 2048 bits")
        }
        Some(bits) if bits < 2048 => {
            let fix = "rotate to a key of 2048 bits (RFC 8301, section 3.2)";
            Finding::warn("dkim", name, format!("its key is the right one, with {bits} bits"), fix)
        }
        Some(_) if record.testing => {
            let evidence = "its key is the right one, and marked as a test (t=y), so that it does not count";
            Finding::warn("dkim", name, evidence, "remove t=y from the record")
        }
        Some(bits) => Finding::pass("dkim", name, format!("its key is the one that signs, with {bits} bits")),
    }
}
