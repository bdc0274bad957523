//! Checks that record sets change as a whole: no old value stays, and nothing else changes.

use super::values::{exotic, there_and_back};
use crate::conformance::{Done, Trial, cases, ensure};
use crate::{Change, Intent, Ownership, PlanOptions, RecordSet, RecordType, Ttl};

cases![
    the_shortest_time_to_live_comes_back,
    a_time_to_live_of_a_day_comes_back,
    the_longest_time_to_live_comes_back_or_is_refused,
    a_time_to_live_that_is_too_short_is_raised_and_told,
    a_time_to_live_changes_alone,
    a_time_to_live_changes_with_the_values,
    sets_of_one_name_do_not_mix,
    a_replacement_leaves_nothing_of_the_old_values,
    a_replacement_of_many_values_leaves_nothing_of_them,
    a_set_grows_and_shrinks,
    a_set_shrinks_to_one_value,
    a_deletion_leaves_none_of_many_values,
    the_order_of_values_does_not_matter,
    what_was_deleted_can_be_made_again,
    a_cname_gives_way_to_an_address,
    an_address_gives_way_to_a_cname,
    a_preference_changes_alone,
];

async fn the_shortest_time_to_live_comes_back(t: &Trial<'_>) -> Done {
    let least = t.can().min_ttl.max(Ttl::new(1)?);
    there_and_back(t, t.a("my", "192.0.2.1")?.with_ttl(least)).await
}

async fn a_time_to_live_of_a_day_comes_back(t: &Trial<'_>) -> Done {
    there_and_back(t, t.a("my", "192.0.2.1")?.with_ttl(Ttl::new(86_400)?)).await
}

async fn the_longest_time_to_live_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    exotic(t, t.a("my", "192.0.2.1")?.with_ttl(Ttl::MAX), "it has no times to live of 68 years").await
}

async fn a_time_to_live_that_is_too_short_is_raised_and_told(t: &Trial<'_>) -> Done {
    let least = t.can().min_ttl;
    if least <= Ttl::new(1)? {
        return crate::conformance::skipped("it takes any time to live");
    }
    let wish = [Intent::Exactly(t.a("my", "192.0.2.1")?.with_ttl(Ttl::new(1)?))];
    let mut ours = Ownership::none();
    let (plan, _) = t.plan(&wish, &ours, &PlanOptions::default()).await?;
    ensure(plan.adjusted.len() == 1, || format!("the plan does not say so:\n{plan}"))?;
    t.bring(&wish, &mut ours).await?;
    let raised = t.a("my", "192.0.2.1")?.with_ttl(least);
    t.holds(raised.name(), &[&raised]).await?;
    let again = t.bring(&wish, &mut ours).await?;
    ensure(again == 0, || "it is written again on every run".into())
}

/// Writes one set, then another of the same name and type.
async fn turn(t: &Trial<'_>, old: RecordSet, new: RecordSet) -> Done {
    let mut ours = Ownership::none();
    t.bring(&[Intent::Exactly(old)], &mut ours).await?;
    let changes = t.bring(&[Intent::Exactly(new.clone())], &mut ours).await?;
    ensure(changes == 1, || format!("{changes} changes instead of 1"))?;
    t.holds(new.name(), &[&new]).await
}

async fn a_time_to_live_changes_alone(t: &Trial<'_>) -> Done {
    let slow = t.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?;
    turn(t, slow.clone(), slow.with_ttl(1800.try_into()?)).await
}

async fn a_time_to_live_changes_with_the_values(t: &Trial<'_>) -> Done {
    let slow = t.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?;
    let fast = t.set("my", RecordType::A, &["192.0.2.2", "192.0.2.3"])?.with_ttl(1800.try_into()?);
    turn(t, slow, fast).await
}

async fn sets_of_one_name_do_not_mix(t: &Trial<'_>) -> Done {
    let sets =
        [t.a("my", "192.0.2.1")?, t.txt("my", &["text"])?, t.set("my", RecordType::AAAA, &["2001:db8::1"])?];
    for set in &sets {
        t.write(Change::Create(set.clone())).await?;
    }
    t.holds(sets[0].name(), &[&sets[0], &sets[1], &sets[2]]).await?;
    t.write(Change::Delete(sets[2].clone())).await?;
    t.holds(sets[0].name(), &[&sets[0], &sets[1]]).await?;
    let other = t.read(&[t.name("other")?]).await?;
    let mine = other.at(sets[0].name()).count();
    // A provider may return more than requested, but then completely.
    ensure(mine == 0 || mine == 2, || format!("it answered {mine} of the 2 sets of another name"))
}

