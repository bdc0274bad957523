//! Checks that nothing of others is lost, and that forbidden changes are refused.

use crate::conformance::{Done, Outcome, Trial, cases, ensure, skipped};
use crate::{
    Adopt, Change, Intent, Observed, Ownership, PlanOptions, Reason, RecordSet, RecordType, Ttl, codes,
};

cases![
    records_of_others_are_a_conflict_and_stay,
    adoption_takes_over_what_is_named_and_no_more,
    a_value_of_ours_comes_and_goes_beside_those_of_others,
    pruning_takes_what_is_ours_and_no_more,
    an_spf_record_of_others_is_merged_and_given_back,
    a_second_spf_record_is_never_made,
    records_of_others_are_the_same_after_everything,
    the_zones_own_name_servers_are_never_written,
    the_start_of_authority_is_never_written,
    a_cname_at_the_top_is_refused,
    a_cname_beside_an_address_is_refused,
    an_address_beside_a_cname_is_refused,
    a_name_below_a_delegation_is_refused,
    a_large_share_of_the_zone_is_not_deleted_by_accident,
    what_is_opaque_is_listed_and_never_written_over,
    a_type_that_it_does_not_have_is_refused_before_anything_is_written,
    a_text_that_is_too_long_is_refused_before_anything_is_written,
];

async fn conflict(t: &Trial<'_>, wish: Intent) -> Result<Reason, Outcome> {
    let (plan, _) = t.plan(std::slice::from_ref(&wish), &Ownership::none(), &PlanOptions::default()).await?;
    ensure(plan.changes.is_empty(), || format!("it would change:\n{plan}"))?;
    match &plan.conflicts[..] {
        [conflict] => Ok(conflict.reason.clone()),
        _ => Err(Outcome::Failed(format!("{} conflicts", plan.conflicts.len()))),
    }
}

async fn records_of_others_are_a_conflict_and_stay(t: &Trial<'_>) -> Done {
    let theirs = t.set("@", RecordType::MX, &["1 mail.example.net"])?;
    t.others(std::slice::from_ref(&theirs)).await?;
    let wish = Intent::Exactly(t.set("@", RecordType::MX, &["10 other.example.net"])?);
    let reason = conflict(t, wish.clone()).await?;
    ensure(reason == Reason::Foreign, || format!("the conflict is {reason:?}"))?;
    let done = t.bring(&[wish], &mut Ownership::none()).await;
    ensure(done.is_err(), || "a plan with a conflict was applied".into())?;
    t.holds(theirs.name(), &[&theirs]).await
}

async fn adoption_takes_over_what_is_named_and_no_more(t: &Trial<'_>) -> Done {
    let (named, other) = (t.a("named", "192.0.2.1")?, t.a("other", "192.0.2.1")?);
    t.others(&[named.clone(), other.clone()]).await?;
    let options = PlanOptions::default().adopt(Adopt::Keys(vec![named.key().clone()]));
    let new = t.a("named", "192.0.2.2")?;
    t.bring_with(&[Intent::Exactly(new.clone())], &mut Ownership::none(), &options).await?;
    t.holds(new.name(), &[&new]).await?;
    let wish = [Intent::Exactly(t.a("other", "192.0.2.2")?)];
    let done = t.bring_with(&wish, &mut Ownership::none(), &options).await;
    ensure(done.is_err(), || "what was not named was taken over".into())?;
    t.holds(other.name(), &[&other]).await
}

async fn a_value_of_ours_comes_and_goes_beside_those_of_others(t: &Trial<'_>) -> Done {
    let theirs = t.txt("@", &["theirs=1", "theirs=2"])?;
    t.others(std::slice::from_ref(&theirs)).await?;
    let our = t.txt("@", &["ours"])?;
    let mut ours = Ownership::none();
    t.bring(&[Intent::Include(our.clone())], &mut ours).await?;
    t.holds(our.name(), &[&t.txt("@", &["ours", "theirs=1", "theirs=2"])?]).await?;
    t.bring(&[Intent::Exclude(our)], &mut ours).await?;
    t.holds(theirs.name(), &[&theirs]).await
}

