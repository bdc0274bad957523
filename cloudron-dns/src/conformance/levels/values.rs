//! Checks that values of every type are returned as they were written, and can be deleted.

use crate::conformance::{Done, Outcome, Trial, cases, ensure};
use crate::{Applied, Change, Intent, Ownership, PlanOptions, RecordSet, RecordType, codes};

cases![
    an_address_comes_back,
    several_addresses_come_back,
    an_ipv6_address_comes_back,
    an_ipv6_address_is_the_same_however_it_is_written,
    several_ipv6_addresses_come_back,
    a_cname_comes_back_absolute,
    a_cname_to_a_name_of_its_own_zone_comes_back,
    a_cname_to_the_top_comes_back,
    a_mail_server_comes_back_with_its_preference,
    several_mail_servers_of_one_preference_come_back,
    a_mail_server_of_the_own_zone_comes_back,
    a_domain_without_mail_comes_back_or_is_refused,
    a_service_comes_back_with_its_zeros,
    several_services_come_back_each_with_its_numbers,
    the_greatest_numbers_of_a_service_come_back,
    a_caa_comes_back_with_its_flags,
    a_caa_that_allows_nobody_comes_back_or_is_refused,
    a_caa_address_for_reports_comes_back,
    a_caa_with_parameters_comes_back_or_is_refused,
    caas_of_one_value_and_two_tags_come_back,
    a_delegation_comes_back,
    a_delegation_to_servers_below_it_comes_back,
    a_pointer_comes_back,
    a_tlsa_record_comes_back_or_is_refused,
    a_record_of_a_type_without_a_name_comes_back_or_is_refused,
];

/// Writes a set, reads it back, deletes it, and checks that it was deleted.
pub(super) async fn there_and_back(t: &Trial<'_>, set: RecordSet) -> Done {
    t.needs(set.rtype())?;
    t.write(Change::Create(set.clone())).await?;
    t.holds(set.name(), &[&set]).await?;
    t.write(Change::Delete(set.clone())).await?;
    t.holds(set.name(), &[]).await
}

pub(super) async fn simple(t: &Trial<'_>, name: &str, rtype: RecordType, values: &[&str]) -> Done {
    there_and_back(t, t.set(name, rtype, values)?).await
}

/// Does the same for a set that may be refused, if this is reported and nothing is written. What the provider refuses
/// without asking its server, a plan refuses too.
pub(super) async fn exotic(t: &Trial<'_>, set: RecordSet, otherwise: &str) -> Done {
    t.needs(set.rtype())?;
    let wish = [Intent::Exactly(set.clone())];
    let (plan, _) = t.plan(&wish, &Ownership::none(), &PlanOptions::default()).await?;
    let before = t.calls();
    match t.try_write(&[Change::Create(set.clone())]).await {
        Ok(_) => {
            t.holds(set.name(), &[&set]).await?;
            t.write(Change::Delete(set.clone())).await?;
            t.holds(set.name(), &[]).await
        }
        Err(failure) => {
            let honest = failure.error.is(&codes::UNSUPPORTED) || failure.error.is(&codes::REFUSED);
            ensure(honest, || format!("the error is {:?}", failure.error))?;
            let asked = failure.error.is(&codes::REFUSED) || t.calls().since(before).writes > 0;
            let foreseen = asked || !plan.conflicts.is_empty();
            ensure(foreseen, || format!("the plan does not foresee: {}", failure.error))?;
            ensure(failure.applied == Applied::Nothing, || format!("{:?} was applied", failure.applied))?;
            t.holds(set.name(), &[]).await?;
            Err(Outcome::Skipped(otherwise.into()))
        }
    }
}

async fn an_address_comes_back(t: &Trial<'_>) -> Done {
    simple(t, "my", RecordType::A, &["192.0.2.1"]).await
}

async fn several_addresses_come_back(t: &Trial<'_>) -> Done {
    simple(t, "my", RecordType::A, &["192.0.2.3", "192.0.2.1", "192.0.2.2"]).await
}

async fn an_ipv6_address_comes_back(t: &Trial<'_>) -> Done {
    simple(t, "my", RecordType::AAAA, &["2001:db8::1"]).await
}

async fn an_ipv6_address_is_the_same_however_it_is_written(t: &Trial<'_>) -> Done {
    for text in ["2001:DB8:0:0:0:0:0:a", "2001:db8:0:1::", "::ffff:192.0.2.1", "2001:db8::0:1:0:0:1"] {
        simple(t, "my", RecordType::AAAA, &[text]).await?;
    }
    Ok(())
}

async fn several_ipv6_addresses_come_back(t: &Trial<'_>) -> Done {
    simple(t, "my", RecordType::AAAA, &["2001:db8::1", "2001:db8::2", "2001:db8:1::"]).await
}

