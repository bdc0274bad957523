//! The catalogue: locations, types of servers, images, prices. The numbers are examples.

use serde_json::{Value, json};

pub(super) fn locations() -> Vec<Value> {
    [
        ("fsn1", "Falkenstein", "DE", "eu-central"),
        ("hel1", "Helsinki", "FI", "eu-central"),
        ("ash", "Ashburn, VA", "US", "us-east"),
    ]
    .iter()
    .zip(1..)
    .map(|((name, city, country, zone), id)| {
        json!({ "id": id, "name": name, "description": city, "country": country, "city": city,
                "latitude": 50.0, "longitude": 12.0, "network_zone": zone })
    })
    .collect()
}

/// `full` are the types and locations where no server can be made now.
pub(super) fn server_types(full: &[(String, String)]) -> Vec<Value> {
    let kinds = [
        ("cx23", "x86", 2, 4.0, 40, "3.4900"),
        ("cx33", "x86", 4, 8.0, 80, "5.4900"),
        ("cax11", "arm", 2, 4.0, 40, "3.7900"),
    ];
    kinds
        .iter()
        .zip(1..)
        .map(|((name, architecture, cores, memory, disk, net), id)| {
            let sold: Vec<Value> = locations().into_iter().filter(|l| *name != "cax11" || l["name"] != "ash").collect();
            let prices: Vec<Value> = sold.iter().map(|l| price(l, net)).collect();
            let places: Vec<Value> = sold
                .iter()
                .map(|l| {
                    let available = !full.iter().any(|(t, at)| t == name && l["name"] == at.as_str());
                    json!({ "id": l["id"], "name": l["name"], "deprecation": null, "available": available, "recommended": available })
                })
                .collect();
            json!({ "id": id, "name": name, "description": name.to_uppercase(), "category": "cost_optimized",
                "cores": cores, "memory": memory, "disk": disk, "prices": prices, "storage_type": "local",
                "cpu_type": "shared", "architecture": architecture, "deprecated": false, "deprecation": null,
                "locations": places })
        })
        .collect()
}

fn price(location: &Value, net: &str) -> Value {
    let amount = |net: &str| json!({ "net": net, "gross": net });
    json!({ "location": location["name"], "price_hourly": amount("0.0060"), "price_monthly": amount(net),
        "included_traffic": 21_990_232_555_520_u64, "price_per_tb_traffic": amount("1.0000") })
}

pub(super) fn images() -> Vec<Value> {
    [
        ("debian-12", "debian", "12", "x86"),
        ("debian-12", "debian", "12", "arm"),
        ("debian-13", "debian", "13", "x86"),
        ("ubuntu-24.04", "ubuntu", "24.04", "x86"),
    ]
    .iter()
    .zip(101..)
    .map(|((name, flavor, version, architecture), id)| {
        json!({ "id": id, "type": "system", "status": "available", "name": name, "description": name,
                "image_size": null, "disk_size": 5, "created": "2026-01-01T00:00:00Z", "created_from": null,
                "bound_to": null, "os_flavor": flavor, "os_version": version, "rapid_deploy": true,
                "protection": { "delete": false }, "deprecated": null, "deleted": null, "labels": {},
                "architecture": architecture })
    })
    .collect()
}

pub(super) fn pricing() -> Value {
    let amount = |net: &str| json!({ "net": net, "gross": net });
    let types: Vec<Value> = server_types(&[])
        .into_iter()
        .map(|t| json!({ "id": t["id"], "name": t["name"], "prices": t["prices"] }))
        .collect();
    let addresses: Vec<Value> = [("ipv4", "0.5000"), ("ipv6", "0.0000")]
        .iter()
        .map(|(kind, net)| {
            let prices: Vec<Value> = locations()
                .iter()
                .map(|l| json!({ "location": l["name"], "price_hourly": amount("0.0008"), "price_monthly": amount(net) }))
                .collect();
            json!({ "type": kind, "prices": prices })
        })
        .collect();
    json!({ "pricing": { "currency": "EUR", "vat_rate": "0.00", "server_types": types, "primary_ips": addresses,
        "floating_ip": null, "floating_ips": [], "image": { "price_per_gb_month": amount("0.0110") },
        "load_balancer_types": [], "server_backup": { "percentage": "20.0" }, "traffic": null,
        "volume": { "price_per_gb_month": amount("0.0440") } } })
}
