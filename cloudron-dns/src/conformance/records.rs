//! Checks that every record set comes back as it was written.

use super::{Done, Outcome, Place, cases, ensure};
use crate::{Applied, Batch, Change, RecordData, RecordSet, RecordType, Ttl, codes};

cases![
    an_address_comes_back,
    several_addresses_come_back,
    an_ipv6_address_comes_back,
    a_cname_comes_back_absolute,
    a_mail_server_comes_back_with_its_preference,
    a_service_comes_back_with_its_zeros,
    a_caa_comes_back_with_its_flags,
    a_delegation_comes_back,
    a_text_comes_back,
    a_text_of_more_than_255_bytes_comes_back,
    quotes_and_semicolons_come_back,
    backslashes_come_back_or_are_refused,
    a_text_beyond_ascii_comes_back,
    several_texts_come_back,
    a_wildcard_comes_back_and_goes,
    records_at_the_top_come_back,
    a_name_with_an_underscore_comes_back,
    an_international_name_comes_back,
    the_time_to_live_comes_back,
    sets_of_one_name_do_not_mix,
];

/// Writes a set, reads it back, deletes it, and sees it gone.
async fn there_and_back(place: &Place, set: RecordSet) -> Done {
    place.needs(set.rtype())?;
    write(place, Change::Create(set.clone())).await?;
    place.holds(set.name(), &[&set]).await?;
    write(place, Change::Delete(set.clone())).await?;
    place.holds(set.name(), &[]).await
}

async fn write(place: &Place, change: Change) -> Done {
    let read = place.read(std::slice::from_ref(&change.key().name)).await?;
    let changes = [change];
    let batch = Batch::new(&place.zone, &changes).with_handle(read.handle.as_ref());
    place.provider.apply(batch).await?;
    Ok(())
}

async fn simple(place: &Place, name: &str, rtype: RecordType, values: &[&str]) -> Done {
    there_and_back(place, place.set(name, rtype, values)?).await
}

async fn an_address_comes_back(place: &Place) -> Done {
    simple(place, "my", RecordType::A, &["192.0.2.1"]).await
}

async fn several_addresses_come_back(place: &Place) -> Done {
    simple(place, "my", RecordType::A, &["192.0.2.3", "192.0.2.1", "192.0.2.2"]).await
}

async fn an_ipv6_address_comes_back(place: &Place) -> Done {
    simple(place, "my", RecordType::AAAA, &["2001:db8::1"]).await
}

async fn a_cname_comes_back_absolute(place: &Place) -> Done {
    simple(place, "www", RecordType::CNAME, &["target.example.net"]).await
}

async fn a_mail_server_comes_back_with_its_preference(place: &Place) -> Done {
    simple(place, "@", RecordType::MX, &["0 a.example.net", "20 b.example.net"]).await
}

async fn a_service_comes_back_with_its_zeros(place: &Place) -> Done {
    simple(place, "_imaps._tcp", RecordType::SRV, &["0 0 993 mail.example.net"]).await
}

async fn a_caa_comes_back_with_its_flags(place: &Place) -> Done {
    simple(place, "@", RecordType::CAA, &["128 issue \"ca.example.net\"", "0 issuewild \";\""]).await
}

async fn a_delegation_comes_back(place: &Place) -> Done {
    simple(place, "sub", RecordType::NS, &["ns1.example.net", "ns2.example.net"]).await
}

async fn a_text_comes_back(place: &Place) -> Done {
    simple(place, "@", RecordType::TXT, &["v=spf1 a:my.example.net ~all"]).await
}

async fn text(place: &Place, text: impl Into<Vec<u8>>) -> Done {
    let value = RecordData::txt(text);
    there_and_back(place, RecordSet::new(place.name("text")?, Ttl::new(3600)?, [value])?).await
}

async fn a_text_of_more_than_255_bytes_comes_back(place: &Place) -> Done {
    // As long as the public half of an RSA key of 2048 bits, with its tags.
    let most = place.provider.capabilities().max_txt;
    text(place, "0123456789".repeat(41).get(..most.min(410)).unwrap_or_default()).await
}

async fn quotes_and_semicolons_come_back(place: &Place) -> Done {
    text(place, r#"a "quoted" word; and  two spaces"#).await
}

async fn backslashes_come_back_or_are_refused(place: &Place) -> Done {
    let value = RecordData::txt(r"a \ backslash, \052");
    let set = RecordSet::new(place.name("text")?, Ttl::new(3600)?, [value])?;
    let changes = [Change::Create(set.clone())];
    match place.provider.apply(Batch::new(&place.zone, &changes)).await {
        Ok(_) => place.holds(set.name(), &[&set]).await,
        Err(failure) if failure.error.is(&codes::UNSUPPORTED) && failure.applied == Applied::Nothing => {
            place.holds(set.name(), &[]).await?;
            Err(Outcome::Skipped("it has no texts with a backslash".into()))
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn a_text_beyond_ascii_comes_back(place: &Place) -> Done {
    text(place, "grüße ☃").await
}

async fn several_texts_come_back(place: &Place) -> Done {
    simple(place, "@", RecordType::TXT, &["one", "two", "three"]).await
}

async fn a_wildcard_comes_back_and_goes(place: &Place) -> Done {
    simple(place, "*", RecordType::A, &["192.0.2.1"]).await?;
    simple(place, "*.deep", RecordType::A, &["192.0.2.1"]).await
}

async fn records_at_the_top_come_back(place: &Place) -> Done {
    simple(place, "@", RecordType::A, &["192.0.2.1"]).await
}

async fn a_name_with_an_underscore_comes_back(place: &Place) -> Done {
    simple(place, "_dmarc", RecordType::TXT, &["v=DMARC1; p=none"]).await
}

async fn an_international_name_comes_back(place: &Place) -> Done {
    simple(place, "BÜCHER", RecordType::A, &["192.0.2.1"]).await
}

async fn the_time_to_live_comes_back(place: &Place) -> Done {
    let least = place.provider.capabilities().min_ttl.max(Ttl::new(300)?);
    for ttl in [least, Ttl::new(86_400)?] {
        there_and_back(place, place.set("my", RecordType::A, &["192.0.2.1"])?.with_ttl(ttl)).await?;
    }
    Ok(())
}

async fn sets_of_one_name_do_not_mix(place: &Place) -> Done {
    let sets = [
        place.set("my", RecordType::A, &["192.0.2.1"])?,
        place.set("my", RecordType::AAAA, &["2001:db8::1"])?,
        place.set("my", RecordType::TXT, &["text"])?,
    ];
    for set in &sets {
        write(place, Change::Create(set.clone())).await?;
    }
    place.holds(sets[0].name(), &[&sets[0], &sets[1], &sets[2]]).await?;
    write(place, Change::Delete(sets[1].clone())).await?;
    place.holds(sets[0].name(), &[&sets[0], &sets[2]]).await?;
    let other = place.read(&[place.name("other")?]).await?;
    let mine = other.at(sets[0].name()).count();
    // More than was asked for may be answered, but then it must be all of it.
    ensure(mine == 0 || mine == 2, || format!("it answered {mine} of the 2 sets of another name"))
}