async fn a_cname_comes_back_absolute(t: &Trial<'_>) -> Done {
    simple(t, "www", RecordType::CNAME, &["target.example.net"]).await
}

async fn a_cname_to_a_name_of_its_own_zone_comes_back(t: &Trial<'_>) -> Done {
    let target = t.name("my")?.to_string();
    simple(t, "www", RecordType::CNAME, &[&target]).await
}

async fn a_cname_to_the_top_comes_back(t: &Trial<'_>) -> Done {
    let target = t.zone.apex.to_string();
    simple(t, "www", RecordType::CNAME, &[&target]).await
}

async fn a_mail_server_comes_back_with_its_preference(t: &Trial<'_>) -> Done {
    simple(t, "@", RecordType::MX, &["0 a.example.net", "20 b.example.net", "65535 c.example.net"]).await
}

async fn several_mail_servers_of_one_preference_come_back(t: &Trial<'_>) -> Done {
    let values = ["10 a.example.net", "10 b.example.net", "20 a.example.net"];
    simple(t, "@", RecordType::MX, &values).await
}

async fn a_mail_server_of_the_own_zone_comes_back(t: &Trial<'_>) -> Done {
    let (inside, top) = (format!("10 my.{}", t.zone.apex), format!("20 {}", t.zone.apex));
    simple(t, "@", RecordType::MX, &[&inside, &top]).await
}

async fn a_domain_without_mail_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    exotic(t, t.set("quiet", RecordType::MX, &["0 ."])?, "it has no null MX").await
}

async fn a_service_comes_back_with_its_zeros(t: &Trial<'_>) -> Done {
    simple(t, "_imaps._tcp", RecordType::SRV, &["0 0 993 mail.example.net"]).await
}

async fn several_services_come_back_each_with_its_numbers(t: &Trial<'_>) -> Done {
    let values = [
        "1 0 443 a.example.net",
        "1 0 444 a.example.net",
        "1 2 443 a.example.net",
        "2 0 443 a.example.net",
        "1 0 443 b.example.net",
    ];
    simple(t, "_x._tcp", RecordType::SRV, &values).await
}

async fn the_greatest_numbers_of_a_service_come_back(t: &Trial<'_>) -> Done {
    simple(t, "_x._tcp", RecordType::SRV, &["65535 65535 65535 mail.example.net"]).await
}

async fn a_caa_comes_back_with_its_flags(t: &Trial<'_>) -> Done {
    simple(t, "@", RecordType::CAA, &["128 issue \"ca.example.net\"", "0 issue \"other.example.net\""]).await
}

async fn a_caa_that_allows_nobody_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    exotic(t, t.set("@", RecordType::CAA, &["0 issuewild \";\""])?, "it has no CAA with the value ;").await
}

async fn a_caa_address_for_reports_comes_back(t: &Trial<'_>) -> Done {
    simple(t, "@", RecordType::CAA, &["0 iodef \"mailto:security@example.net\""]).await
}

async fn a_caa_with_parameters_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    let value = "0 issue \"ca.example.net; accounturi=https://ca.example.net/1\"";
    exotic(t, t.set("@", RecordType::CAA, &[value])?, "it has no CAA with parameters").await
}

async fn caas_of_one_value_and_two_tags_come_back(t: &Trial<'_>) -> Done {
    let values = ["0 issue \"ca.example.net\"", "0 issuewild \"ca.example.net\""];
    simple(t, "@", RecordType::CAA, &values).await
}

async fn a_delegation_comes_back(t: &Trial<'_>) -> Done {
    simple(t, "sub", RecordType::NS, &["ns1.example.net", "ns2.example.net"]).await
}

async fn a_delegation_to_servers_below_it_comes_back(t: &Trial<'_>) -> Done {
    let server = t.name("ns1.sub")?.to_string();
    simple(t, "sub", RecordType::NS, &[&server, "ns2.example.net"]).await
}

async fn a_pointer_comes_back(t: &Trial<'_>) -> Done {
    simple(t, "1", RecordType::PTR, &["my.example.net"]).await
}

async fn a_tlsa_record_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    let value = format!(r"\# 35 030101{}", "ab".repeat(32));
    let set = t.set("_25._tcp.my", RecordType::TLSA, &[&value])?;
    exotic(t, set, "it takes no TLSA records").await
}

async fn a_record_of_a_type_without_a_name_comes_back_or_is_refused(t: &Trial<'_>) -> Done {
    let set = t.set("odd", RecordType(65280), &[r"\# 4 00ff2a0a"])?;
    exotic(t, set, "it takes no types that have no name").await
}