async fn a_replacement_leaves_nothing_of_the_old_values(t: &Trial<'_>) -> Done {
    turn(t, t.a("my", "192.0.2.1")?, t.a("my", "192.0.2.2")?).await
}

async fn a_replacement_of_many_values_leaves_nothing_of_them(t: &Trial<'_>) -> Done {
    let old = t.txt("my", &["a", "b", "c", "d"])?;
    turn(t, old.clone(), t.txt("my", &["e", "f"])?).await?;
    t.write(Change::Delete(t.txt("my", &["e", "f"])?)).await?;
    turn(t, t.txt("my", &["e", "f"])?, old).await
}

async fn a_set_grows_and_shrinks(t: &Trial<'_>) -> Done {
    let (one, two) = (t.txt("@", &["a"])?, t.txt("@", &["b"])?);
    let mut ours = Ownership::none();
    t.bring(&[Intent::Include(one.clone())], &mut ours).await?;
    t.bring(&[Intent::Include(two.clone())], &mut ours).await?;
    t.holds(one.name(), &[&t.txt("@", &["a", "b"])?]).await?;
    t.bring(&[Intent::Exclude(one)], &mut ours).await?;
    t.holds(two.name(), &[&two]).await?;
    t.bring(&[Intent::Exclude(two.clone())], &mut ours).await?;
    t.holds(two.name(), &[]).await
}

async fn a_set_shrinks_to_one_value(t: &Trial<'_>) -> Done {
    let many = t.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2", "192.0.2.3"])?;
    turn(t, many, t.a("my", "192.0.2.2")?).await
}

async fn a_deletion_leaves_none_of_many_values(t: &Trial<'_>) -> Done {
    let many = t.txt("my", &["a", "b", "c", "d", "e"])?;
    there_and_back(t, many).await
}

async fn the_order_of_values_does_not_matter(t: &Trial<'_>) -> Done {
    let mut ours = Ownership::none();
    let texts = ["10 c.example.net", "30 a.example.net", "20 b.example.net"];
    let turned: Vec<&str> = texts.iter().rev().copied().collect();
    t.bring(&[Intent::Exactly(t.set("@", RecordType::MX, &texts)?)], &mut ours).await?;
    let again = t.bring(&[Intent::Exactly(t.set("@", RecordType::MX, &turned)?)], &mut ours).await?;
    ensure(again == 0, || "it is written again".into())
}

async fn what_was_deleted_can_be_made_again(t: &Trial<'_>) -> Done {
    let set = t.a("my", "192.0.2.1")?;
    for _ in 0..3 {
        there_and_back(t, set.clone()).await?;
    }
    Ok(())
}

/// Replaces one set of ours by another of its name.
async fn swap(t: &Trial<'_>, old: RecordSet, new: RecordSet) -> Done {
    t.needs(RecordType::CNAME)?;
    let mut ours = Ownership::none();
    t.bring(&[Intent::Exactly(old)], &mut ours).await?;
    t.bring(&[Intent::Exactly(new.clone())], &mut ours).await?;
    t.holds(new.name(), &[&new]).await
}

async fn a_cname_gives_way_to_an_address(t: &Trial<'_>) -> Done {
    swap(t, t.set("my", RecordType::CNAME, &["a.example.net"])?, t.a("my", "192.0.2.1")?).await
}

async fn an_address_gives_way_to_a_cname(t: &Trial<'_>) -> Done {
    swap(t, t.a("my", "192.0.2.1")?, t.set("my", RecordType::CNAME, &["a.example.net"])?).await
}

async fn a_preference_changes_alone(t: &Trial<'_>) -> Done {
    let mx = |preference| t.set("@", RecordType::MX, &[preference]);
    turn(t, mx("10 mail.example.net")?, mx("20 mail.example.net")?).await
}
