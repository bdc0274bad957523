//! Checks that zones of many sets are read completely, for any page size of the provider.

use crate::conformance::{Done, Outcome, Trial, cases, ensure};
use crate::{Change, Intent, Ownership, RecordSet, RecordType, Scope};

cases![
    a_whole_zone_is_read_complete,
    twenty_one_sets_are_read_complete,
    a_hundred_and_one_sets_are_read_complete,
    two_hundred_and_one_sets_are_read_complete,
    three_hundred_and_one_sets_are_read_complete,
    one_set_among_three_hundred_is_found_and_changed,
    a_set_of_fifty_values_is_read_complete,
    a_name_with_sets_of_many_types_is_read_complete,
];

async fn a_whole_zone_is_read_complete(t: &Trial<'_>) -> Done {
    t.needs_listing()?;
    let set = t.txt("a.b", &["x"])?;
    t.others(std::slice::from_ref(&set)).await?;
    let all = t.provider().read(t.zone, Scope::Zone).await?;
    ensure(all.complete, || "the snapshot says that it is not complete".into())?;
    ensure(all.get(set.key()) == Some(&set), || format!("{} is not in it", set.key()))
}

async fn fill(t: &Trial<'_>, count: usize) -> Result<Vec<RecordSet>, Outcome> {
    let address = |n: usize| format!("192.0.2.{}", n % 256);
    let sets: Vec<_> =
        (0..count).map(|n| t.a(&format!("n{n}"), &address(n))).collect::<crate::Result<_>>()?;
    t.others(&sets).await?;
    Ok(sets)
}

async fn many(t: &Trial<'_>, count: usize) -> Done {
    let sets = fill(t, count).await?;
    let names: Vec<_> = sets.iter().map(|s| s.name().clone()).collect();
    let mut scopes = vec![Scope::Names(&names)];
    if t.can().listing {
        scopes.push(Scope::Zone);
    }
    for scope in scopes {
        let read = t.provider().read(t.zone, scope).await?;
        let missing = sets.iter().filter(|s| read.get(s.key()) != Some(s)).count();
        ensure(missing == 0, || format!("{missing} of {count} sets are missing"))?;
    }
    Ok(())
}

async fn twenty_one_sets_are_read_complete(t: &Trial<'_>) -> Done {
    many(t, 21).await
}

async fn a_hundred_and_one_sets_are_read_complete(t: &Trial<'_>) -> Done {
    many(t, 101).await
}

async fn two_hundred_and_one_sets_are_read_complete(t: &Trial<'_>) -> Done {
    many(t, 201).await
}

async fn three_hundred_and_one_sets_are_read_complete(t: &Trial<'_>) -> Done {
    many(t, 301).await
}

async fn one_set_among_three_hundred_is_found_and_changed(t: &Trial<'_>) -> Done {
    let sets = fill(t, 300).await?;
    // In the order of names it is among the last.
    let (old, new) = (&sets[99], t.a("n99", "192.0.2.250")?);
    t.write(Change::Replace { old: old.clone(), new: new.clone() }).await?;
    t.holds(new.name(), &[&new]).await?;
    t.holds(sets[98].name(), &[&sets[98]]).await?;
    t.write(Change::Delete(new.clone())).await?;
    t.holds(new.name(), &[]).await
}

async fn a_set_of_fifty_values_is_read_complete(t: &Trial<'_>) -> Done {
    let texts: Vec<String> = (0..50).map(|n| format!("192.0.2.{n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let set = t.set("many", RecordType::A, &texts)?;
    let mut ours = Ownership::none();
    t.bring(&[Intent::Exactly(set.clone())], &mut ours).await?;
    t.holds(set.name(), &[&set]).await?;
    t.bring(&[Intent::Absent(set.key().clone())], &mut ours).await?;
    t.holds(set.name(), &[]).await
}

async fn a_name_with_sets_of_many_types_is_read_complete(t: &Trial<'_>) -> Done {
    let all = [
        t.a("my", "192.0.2.1")?,
        t.set("my", RecordType::AAAA, &["2001:db8::1"])?,
        t.set("my", RecordType::MX, &["10 mail.example.net"])?,
        t.set("my", RecordType::CAA, &["0 issue \"ca.example.net\""])?,
        t.txt("my", &["text"])?,
    ];
    let sets: Vec<&RecordSet> = all.iter().filter(|s| t.needs(s.rtype()).is_ok()).collect();
    t.others(&sets.iter().map(|s| (*s).clone()).collect::<Vec<_>>()).await?;
    t.holds(sets[0].name(), &sets).await
}
