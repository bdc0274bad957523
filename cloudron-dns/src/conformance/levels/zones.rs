//! Checks that zones are found, and that a failed read never counts as an empty zone.

use crate::conformance::{Done, Outcome, Trial, cases, ensure};
use crate::{Batch, Change, Intent, Ownership, Scope, Zone, codes, find_zone};

cases![
    the_zone_is_listed_and_found_for_a_name_below_it,
    the_zone_is_found_for_its_own_name,
    a_name_in_no_zone_finds_none,
    the_longest_zone_that_encloses_a_name_is_found,
    a_zone_whose_name_only_ends_alike_is_another,
    zones_do_not_mix,
    an_unknown_zone_is_an_error_and_not_empty,
    an_unknown_zone_is_not_written,
    a_name_outside_of_the_zone_is_refused,
];

async fn the_zone_is_listed_and_found_for_a_name_below_it(t: &Trial<'_>) -> Done {
    let all = t.provider().list_zones(None).await?;
    if t.can().listing {
        ensure(all.iter().any(|z| z.apex == t.zone.apex), || format!("{all:?} lacks it"))?;
    }
    finds(t, "a.b.c", t.zone).await
}

async fn the_zone_is_found_for_its_own_name(t: &Trial<'_>) -> Done {
    finds(t, "@", t.zone).await
}

async fn finds(t: &Trial<'_>, relative: &str, zone: &Zone) -> Done {
    let found = find_zone(t.provider(), &t.name(relative)?).await?;
    ensure(found.id == zone.id && found.apex == zone.apex, || format!("found {found:?} instead"))
}

async fn a_name_in_no_zone_finds_none(t: &Trial<'_>) -> Done {
    // A name that is reserved as nonexistent (RFC 2606), and one that differs only in its last label.
    let text = t.zone.apex.without_dot();
    for name in ["nothing.invalid".to_owned(), format!("{text}x"), format!("{text}.invalid")] {
        match find_zone(t.provider(), &name.parse()?).await {
            Ok(found) => return Err(Outcome::Failed(format!("found {found:?} for {name}"))),
            Err(error) => ensure(error.is(&codes::ZONE_NOT_FOUND), || format!("the error is {error:?}"))?,
        }
    }
    Ok(())
}

async fn another(t: &Trial<'_>, apex: crate::Name) -> Result<Zone, Outcome> {
    let made = t.fixture.add_zone(t.place, &apex).await?;
    made.ok_or_else(|| Outcome::Skipped("the fixture makes no second zone".into()))
}

async fn the_longest_zone_that_encloses_a_name_is_found(t: &Trial<'_>) -> Done {
    let inner = another(t, t.name("inner")?).await?;
    finds(t, "my.inner", &inner).await?;
    finds(t, "inner", &inner).await?;
    finds(t, "my", t.zone).await?;
    finds(t, "notinner", t.zone).await
}

async fn a_zone_whose_name_only_ends_alike_is_another(t: &Trial<'_>) -> Done {
    let alike: crate::Name = format!("not{}", t.zone.apex.without_dot()).parse()?;
    let other = another(t, alike.clone()).await?;
    let found = find_zone(t.provider(), &alike.below("my")?).await?;
    ensure(found.id == other.id, || format!("found {found:?} instead"))?;
    finds(t, "my", t.zone).await
}

async fn zones_do_not_mix(t: &Trial<'_>) -> Done {
    let inner = another(t, t.name("inner")?).await?;
    let outer = t.a("my", "192.0.2.1")?;
    t.others(std::slice::from_ref(&outer)).await?;
    let set = t.a("my.inner", "192.0.2.2")?;
    let changes = [Change::Create(set.clone())];
    t.provider().apply(Batch::new(&inner, &changes)).await?;
    let names = [set.name().clone(), outer.name().clone()];
    let read = t.provider().read(&inner, Scope::Names(&names)).await?;
    ensure(read.get(set.key()) == Some(&set), || format!("{} is not in the inner zone", set.key()))?;
    ensure(read.get(outer.key()).is_none(), || "a set of the outer zone is in the inner one".into())?;
    t.holds(set.name(), &[]).await?;
    t.holds(outer.name(), &[&outer]).await
}

fn unknown(t: &Trial<'_>) -> Result<Zone, Outcome> {
    Ok(Zone::new("no-such-zone", t.zone.apex.below("no-such-zone")?))
}

async fn an_unknown_zone_is_an_error_and_not_empty(t: &Trial<'_>) -> Done {
    let unknown = unknown(t)?;
    match t.provider().read(&unknown, Scope::Names(std::slice::from_ref(&unknown.apex))).await {
        Ok(_) => Err(Outcome::Failed("it was read".into())),
        Err(error) => ensure(error.is(&codes::ZONE_NOT_FOUND), || format!("the error is {error:?}")),
    }
}

async fn an_unknown_zone_is_not_written(t: &Trial<'_>) -> Done {
    let changes = [Change::Create(t.a("my.no-such-zone", "192.0.2.1")?)];
    match t.provider().apply(Batch::new(&unknown(t)?, &changes)).await {
        Ok(_) => Err(Outcome::Failed("it was written".into())),
        Err(failure) => {
            ensure(failure.error.is(&codes::ZONE_NOT_FOUND), || format!("the error is {:?}", failure.error))?;
            t.holds(&changes[0].key().name, &[]).await
        }
    }
}

async fn a_name_outside_of_the_zone_is_refused(t: &Trial<'_>) -> Done {
    let alike: crate::Name = format!("not{}", t.zone.apex.without_dot()).parse()?;
    for name in [alike, "example.invalid".parse()?] {
        let set = crate::RecordSet::parse(name, 3600.try_into()?, crate::RecordType::A, ["192.0.2.1"])?;
        let (plan, _) =
            t.plan(&[Intent::Exactly(set.clone())], &Ownership::none(), &Default::default()).await?;
        ensure(plan.conflicts.len() == 1, || format!("the plan is {plan}"))?;
        t.refused(&[Change::Create(set)]).await?;
    }
    Ok(())
}
