//! Checks that correct sets are not written again.

use cloudron_core::Progress;

use crate::conformance::{Done, Trial, cases, ensure};
use crate::{Adopt, Intent, Ownership, PlanOptions, RecordSet, RecordType, apply};

cases![
    addresses_are_not_written_again,
    ipv6_addresses_are_not_written_again,
    cnames_are_not_written_again,
    mail_servers_are_not_written_again,
    texts_are_not_written_again,
    long_texts_are_not_written_again,
    services_are_not_written_again,
    caas_are_not_written_again,
    delegations_are_not_written_again,
    pointers_are_not_written_again,
    wildcards_are_not_written_again,
    international_names_are_not_written_again,
    a_plan_applied_twice_writes_once,
    only_what_differs_is_written,
    an_empty_plan_makes_no_request,
    planning_writes_nothing,
    what_others_made_right_is_not_written,
    what_was_adopted_is_not_written_again,
    the_order_of_wishes_does_not_matter,
    deleting_what_is_gone_writes_nothing,
];

/// Applies sets twice, and checks that the second run writes nothing.
async fn once(t: &Trial<'_>, sets: Vec<RecordSet>) -> Done {
    for set in &sets {
        t.needs(set.rtype())?;
    }
    let desired: Vec<Intent> = sets.into_iter().map(Intent::Exactly).collect();
    let mut ours = Ownership::none();
    let first = t.bring(&desired, &mut ours).await?;
    ensure(first == desired.len(), || format!("the first plan had {first} changes"))?;
    let before = t.calls();
    let (plan, basis) = t.plan(&desired, &ours, &PlanOptions::default()).await?;
    ensure(plan.is_empty(), || format!("the second plan is:\n{plan}"))?;
    apply(t.provider(), &plan, Some(&basis), &Progress::none()).await?;
    let writes = t.calls().since(before).writes;
    ensure(writes == 0, || format!("the rerun made {writes} requests that write"))
}

async fn addresses_are_not_written_again(t: &Trial<'_>) -> Done {
    once(t, vec![t.set("my", RecordType::A, &["192.0.2.2", "192.0.2.1"])?, t.a("@", "192.0.2.1")?]).await
}

async fn ipv6_addresses_are_not_written_again(t: &Trial<'_>) -> Done {
    once(t, vec![t.set("my", RecordType::AAAA, &["2001:DB8:0::1", "::ffff:192.0.2.1"])?]).await
}

async fn cnames_are_not_written_again(t: &Trial<'_>) -> Done {
    let inside = t.name("my")?.to_string();
    let cname = |name, target: &str| t.set(name, RecordType::CNAME, &[target]);
    once(t, vec![cname("a", "x.example.net")?, cname("b", &inside)?, cname("c", &t.zone.apex.to_string())?])
        .await
}

async fn mail_servers_are_not_written_again(t: &Trial<'_>) -> Done {
    let inside = format!("0 my.{}", t.zone.apex);
    once(t, vec![t.set("@", RecordType::MX, &[&inside, "10 mail.example.net"])?]).await
}

async fn texts_are_not_written_again(t: &Trial<'_>) -> Done {
    once(t, vec![t.txt("@", &["v=spf1 -all", "a \"quoted\" word; x", "grüße"])?]).await
}

async fn long_texts_are_not_written_again(t: &Trial<'_>) -> Done {
    t.needs_text(410)?;
    once(t, vec![t.txt("c1._domainkey", &[&"0123456789".repeat(41)])?]).await
}

async fn services_are_not_written_again(t: &Trial<'_>) -> Done {
    let values = ["0 0 993 mail.example.net", "10 5 993 mail.example.net"];
    once(t, vec![t.set("_imaps._tcp", RecordType::SRV, &values)?]).await
}

async fn caas_are_not_written_again(t: &Trial<'_>) -> Done {
    let values = [
        "0 issue \"ca.example.net\"",
        "128 issuewild \"ca.example.net\"",
        "0 iodef \"mailto:security@example.net\"",
    ];
    once(t, vec![t.set("@", RecordType::CAA, &values)?]).await
}

async fn delegations_are_not_written_again(t: &Trial<'_>) -> Done {
    once(t, vec![t.set("sub", RecordType::NS, &["ns2.example.net", "ns1.example.net"])?]).await
}

async fn pointers_are_not_written_again(t: &Trial<'_>) -> Done {
    once(t, vec![t.set("1", RecordType::PTR, &["my.example.net"])?]).await
}

async fn wildcards_are_not_written_again(t: &Trial<'_>) -> Done {
    once(t, vec![t.a("*", "192.0.2.1")?, t.a("*.deep", "192.0.2.1")?]).await
}

async fn international_names_are_not_written_again(t: &Trial<'_>) -> Done {
    let target = format!("10 bücher.{}", t.zone.apex);
    once(t, vec![t.a("Bücher", "192.0.2.1")?, t.set("@", RecordType::MX, &[&target])?]).await
}

