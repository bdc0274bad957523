//! Checks of repeated changes.

use cloudron_core::Progress;

use crate::conformance::{Done, Outcome, Trial, cases, ensure};
use crate::{Change, Intent, Ownership, PlanOptions, RecordSet, RecordType, apply};

cases![
    a_cname_changes_its_target_twice,
    a_name_changes_its_type_twice,
    a_delegation_gets_another_key_and_goes_with_it,
    the_address_of_a_delegated_name_server_changes,
    what_is_said_to_be_written_is_there,
];

/// Brings a zone through these states; after each, its names have those sets and a second run has nothing to do.
async fn through(t: &Trial<'_>, states: &[&[&RecordSet]]) -> Done {
    let mut all: Vec<RecordSet> = Vec::new();
    for state in states {
        all.extend(state.iter().map(|set| (*set).clone()));
    }
    for set in &all {
        t.needs(set.rtype())?;
    }
    let mut ours = Ownership::none();
    let options = PlanOptions::default().prune(true).allow_mass_deletion(true);
    for state in states {
        let desired: Vec<Intent> = state.iter().map(|set| Intent::Exactly((*set).clone())).collect();
        t.bring_with(&desired, &mut ours, &options).await?;
        for name in all.iter().map(RecordSet::name) {
            let mut here = Vec::new();
            here.extend(state.iter().filter(|set| set.name() == name));
            t.holds(name, &here).await?;
        }
        let again = t.bring_with(&desired, &mut ours, &options).await?;
        ensure(again == 0, || format!("a second run makes {again} changes"))?;
    }
    Ok(())
}

async fn a_cname_changes_its_target_twice(t: &Trial<'_>) -> Done {
    let to = |target: &str| t.set("www", RecordType::CNAME, &[target]);
    let (a, b, c) = (to("a.example.net")?, to("b.example.net")?, to("c.example.net")?);
    through(t, &[&[&a], &[&b], &[&c], &[]]).await
}

async fn a_name_changes_its_type_twice(t: &Trial<'_>) -> Done {
    let (address, alias) = (t.a("www", "192.0.2.1")?, t.set("www", RecordType::CNAME, &["a.example.net"])?);
    let (text, mail) = (t.txt("www", &["text"])?, t.set("www", RecordType::MX, &["10 mail.example.net"])?);
    through(t, &[&[&address], &[&alias], &[&text, &mail], &[&alias], &[&address]]).await
}

async fn a_delegation_gets_another_key_and_goes_with_it(t: &Trial<'_>) -> Done {
    let servers = t.set("sub", RecordType::NS, &["ns1.example.net", "ns2.example.net"])?;
    let key = |tag: &str| t.set("sub", RecordType::DS, &[&format!("{tag} 13 2 {}", "ab".repeat(32))]);
    let (one, two) = (key("1")?, key("2")?);
    through(t, &[&[&servers, &one], &[&servers, &two], &[&servers], &[&servers, &one], &[]]).await
}

async fn the_address_of_a_delegated_name_server_changes(t: &Trial<'_>) -> Done {
    let name = t.name("ns.sub")?.to_string();
    let servers = t.set("sub", RecordType::NS, &[&name])?;
    let (one, two) = (t.a("ns.sub", "192.0.2.60")?, t.a("ns.sub", "192.0.2.61")?);
    through(t, &[&[&servers, &one], &[&servers, &two], &[]]).await
}

/// A DS record without a delegation is not allowed in a zone (RFC 4035, section 2.4).
async fn what_is_said_to_be_written_is_there(t: &Trial<'_>) -> Done {
    t.needs(RecordType::DS)?;
    let orphan = t.set("orphan", RecordType::DS, &[&format!("1 13 2 {}", "ab".repeat(32))])?;
    let (mut plan, basis) = t.plan(&[], &Ownership::none(), &PlanOptions::default()).await?;
    plan.changes.push(Change::Create(orphan.clone()));
    match apply(t.provider(), &plan, Some(&basis), &Progress::none()).await {
        Ok(_) => t.holds(orphan.name(), &[&orphan]).await,
        Err(_) => {
            t.holds(orphan.name(), &[]).await?;
            Err(Outcome::Skipped("it has no DS records without a delegation".into()))
        }
    }
}
