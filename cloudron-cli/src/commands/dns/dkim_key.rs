//! `cloudron dns dkim-key`

use std::path::PathBuf;
use std::time::SystemTime;

use cloudron_core::{Result, atomic};
use cloudron_dns::machine::{DkimKey, dated_selector};
use cloudron_dns::{Name, RecordSet, Ttl};
use serde_json::json;

use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The domain
    domain: String,
    /// The file for the private key, which must not exist
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// What receivers look the key up by; otherwise c with the year and the month, such as c202611
    #[arg(long, value_name = "SELECTOR")]
    selector: Option<String>,
}

/// Makes a key and prints its record on stdout, in the form of a zone file.
pub(super) fn run(options: &Options, out: &Output) -> Result<()> {
    let domain = Name::parse(&options.domain)?;
    let selector = options.selector.clone().unwrap_or_else(|| dated_selector(SystemTime::now(), &[]));
    let key = DkimKey::generate()?;
    let dkim = key.dkim(selector);
    let record = RecordSet::new(dkim.name(&domain)?, Ttl::DEFAULT, [dkim.record()])?;
    atomic::create_private(&options.out, key.private_pem().expose().as_bytes())?;
    if out.is_json() {
        let about = json!({ "selector": dkim.selector, "file": options.out, "bits": key.bits() });
        return out.json_object(json!({ "key": about, "records": [record] }));
    }
    out.text(&record.to_string())?;
    out.say(&format!(
        "The private key is in {file}. The record above goes into the zone, with the others of the mail as --dkim \
         {selector}=file:{file}.",
        file = options.out.display(),
        selector = dkim.selector,
    ));
    Ok(())
}
