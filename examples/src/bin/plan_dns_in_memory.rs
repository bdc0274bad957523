//! Plans the DNS records of a server. Run: `cargo run -p cloudron-examples --bin plan_dns_in_memory`

use cloudron_core::{Domain, Progress, Result};
use cloudron_dns::memory::MemoryProvider;
use cloudron_dns::{
    Addresses, MailSettings, Name, Observed, Ownership, PlanOptions, RecordSet, RecordType, Ttl, Zone, apply,
    find_zone, machine_records, plan_for,
};

#[tokio::main]
async fn main() -> Result<()> {
    // A zone whose owner already sends mail through another service.
    let apex = Name::parse("example.com")?;
    let spf = ["v=spf1 include:_spf.example.net -all"];
    let theirs = RecordSet::parse(apex.clone(), Ttl::DEFAULT, RecordType::TXT, spf)?;
    let provider = MemoryProvider::new().with_zone(Zone::new("1", apex.clone()), [Observed::Plain(theirs)]);

    // What a server with these addresses needs.
    let domain = Domain::parse("example.com")?;
    let addresses = Addresses { v4: vec![[192, 0, 2, 1].into()], v6: Vec::new() };
    let wanted = machine_records(&domain, &addresses, &MailSettings::on())?;

    // Planning writes nothing; the plan prints as a diff.
    let zone = find_zone(&provider, &apex).await?;
    let mut ours = Ownership::none();
    let (plan, basis) = plan_for(&provider, &zone, &wanted, &ours, &PlanOptions::default()).await?;
    print!("{plan}");

    // After the plan was applied, planning again finds no changes.
    apply(&provider, &plan, Some(&basis), &Progress::none()).await?;
    ours = plan.ownership;
    let (again, _) = plan_for(&provider, &zone, &wanted, &ours, &PlanOptions::default()).await?;
    print!("after applying it:\n{again}");
    Ok(())
}
