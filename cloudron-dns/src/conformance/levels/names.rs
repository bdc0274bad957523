//! Checks that names are returned as they were written, and are independent of each other.

use super::values::{exotic, simple, there_and_back};
use crate::conformance::{Done, Trial, cases, ensure};
use crate::{Change, Name, RecordSet, RecordType, Ttl};

cases![
    a_wildcard_comes_back_and_goes,
    a_wildcard_two_labels_down_comes_back_and_goes,
    a_wildcard_and_its_neighbours_do_not_mix,
    a_wildcard_of_another_type_comes_back,
    records_at_the_top_come_back,
    a_name_with_an_underscore_comes_back,
    a_name_of_several_underscores_comes_back,
    an_international_name_comes_back,
    a_name_in_capitals_is_the_same_name,
    a_label_of_63_bytes_comes_back,
    a_name_of_250_bytes_comes_back,
    a_name_of_many_labels_comes_back,
    a_name_of_digits_comes_back,
    a_name_that_repeats_the_zones_name_comes_back,
    a_name_that_ends_like_the_zone_without_a_dot_comes_back,
    names_that_begin_alike_do_not_mix,
    a_name_above_another_is_its_own,
    a_dot_within_a_label_comes_back_or_is_refused,
];

async fn a(t: &Trial<'_>, name: &str) -> Done {
    simple(t, name, RecordType::A, &["192.0.2.1"]).await
}

async fn a_wildcard_comes_back_and_goes(t: &Trial<'_>) -> Done {
    a(t, "*").await
}

async fn a_wildcard_two_labels_down_comes_back_and_goes(t: &Trial<'_>) -> Done {
    a(t, "*.deep").await?;
    a(t, "*.very.deep").await
}

async fn a_wildcard_and_its_neighbours_do_not_mix(t: &Trial<'_>) -> Done {
    let sets = [t.a("*", "192.0.2.1")?, t.a("my", "192.0.2.2")?, t.a("@", "192.0.2.3")?];
    t.others(&sets).await?;
    // The answers of a wildcard in the DNS are not records of the zone.
    t.holds(&t.name("none")?, &[]).await?;
    let new = t.a("*", "192.0.2.4")?;
    t.write(Change::Replace { old: sets[0].clone(), new: new.clone() }).await?;
    t.holds(new.name(), &[&new]).await?;
    for set in &sets[1..] {
        t.holds(set.name(), &[set]).await?;
    }
    t.write(Change::Delete(new.clone())).await?;
    t.holds(new.name(), &[]).await?;
    t.holds(sets[1].name(), &[&sets[1]]).await
}

async fn a_wildcard_of_another_type_comes_back(t: &Trial<'_>) -> Done {
    simple(t, "*.mail", RecordType::MX, &["10 mail.example.net"]).await?;
    there_and_back(t, t.txt("*._report._dmarc", &["v=DMARC1"])?).await
}

async fn records_at_the_top_come_back(t: &Trial<'_>) -> Done {
    a(t, "@").await
}

async fn a_name_with_an_underscore_comes_back(t: &Trial<'_>) -> Done {
    there_and_back(t, t.txt("_dmarc", &["v=DMARC1; p=none"])?).await
}

async fn a_name_of_several_underscores_comes_back(t: &Trial<'_>) -> Done {
    there_and_back(t, t.txt("_25._tcp.my_host", &["x"])?).await
}

async fn an_international_name_comes_back(t: &Trial<'_>) -> Done {
    a(t, "BÜCHER").await
}

async fn a_name_in_capitals_is_the_same_name(t: &Trial<'_>) -> Done {
    let set = t.a("MY.Deep", "192.0.2.1")?;
    t.others(std::slice::from_ref(&set)).await?;
    t.holds(&t.name("my.deep")?, &[&set]).await
}

async fn a_label_of_63_bytes_comes_back(t: &Trial<'_>) -> Done {
    a(t, &"l".repeat(63)).await
}

/// Returns a relative name for which the absolute name has that many bytes in presentation form, without the final dot.
fn long(t: &Trial<'_>, bytes: usize) -> String {
    let mut rest = bytes.saturating_sub(t.zone.apex.without_dot().len() + 1);
    let mut labels = Vec::new();
    while rest > 0 {
        // A label of one byte cannot follow a dot that is the last byte.
        let label = if rest == 61 { 59 } else { rest.min(60) };
        labels.push("l".repeat(label));
        rest -= (label + 1).min(rest);
    }
    labels.join(".")
}

async fn a_name_of_250_bytes_comes_back(t: &Trial<'_>) -> Done {
    let relative = long(t, 250);
    let name = t.name(&relative)?;
    ensure(name.without_dot().len() == 250, || format!("the check made {} bytes", name.without_dot().len()))?;
    a(t, &relative).await
}

async fn a_name_of_many_labels_comes_back(t: &Trial<'_>) -> Done {
    a(t, &vec!["x"; 30].join(".")).await
}

async fn a_name_of_digits_comes_back(t: &Trial<'_>) -> Done {
    a(t, "1").await?;
    a(t, "1.2.3.4").await
}

async fn a_name_that_repeats_the_zones_name_comes_back(t: &Trial<'_>) -> Done {
    let relative = t.zone.apex.without_dot().to_owned();
    a(t, &relative).await?;
    a(t, &format!("my.{relative}")).await
}

async fn a_name_that_ends_like_the_zone_without_a_dot_comes_back(t: &Trial<'_>) -> Done {
    a(t, &format!("not{}", t.zone.apex.without_dot())).await
}

async fn names_that_begin_alike_do_not_mix(t: &Trial<'_>) -> Done {
    let names = ["a", "aa", "a.a", "b.a", "a.b"];
    let sets: Vec<RecordSet> =
        (1..).zip(names).map(|(n, name)| t.a(name, &format!("192.0.2.{n}"))).collect::<crate::Result<_>>()?;
    t.others(&sets).await?;
    for set in &sets {
        t.holds(set.name(), &[set]).await?;
    }
    t.write(Change::Delete(sets[0].clone())).await?;
    t.holds(sets[0].name(), &[]).await?;
    for set in &sets[1..] {
        t.holds(set.name(), &[set]).await?;
    }
    Ok(())
}

async fn a_name_above_another_is_its_own(t: &Trial<'_>) -> Done {
    let (below, above) = (t.a("x.above", "192.0.2.1")?, t.a("above", "192.0.2.2")?);
    t.others(std::slice::from_ref(&below)).await?;
    t.holds(above.name(), &[]).await?;
    t.write(Change::Create(above.clone())).await?;
    t.write(Change::Delete(above.clone())).await?;
    t.holds(below.name(), &[&below]).await
}

async fn a_dot_within_a_label_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    let mut labels = vec![b"a.b".to_vec()];
    labels.extend(t.zone.apex.raw_labels());
    let name = Name::from_labels(labels.iter().map(Vec::as_slice))?;
    let set = RecordSet::parse(name, Ttl::new(3600)?, RecordType::A, ["192.0.2.1"])?;
    exotic(t, set, "it has no names with a dot within a label").await
}