async fn pruning_takes_what_is_ours_and_no_more(t: &Trial<'_>) -> Done {
    let theirs = [t.a("theirs", "192.0.2.1")?, t.txt("@", &["theirs"])?];
    t.others(&theirs).await?;
    let mut ours = Ownership::none();
    let wishes = [Intent::Exactly(t.a("ours", "192.0.2.1")?), Intent::Include(t.txt("@", &["ours"])?)];
    t.bring(&wishes, &mut ours).await?;
    t.bring_with(&[], &mut ours, &PlanOptions::default().prune(true)).await?;
    t.holds(&t.name("ours")?, &[]).await?;
    for set in &theirs {
        t.holds(set.name(), &[set]).await?;
    }
    Ok(())
}

async fn an_spf_record_of_others_is_merged_and_given_back(t: &Trial<'_>) -> Done {
    let theirs = t.txt("@", &["v=spf1 include:_spf.example.net -all", "verification=1"])?;
    t.others(std::slice::from_ref(&theirs)).await?;
    let (name, mechanisms) = (t.zone.apex.clone(), vec!["a:my.example.net".to_owned()]);
    let mut ours = Ownership::none();
    let put = Intent::Spf { name: name.clone(), ttl: Ttl::new(3600)?, mechanisms: mechanisms.clone() };
    t.bring(std::slice::from_ref(&put), &mut ours).await?;
    let merged = t.txt("@", &["v=spf1 include:_spf.example.net a:my.example.net -all", "verification=1"])?;
    t.holds(&name, &[&merged]).await?;
    let again = t.bring(&[put], &mut ours).await?;
    ensure(again == 0, || "it is merged again on every run".into())?;
    t.bring(&[Intent::SpfWithout { name: name.clone(), mechanisms }], &mut ours).await?;
    t.holds(&name, &[&theirs]).await
}

async fn a_second_spf_record_is_never_made(t: &Trial<'_>) -> Done {
    let theirs = t.txt("@", &["v=spf1 -all"])?;
    t.others(std::slice::from_ref(&theirs)).await?;
    let reason = conflict(t, Intent::Include(t.txt("@", &["v=spf1 mx -all"])?)).await?;
    ensure(matches!(reason, Reason::Spf(_)), || format!("the conflict is {reason:?}"))?;
    t.holds(theirs.name(), &[&theirs]).await
}

async fn records_of_others_are_the_same_after_everything(t: &Trial<'_>) -> Done {
    let all = [
        t.set("@", RecordType::A, &["192.0.2.7", "192.0.2.8"])?,
        t.set("@", RecordType::MX, &["0 a.example.net", "10 b.example.net"])?,
        t.txt("@", &["a \"quoted\" text; x", "two"])?,
        t.set("_x._tcp", RecordType::SRV, &["0 0 1 a.example.net", "1 0 1 a.example.net"])?,
        t.set("ca", RecordType::CAA, &["128 issue \"ca.example.net\""])?,
        t.set("sub", RecordType::NS, &["ns1.example.net"])?,
        t.set("www", RecordType::CNAME, &["a.example.net"])?,
        t.a("*", "192.0.2.9")?,
        t.set("my", RecordType::AAAA, &["2001:db8::7"])?,
    ];
    let theirs: Vec<RecordSet> = all.into_iter().filter(|s| t.needs(s.rtype()).is_ok()).collect();
    t.others(&theirs).await?;
    let before = t.everything().await?;
    let mut ours = Ownership::none();
    let steps = [
        vec![Intent::Exactly(t.a("my", "192.0.2.1")?), Intent::Include(t.txt("@", &["ours"])?)],
        vec![Intent::Exactly(t.a("my", "192.0.2.2")?), Intent::Exactly(t.a("*.deep", "192.0.2.2")?)],
        vec![Intent::Exactly(t.set("my", RecordType::A, &["192.0.2.2", "192.0.2.3"])?)],
        vec![],
    ];
    for wishes in steps {
        t.bring_with(&wishes, &mut ours, &PlanOptions::default().prune(true)).await?;
    }
    let after = t.everything().await?;
    ensure(before == after, || {
        let gone = before.iter().filter(|s| !after.contains(s)).cloned().collect::<Vec<_>>();
        let new = after.iter().filter(|s| !before.contains(s)).cloned().collect::<Vec<_>>();
        let shown = crate::conformance::trial::shown::<Observed>;
        format!("[{}] became [{}]", shown(&gone), shown(&new))
    })
}

