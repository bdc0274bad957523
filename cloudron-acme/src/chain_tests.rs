use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

struct Made {
    key: String,
    leaf: String,
    issuer: String,
}

fn make(names: &[&str], from: SystemTime, until: SystemTime) -> Made {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer_key = KeyPair::generate().unwrap();
    let issuer = params.self_signed(&issuer_key).unwrap();
    let signer = Issuer::new(params, issuer_key);
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (from.into(), until.into());
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &signer).unwrap();
    Made { key: key.serialize_pem(), leaf: leaf.pem(), issuer: issuer.pem() }
}

fn now() -> (SystemTime, Seconds) {
    let now = SystemTime::now();
    (now, i64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap())
}

fn subjects(names: &[&str]) -> Vec<Subject> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn a_certificate_that_is_right_in_everything_is_used() {
    let (time, seconds) = now();
    let made =
        make(&["a.example.com", "*.example.com", "192.0.2.1", "2001:db8::1"], time - HOUR, time + HOUR);
    let read = Certificate::parse(&(made.key + &made.leaf + &made.issuer)).unwrap();
    assert_eq!(read.names, subjects(&["a.example.com", "*.example.com", "192.0.2.1", "2001:db8::1"]));
    read.check(&subjects(&["*.example.com", "192.0.2.1"]), seconds).unwrap();
    assert!(read.ari.is_some_and(|id| id.split('.').count() == 2));
    assert_eq!(read.life.until - read.life.from, 7200);
}

#[test]
fn a_certificate_is_not_used_that_does_not_fit_its_key_or_names_or_time_or_chain() {
    let (time, seconds) = now();
    let made = make(&["a.example.com"], time - HOUR, time + HOUR);
    let other = make(&["a.example.com"], time - HOUR, time + HOUR);
    let parsed = |pem: String| Certificate::parse(&pem);
    let fault = |result: Result<Certificate>| {
        let error = result.unwrap_err();
        assert!(error.is(&codes::CERTIFICATE));
        error.to_string()
    };
    assert!(fault(parsed(other.key.clone() + &made.leaf)).contains("does not fit its key"));
    assert!(fault(parsed(made.key.clone())).contains("no certificate"));
    assert!(fault(parsed(made.leaf.clone())).contains("key cannot be read"));
    assert!(fault(parsed(made.key.clone() + &made.leaf.repeat(9))).contains("more than 8"));
    let checked = |pem: String, names: &[&str], at| {
        let read = parsed(pem).unwrap();
        fault(read.check(&subjects(names), at).map(|()| read.clone()))
    };
    let good = || made.key.clone() + &made.leaf + &made.issuer;
    assert!(checked(good(), &["b.example.com"], seconds).contains("not for b.example.com"));
    assert!(checked(good(), &["a.example.com"], seconds + 7200).contains("not valid now"));
    assert!(checked(good(), &["a.example.com"], seconds - 7200).contains("not valid now"));
    let wrong_chain = made.key.clone() + &made.leaf + &other.issuer;
    assert!(checked(wrong_chain, &["a.example.com"], seconds).contains("chain is not valid"));
}

#[test]
fn what_follows_is_no_part_of_a_certificate_and_no_text_makes_the_reader_panic() {
    let (time, _) = now();
    let made = make(&["a.example.com"], time - HOUR, time + HOUR);
    let pem = made.key + &made.leaf;
    for at in 0..pem.len() {
        let _ = Certificate::parse(&pem[..at]);
        let mut broken = pem.clone().into_bytes();
        broken[at] = b'A';
        let _ = Certificate::parse(&String::from_utf8(broken).unwrap());
    }
}
