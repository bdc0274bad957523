//! The catalogue: regions, sizes and images. The numbers are examples.

use serde_json::{Value, json};

const REGIONS: [(&str, &str); 3] = [("fra1", "Frankfurt 1"), ("nyc3", "New York 3"), ("sgp1", "Singapore 1")];

/// Name, processors, memory, disk, monthly price, and whether Singapore lacks it.
const SIZES: [(&str, u32, u32, u32, f64, bool); 3] = [
    ("s-1vcpu-2gb", 1, 2048, 50, 12.0, false),
    ("s-2vcpu-4gb", 2, 4096, 80, 24.0, false),
    ("c-2", 2, 4096, 25, 42.0, true),
];

/// `full` are the sizes and regions where no droplet can be made now.
pub(super) fn sizes(full: &[(String, String)]) -> Vec<Value> {
    let size = |&(slug, vcpus, memory, disk, price, rare): &(&str, u32, u32, u32, f64, bool)| {
        let taken = |region: &str| full.iter().any(|(s, r)| s == slug && r == region);
        let offered = REGIONS.iter().map(|(region, _)| *region);
        let regions: Vec<&str> = offered.filter(|r| !(taken(r) || rare && *r == "sgp1")).collect();
        json!({ "slug": slug, "memory": memory, "vcpus": vcpus, "disk": disk, "transfer": 2.0,
            "price_monthly": price, "price_hourly": price / 672.0, "regions": regions,
            "available": !regions.is_empty(), "description": "Basic" })
    };
    SIZES.iter().map(size).collect()
}

pub(super) fn regions(full: &[(String, String)]) -> Vec<Value> {
    let region = |(slug, name): &(&str, &str)| {
        let offered = sizes(full);
        let here =
            offered.iter().filter(|s| s["regions"].as_array().is_some_and(|r| r.contains(&json!(slug))));
        let here: Vec<&Value> = here.map(|s| &s["slug"]).collect();
        json!({ "slug": slug, "name": name, "available": true, "sizes": here,
            "features": ["backups", "ipv6", "metadata", "install_agent", "storage"] })
    };
    REGIONS.iter().map(region).collect()
}

pub(super) fn images() -> Vec<Value> {
    [("debian-12-x64", "Debian", "12 x64"), ("debian-13-x64", "Debian", "13 x64"), ("ubuntu-24-04-x64", "Ubuntu", "24.04 (LTS) x64")]
        .iter()
        .zip(501..)
        .map(|((slug, distribution, name), id)| {
            json!({ "id": id, "slug": slug, "name": name, "distribution": distribution, "type": "base", "public": true,
                "regions": REGIONS.map(|(slug, _)| slug), "created_at": "2026-01-01T00:00:00Z", "min_disk_size": 10,
                "size_gigabytes": 1.0, "description": name, "tags": [], "status": "available", "error_message": "" })
        })
        .collect()
}

/// Returns the one of a catalogue with that slug or ID.
pub(super) fn chosen(list: &[Value], wanted: &Value) -> Option<Value> {
    list.iter().find(|v| v["slug"] == *wanted || v["id"] == *wanted).cloned()
}