async fn the_zones_own_name_servers_are_never_written(t: &Trial<'_>) -> Done {
    let servers = t.set("@", RecordType::NS, &["ns.example.net"])?;
    let reason = conflict(t, Intent::Exactly(servers.clone())).await?;
    ensure(matches!(reason, Reason::Protected | Reason::Unsupported(_)), || format!("{reason:?}"))?;
    let there = t.everything().await?.into_iter().find(|s| s.key() == servers.key());
    match there.as_ref().and_then(Observed::plain) {
        Some(old) => {
            t.refused(&[Change::Delete(old.clone())]).await?;
            t.refused(&[Change::Replace { old: old.clone(), new: servers }]).await
        }
        None => t.refused(&[Change::Create(servers)]).await,
    }
}

async fn the_start_of_authority_is_never_written(t: &Trial<'_>) -> Done {
    let mut rdata = vec![0, 0];
    [1u32, 7200, 900, 1_209_600, 86_400].iter().for_each(|n| rdata.extend(n.to_be_bytes()));
    let value = crate::RecordData::from_rdata(RecordType::SOA, &rdata)?;
    let soa = RecordSet::new(t.zone.apex.clone(), Ttl::new(3600)?, [value])?;
    conflict(t, Intent::Exactly(soa.clone())).await?;
    t.refused(&[Change::Create(soa)]).await
}

async fn a_cname_at_the_top_is_refused(t: &Trial<'_>) -> Done {
    let cname = t.set("@", RecordType::CNAME, &["a.example.net"])?;
    conflict(t, Intent::Exactly(cname.clone())).await?;
    t.refused(&[Change::Create(cname)]).await
}

async fn a_cname_beside_an_address_is_refused(t: &Trial<'_>) -> Done {
    let there = t.a("my", "192.0.2.1")?;
    let cname = t.set("my", RecordType::CNAME, &["x.example.net"])?;
    t.others(std::slice::from_ref(&there)).await?;
    let reason = conflict(t, Intent::Exactly(cname.clone())).await?;
    let right = matches!(reason, Reason::CnameAndOther | Reason::Unsupported(_));
    ensure(right, || format!("the conflict is {reason:?}"))?;
    t.refused(&[Change::Create(cname)]).await
}

async fn an_address_beside_a_cname_is_refused(t: &Trial<'_>) -> Done {
    t.needs(RecordType::CNAME)?;
    let there = t.set("my", RecordType::CNAME, &["x.example.net"])?;
    t.others(std::slice::from_ref(&there)).await?;
    let address = t.a("my", "192.0.2.1")?;
    let reason = conflict(t, Intent::Exactly(address.clone())).await?;
    ensure(reason == Reason::CnameAndOther, || format!("the conflict is {reason:?}"))?;
    t.refused(&[Change::Create(address)]).await
}

async fn a_name_below_a_delegation_is_refused(t: &Trial<'_>) -> Done {
    t.needs(RecordType::NS)?;
    t.others(&[t.set("sub", RecordType::NS, &["ns1.example.net"])?]).await?;
    for name in ["sub", "my.sub", "a.b.sub"] {
        let reason = conflict(t, Intent::Exactly(t.a(name, "192.0.2.1")?)).await?;
        ensure(matches!(reason, Reason::Delegated(_)), || format!("the conflict is {reason:?}"))?;
    }
    Ok(())
}

