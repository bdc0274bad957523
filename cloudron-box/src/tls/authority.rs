//! Creating the certificate authority and the server's certificate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::system::files;
use crate::time::millis;
use crate::{Error, Layout, Result, codes};

const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// Lifetime of the server's certificate: the maximum that browsers accept from a user-added authority.
const LEAF_LIFE: Duration = Duration::from_secs(397 * 24 * 3600);

/// Validity of the server's certificate, in milliseconds since 1970. It is stored separately, since reading
/// it from the certificate would need a parser.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validity {
    from: i64,
    until: i64,
    /// Whether it has the names one label below the domain, which versions before it had not.
    #[serde(default)]
    below: bool,
}

/// Creates the authority and the certificate for the domain, unless they exist.
pub(crate) fn ensure(layout: &Layout, fqdn: &str, now: SystemTime) -> Result<()> {
    if !layout.authority().exists() || !key_file(layout).exists() {
        make_authority(layout, fqdn, now)?;
    }
    if !leaf_is_current(layout, now) {
        renew_leaf(layout, fqdn, now)?;
    }
    Ok(())
}

/// Returns the SHA-256 of the authority's certificate, in hexadecimal.
pub(crate) fn fingerprint(ca_pem: &str) -> Result<String> {
    let der = CertificateDer::from_pem_slice(ca_pem.as_bytes())
        .map_err(|e| Error::new(&codes::CERTIFICATE, format!("the authority's certificate: {e:?}")))?;
    Ok(hex::encode(Sha256::digest(&der)))
}

/// Returns true if the server's certificate exists, is valid now and for another month. A certificate made
/// with a wrong clock is renewed.
pub(crate) fn leaf_is_current(layout: &Layout, now: SystemTime) -> bool {
    let validity = files::read_json::<Validity>(&validity_file(layout)).ok().flatten();
    let now = millis(now);
    let month = i64::try_from(30 * DAY.as_millis()).unwrap_or(i64::MAX);
    leaf_file(layout).exists()
        && leaf_key_file(layout).exists()
        && validity.is_some_and(|v| v.below && v.from <= now && now < v.until - month)
}

/// Creates a new certificate for the server.
pub(crate) fn renew_leaf(layout: &Layout, fqdn: &str, now: SystemTime) -> Result<()> {
    let ca_key = std::fs::read_to_string(key_file(layout)).map_err(|e| Error::io(key_file(layout), e))?;
    let ca_pem = std::fs::read_to_string(layout.authority()).map_err(|e| Error::io(layout.authority(), e))?;
    let ca_key = KeyPair::from_pem(&ca_key).map_err(wrong)?;
    // rcgen reads a certificate's parameters only with a parser; these are sufficient for signing.
    let issuer = Issuer::new(authority_params(fqdn, now)?, ca_key);
    let (from, until) = (now - 2 * DAY, now + LEAF_LIFE);
    let mut params = CertificateParams::new(vec![
        format!("my.{fqdn}"),
        fqdn.to_owned(),
        format!("*.{fqdn}"),
        "localhost".to_owned(),
    ])
    .map_err(wrong)?;
    for address in LOOPBACK {
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    params.distinguished_name = named(&format!("my.{fqdn}"));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (from.into(), until.into());
    let key = KeyPair::generate().map_err(wrong)?;
    let leaf = params.signed_by(&key, &issuer).map_err(wrong)?;
    // The record is removed first and written last: after a crash in between, the certificate is made again.
    files::remove_file(&validity_file(layout))?;
    files::write_private(&leaf_key_file(layout), key.serialize_pem().as_bytes())?;
    files::write_private(&leaf_file(layout), format!("{}{ca_pem}", leaf.pem()).as_bytes())?;
    files::write_json(
        &validity_file(layout),
        &Validity { from: millis(from), until: millis(until), below: true },
    )
}

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn make_authority(layout: &Layout, fqdn: &str, now: SystemTime) -> Result<()> {
    let key = KeyPair::generate().map_err(wrong)?;
    let certificate = authority_params(fqdn, now)?.self_signed(&key).map_err(wrong)?;
    files::remove_file(&validity_file(layout))?;
    files::write_private(&key_file(layout), key.serialize_pem().as_bytes())?;
    files::write_private(&layout.authority(), certificate.pem().as_bytes())
}

/// Returns the authority's parameters. It is constrained to this machine's names, so that trusting it in a
/// browser affects no other site. It is valid from 2020, in case the machine's clock is late.
fn authority_params(fqdn: &str, now: SystemTime) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).map_err(wrong)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = named(&format!("Cloudron authority of {fqdn}"));
    let names = [fqdn, "localhost"].map(|name| GeneralSubtree::DnsName(name.to_owned()));
    let loopback = LOOPBACK.map(|address| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
    });
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.into_iter().chain(loopback).collect(),
        excluded_subtrees: Vec::new(),
    });
    let start = rcgen::date_time_ymd(2020, 1, 1);
    params.not_before = start;
    params.not_after = SystemTime::from(start).max(now).checked_add(20 * YEAR).unwrap_or(now).into();
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn wrong(error: rcgen::Error) -> Error {
    Error::new(&codes::CERTIFICATE, format!("the certificate could not be made: {error}"))
}

fn key_file(layout: &Layout) -> PathBuf {
    layout.secrets().join("ca.key")
}

pub(super) fn leaf_file(layout: &Layout) -> PathBuf {
    layout.secrets().join("server.pem")
}

pub(super) fn leaf_key_file(layout: &Layout) -> PathBuf {
    layout.secrets().join("server.key")
}

fn validity_file(layout: &Layout) -> PathBuf {
    layout.secrets().join("server.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_a_month_before_its_end_and_when_the_clock_was_wrong() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::rooted(home.path().join("m"));
        files::private_folder(layout.state()).unwrap();
        files::private_folder(&layout.secrets()).unwrap();
        let now = SystemTime::now();
        ensure(&layout, "demo.localhost", now).unwrap();
        let authority = std::fs::read(layout.authority()).unwrap();
        assert!(leaf_is_current(&layout, now) && leaf_is_current(&layout, now + 360 * DAY));
        assert!(!leaf_is_current(&layout, now + 368 * DAY) && !leaf_is_current(&layout, now - 3 * DAY));
        ensure(&layout, "demo.localhost", SystemTime::UNIX_EPOCH + 400 * DAY).unwrap();
        assert!(!leaf_is_current(&layout, now));
        ensure(&layout, "demo.localhost", now).unwrap();
        assert!(leaf_is_current(&layout, now));
        assert_eq!(std::fs::read(layout.authority()).unwrap(), authority, "the pinned authority stays");
    }
}
