//! The copy of a machine's record that the machine holds, so that another computer can adopt the machine: which DNS
//! records were written for it, and at which host. It holds nothing secret.

use std::time::SystemTime;

use cloudron_api::BoxCommand;
use cloudron_api::command::STDIN;
use cloudron_core::{Domain, Error, Result};
use cloudron_dns::managed::{OwnershipFile, ZoneOwnership};
use cloudron_dns::{Addresses, MailSettings, Name, Ownership, RecordKey, machine_records};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codes;
use crate::commands::dns::work::keys;
use crate::connect::{self, NO_QUESTIONS};
use crate::output::Output;
use crate::state::{Dirs, DnsRecords, Machine, Machines};
use crate::target::Target;

/// What is copied.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordCopy {
    schema: u32,
    pub created: SystemTime,
    pub dns: Option<DnsRecords>,
    /// What is ours of the machine's names, by zone.
    zones: Vec<ZoneOwnership>,
}

impl RecordCopy {
    /// The copy of a machine's record as it is now.
    fn of(machine: &Machine, dirs: &Dirs) -> Result<Self> {
        let domain = Name::from(&machine.fqdn);
        let mut zones = OwnershipFile::enclosing(&dirs.dns(), &domain)?;
        for zone in &mut zones {
            zone.records = of_machine(&zone.records, |key| key.name.is_in(&domain)).0;
        }
        zones.retain(|zone| zone.records != Ownership::none());
        Ok(Self { schema: 1, created: machine.created, dns: machine.dns.clone(), zones })
    }

    /// Reads what a machine says. It is a claim: who controls the machine may have changed it.
    ///
    /// # Errors
    /// `machine-record` when it is no such copy.
    pub(super) fn read(value: Value) -> Result<Self> {
        let broken = |why: String| {
            Error::new(
                &codes::MACHINE_RECORD,
                format!("the record that the machine holds cannot be read: {why}"),
            )
        };
        let copy: Self = serde_json::from_value(value).map_err(|e| broken(e.to_string()))?;
        match copy.schema {
            1 => Ok(copy),
            other => Err(broken(format!("it has schema {other}, this program knows 1"))),
        }
    }

    /// Takes over which records are ours, once the user agreed. Only the names of the machine itself are: for others, a
    /// machine's word is not enough.
    pub(super) fn take_over(&self, domain: &Domain, dirs: &Dirs, out: &Output) -> Result<()> {
        let own = own_keys(domain)?;
        for zone in self.zones.iter().filter(|zone| Name::from(domain).is_in(&zone.zone)) {
            let (ours, others) = of_machine(&zone.records, |key| own.contains(key));
            if !others.is_empty() {
                out.warn(&format!(
                    "{} at {} are not taken over: they are not names of the machine itself. `cloudron dns apply` with \
                     `--adopt` takes them over",
                    keys(&others),
                    zone.provider
                ));
            }
            let taken: Vec<RecordKey> = ours.keys().cloned().collect();
            if taken.is_empty() {
                continue;
            }
            let question = format!(
                "The machine says that the DNS records {} at {} were written for it. Take them over, so that they are \
                 removed with it?",
                keys(&taken),
                zone.provider
            );
            if out.confirm(&question)? {
                zone.add(&dirs.dns(), &ours)?;
            }
        }
        Ok(())
    }
}

/// Leaves the copy on the machine.
pub(crate) async fn leave(target: &Target, machine: &Machine, dirs: &Dirs) -> Result<()> {
    let _: Value = target.call_with(&BoxCommand::Record(STDIN), &RecordCopy::of(machine, dirs)?).await?;
    Ok(())
}

/// Leaves the copy on the machine of a domain after its records were written, when this computer knows one. That the
/// machine cannot be reached is a warning: the records are written.
pub(crate) async fn refresh(domain: &str, out: &Output) {
    let renewed = async {
        let (dirs, Ok(domain)) = (Dirs::from_env()?, Domain::parse_any(domain)) else { return Ok(()) };
        let Some(machine) = Machines::at(dirs.machines()).find(&domain)? else { return Ok(()) };
        leave(&connect::target(&machine, out, NO_QUESTIONS).await?, &machine, &dirs).await
    };
    if let Err(error) = renewed.await {
        out.warn(&format!(
            "the machine {domain} does not have the copy of which records were written, which another computer needs to \
             adopt it: {error}\nRun this command again when the machine answers"
        ));
    }
}

/// The record sets that a machine can have.
fn own_keys(domain: &Domain) -> Result<Vec<RecordKey>> {
    let addresses =
        Addresses { v4: vec![std::net::Ipv4Addr::UNSPECIFIED], v6: vec![std::net::Ipv6Addr::UNSPECIFIED] };
    let records = machine_records(domain, &addresses, &MailSettings::on())?;
    Ok(records.iter().map(cloudron_dns::Intent::key).collect())
}

/// What is ours of these sets, and the other sets of which something is.
fn of_machine(all: &Ownership, is_own: impl Fn(&RecordKey) -> bool) -> (Ownership, Vec<RecordKey>) {
    let (mut ours, mut others) = (Ownership::none(), Vec::new());
    for key in all.keys() {
        match is_own(key) {
            true => ours.add(key, all.values(key)),
            false => others.push(key.clone()),
        }
    }
    (ours, others)
}