async fn a_large_share_of_the_zone_is_not_deleted_by_accident(t: &Trial<'_>) -> Done {
    t.needs_listing()?;
    let mut ours = Ownership::none();
    let sets: Vec<RecordSet> =
        (0..12).map(|n| t.a(&format!("n{n}"), "192.0.2.1")).collect::<crate::Result<_>>()?;
    let wishes: Vec<Intent> = sets.iter().cloned().map(Intent::Exactly).collect();
    t.bring(&wishes, &mut ours).await?;
    let all = t.provider().read(t.zone, crate::Scope::Zone).await?;
    let options = PlanOptions::with_capabilities(t.can()).prune(true);
    let plan = crate::plan(&[], &all, &ours, &options);
    let brake = plan.conflicts.iter().any(|c| matches!(c.reason, Reason::MassDeletion(_)));
    ensure(brake, || "the plan deletes everything without a word".into())?;
    let allowed = crate::plan(&[], &all, &ours, &options.allow_mass_deletion(true));
    ensure(allowed.changes.len() == 12, || format!("it deletes {} of 12", allowed.changes.len()))
}

async fn what_is_opaque_is_listed_and_never_written_over(t: &Trial<'_>) -> Done {
    let Some(key) = t.truth()?.put_opaque(t.zone).await? else {
        return skipped("the fixture has nothing opaque");
    };
    let read = t.read(std::slice::from_ref(&key.name)).await?;
    let opaque = read.all_of(&key.name, key.rtype).any(|set| set.plain().is_none());
    ensure(opaque, || format!("{key} is not listed as opaque"))?;
    if key.rtype == RecordType::A {
        let set = RecordSet::parse(key.name, Ttl::new(3600)?, RecordType::A, ["192.0.2.1"])?;
        let reason = conflict(t, Intent::Exactly(set.clone())).await?;
        ensure(reason == Reason::Opaque, || format!("the conflict is {reason:?}"))?;
        t.refused(&[Change::Create(set)]).await?;
    }
    Ok(())
}

/// Checks that an unsupported set is a conflict in the plan, and stops a batch before anything of it is written.
async fn stops(t: &Trial<'_>, impossible: RecordSet) -> Done {
    let reason = conflict(t, Intent::Exactly(impossible.clone())).await?;
    ensure(matches!(reason, Reason::Unsupported(_)), || format!("the conflict is {reason:?}"))?;
    let fine = t.a("aaa", "192.0.2.1")?;
    let before = t.everything().await?;
    match t.try_write(&[Change::Create(fine), Change::Create(impossible)]).await {
        Ok(_) => return Err(Outcome::Failed("it was written".into())),
        Err(failure) => {
            let honest = failure.error.is(&codes::UNSUPPORTED) || failure.error.is(&codes::REFUSED);
            ensure(honest, || format!("the error is {:?}", failure.error))?;
        }
    }
    ensure(t.everything().await? == before, || "part of the batch was written".into())
}

async fn a_type_that_it_does_not_have_is_refused_before_anything_is_written(t: &Trial<'_>) -> Done {
    let Some(types) = t.can().types else { return skipped("it has every type") };
    let candidates = [
        t.set("x", RecordType::PTR, &["my.example.net"])?,
        t.set("x", RecordType(65280), &[r"\# 1 00"])?,
        t.set("x", RecordType::CAA, &["0 issue \"ca.example.net\""])?,
    ];
    match candidates.into_iter().find(|set| !types.contains(&set.rtype())) {
        Some(set) => stops(t, set).await,
        None => skipped("it has every type"),
    }
}

async fn a_text_that_is_too_long_is_refused_before_anything_is_written(t: &Trial<'_>) -> Done {
    let most = t.can().max_txt;
    if most >= 65_280 {
        return skipped("it takes any text");
    }
    stops(t, t.txt("x", &[&"x".repeat(most + 1)])?).await
}