async fn a_plan_applied_twice_writes_once(t: &Trial<'_>) -> Done {
    let sets = vec![
        t.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?,
        t.a("*", "192.0.2.1")?,
        t.set("@", RecordType::MX, &["10 my.example.net"])?,
        t.txt("@", &["v=spf1 -all", "other; text"])?,
    ];
    once(t, sets).await
}

async fn only_what_differs_is_written(t: &Trial<'_>) -> Done {
    let (stays, old, new) = (t.a("a", "192.0.2.1")?, t.a("b", "192.0.2.1")?, t.a("b", "192.0.2.2")?);
    let mut ours = Ownership::none();
    t.bring(&[Intent::Exactly(stays.clone()), Intent::Exactly(old)], &mut ours).await?;
    let wishes = [Intent::Exactly(stays.clone()), Intent::Exactly(new.clone())];
    let (plan, basis) = t.plan(&wishes, &ours, &PlanOptions::default()).await?;
    let receipt = apply(t.provider(), &plan, Some(&basis), &Progress::none()).await?;
    ensure(receipt.applied == [new.key().clone()], || format!("it wrote {:?}", receipt.applied))?;
    t.holds(stays.name(), &[&stays]).await
}

async fn an_empty_plan_makes_no_request(t: &Trial<'_>) -> Done {
    t.wire()?;
    let (plan, basis) = t.plan(&[], &Ownership::none(), &PlanOptions::default()).await?;
    let before = t.calls();
    apply(t.provider(), &plan, Some(&basis), &Progress::none()).await?;
    apply(t.provider(), &plan, None, &Progress::none()).await?;
    let calls = t.calls().since(before);
    ensure(calls == Default::default(), || format!("it made {calls:?}"))
}

async fn planning_writes_nothing(t: &Trial<'_>) -> Done {
    let there = t.a("my", "192.0.2.1")?;
    t.others(std::slice::from_ref(&there)).await?;
    let (before, calls) = (t.everything().await?, t.calls());
    let wishes = [
        Intent::Exactly(t.a("my", "192.0.2.2")?),
        Intent::Exactly(t.a("new", "192.0.2.2")?),
        Intent::Absent(there.key().clone()),
    ];
    for wish in wishes {
        t.plan(&[wish], &Ownership::none(), &PlanOptions::default().adopt(Adopt::All)).await?;
    }
    let writes = t.calls().since(calls).writes;
    ensure(writes == 0, || format!("it made {writes} requests that write"))?;
    ensure(t.everything().await? == before, || "the zone changed".into())
}

async fn what_others_made_right_is_not_written(t: &Trial<'_>) -> Done {
    let set = t.set("@", RecordType::MX, &["10 mail.example.net", "20 mail.example.net"])?;
    t.others(std::slice::from_ref(&set)).await?;
    let changes = t.bring(&[Intent::Exactly(set)], &mut Ownership::none()).await?;
    ensure(changes == 0, || format!("{changes} changes"))
}

async fn what_was_adopted_is_not_written_again(t: &Trial<'_>) -> Done {
    t.others(&[t.a("my", "192.0.2.1")?]).await?;
    let wish = [Intent::Exactly(t.a("my", "192.0.2.2")?)];
    let mut ours = Ownership::none();
    t.bring_with(&wish, &mut ours, &PlanOptions::default().adopt(Adopt::All)).await?;
    let changes = t.bring(&wish, &mut ours).await?;
    ensure(changes == 0, || format!("{changes} changes"))
}

async fn the_order_of_wishes_does_not_matter(t: &Trial<'_>) -> Done {
    let names = ["c", "a", "*", "b", "@"];
    let sets: Vec<RecordSet> =
        names.iter().map(|name| t.a(name, "192.0.2.1")).collect::<crate::Result<_>>()?;
    let mut desired: Vec<Intent> = sets.into_iter().map(Intent::Exactly).collect();
    let mut ours = Ownership::none();
    t.bring(&desired, &mut ours).await?;
    desired.reverse();
    let changes = t.bring(&desired, &mut ours).await?;
    ensure(changes == 0, || format!("{changes} changes"))
}

async fn deleting_what_is_gone_writes_nothing(t: &Trial<'_>) -> Done {
    let set = t.a("my", "192.0.2.1")?;
    let mut ours = Ownership::none();
    t.bring(&[Intent::Exactly(set.clone())], &mut ours).await?;
    let gone = [Intent::Absent(set.key().clone())];
    t.bring(&gone, &mut ours).await?;
    let before = t.calls();
    let changes = t.bring(&gone, &mut ours).await?;
    ensure(changes == 0 && t.calls().since(before).writes == 0, || format!("{changes} changes"))
}
