//! The copy of a machine's record on the machine itself, so that another computer can adopt the machine:
//! which DNS records were written for it, and at which host. It holds no secrets.

use std::time::SystemTime;

use cloudron_api::BoxCommand;
use cloudron_api::command::STDIN;
use cloudron_core::{Domain, Error, Result};
use cloudron_dns::managed::{OwnershipFile, ZoneOwnership};
use cloudron_dns::{Addresses, MailSettings, Name, Ownership, RecordKey, machine_records};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ask::Question;
use crate::codes;
use crate::dns::keys;
use crate::manager::Manager;
use crate::program::Program;
use crate::registry::{DnsRecords, Machine};
use crate::state_dir::StateDir;

/// The copied part of a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordCopy {
    schema: u32,
    pub created: SystemTime,
    pub dns: Option<DnsRecords>,
    /// The ownership of record sets under the machine's names, by zone.
    zones: Vec<ZoneOwnership>,
}

impl RecordCopy {
    /// Returns a copy of a machine's current record.
    fn of(machine: &Machine, state: &StateDir) -> Result<Self> {
        let domain = Name::from(&machine.fqdn);
        let mut zones = OwnershipFile::enclosing(&state.dns(), &domain)?;
        for zone in &mut zones {
            zone.records = of_machine(&zone.records, |key| key.name.is_in(&domain)).0;
        }
        zones.retain(|zone| zone.records != Ownership::none());
        Ok(Self { schema: 1, created: machine.created, dns: machine.dns.clone(), zones })
    }

    /// Parses the copy that a machine returns. It is not trusted: an attacker in control of the machine may
    /// have changed it.
    ///
    /// # Errors
    /// `machine-record` if it is not a valid copy.
    pub(crate) fn read(value: Value) -> Result<Self> {
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

    /// Takes over the ownership of record sets, once the user agreed. Only names of the machine itself are
    /// accepted.
    pub(crate) fn take_over(&self, domain: &Domain, manager: &Manager) -> Result<()> {
        let own = own_keys(domain)?;
        for zone in self.zones.iter().filter(|zone| Name::from(domain).is_in(&zone.zone)) {
            let (ours, others) = of_machine(&zone.records, |key| own.contains(key));
            if !others.is_empty() {
                manager.progress().warn(format!(
                    "{} at {} are not taken over: they are not names of the machine itself. Records are taken over one by \
                     one when they are written",
                    keys(&others),
                    zone.provider
                ));
            }
            let taken: Vec<RecordKey> = ours.keys().cloned().collect();
            if taken.is_empty() {
                continue;
            }
            let records = keys(&taken);
            let question = Question::TakeOver { records: &records, host: &zone.provider };
            if manager.ask().confirm(&question)? {
                zone.add(&manager.state().dns(), &ours)?;
            }
        }
        Ok(())
    }
}

/// Writes the copy on the machine.
pub(crate) async fn leave(program: &Program, machine: &Machine, state: &StateDir) -> Result<()> {
    let _: Value = program.call_with(&BoxCommand::Record(STDIN), &RecordCopy::of(machine, state)?).await?;
    Ok(())
}

impl Manager {
    /// Updates the copy on the machine of a domain after its records were written, if this computer knows the
    /// machine.
    ///
    /// # Errors
    /// Errors of connecting to the machine.
    pub async fn refresh_record(&self, domain: &Domain) -> Result<()> {
        let Some(machine) = self.machines().find(domain)? else { return Ok(()) };
        leave(&self.reach(&machine).await?, &machine, self.state()).await
    }
}

/// Returns the record sets that a machine can have.
fn own_keys(domain: &Domain) -> Result<Vec<RecordKey>> {
    let addresses =
        Addresses { v4: vec![std::net::Ipv4Addr::UNSPECIFIED], v6: vec![std::net::Ipv6Addr::UNSPECIFIED] };
    let records = machine_records(domain, &addresses, &MailSettings::on())?;
    Ok(records.iter().map(cloudron_dns::Intent::key).collect())
}

/// Splits an ownership into that of the machine's record sets and the keys of the others.
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
