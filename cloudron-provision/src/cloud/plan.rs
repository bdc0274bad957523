//! The resources that a run would create, its calls, permissions and cost.

use std::fmt;

use cloudron_core::escape;
use cloudron_core::table::Table;
use serde::Serialize;
use serde_json::{Value, json};

/// A sum of money, exact to a millionth of the currency's unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Millionths of the unit.
    pub micros: u64,
    /// The currency: `EUR`.
    pub currency: String,
}

impl Amount {
    /// Parses a decimal number such as `3.4900`; none for anything else.
    pub fn parse(text: &str, currency: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 9 || !digits(whole) || !digits(part) {
            return None;
        }
        // What is less than a millionth is no price.
        let part: String = part.chars().chain("000000".chars()).take(6).collect();
        let micros = whole.parse::<u64>().ok()? * 1_000_000 + part.parse::<u64>().ok()?;
        let known = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        known.then(|| Self { micros, currency: currency.into() })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.micros.div_ceil(10_000);
        write!(f, "{}.{:02} {}", cents / 100, cents % 100, self.currency)
    }
}

/// The cost of something per month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "cost")]
pub enum Cost {
    /// Nothing.
    Free,
    /// The amount per month, without tax.
    Monthly(Amount),
    /// It is not known.
    Unknown,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Monthly(amount) => amount.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Something that would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Its kind: `server`, `firewall`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// A description: `cx23 in fsn1, debian-12`.
    pub what: String,
    /// The cost.
    pub cost: Cost,
}

/// A call that would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedCall {
    /// The call: `POST /servers`.
    pub call: &'static str,
    /// The purpose.
    pub what: &'static str,
    /// True if it is repeated until something is ready.
    pub polled: bool,
}

/// The resources that a run would create, its calls, permissions and cost. Computed without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The resources that would be created.
    pub resources: Vec<Planned>,
    /// The calls that would be made.
    pub calls: Vec<PlannedCall>,
    /// The permissions that the credentials need.
    pub permissions: Vec<&'static str>,
}

impl Plan {
    /// Creates a plan.
    pub fn new(resources: Vec<Planned>, calls: Vec<PlannedCall>, permissions: Vec<&'static str>) -> Self {
        Self { resources, calls, permissions }
    }

    /// Returns the cost of everything per month; unknown if that of a part is, or if the currencies differ.
    pub fn cost(&self) -> Cost {
        let mut sum: Option<Amount> = None;
        for resource in &self.resources {
            let amount = match &resource.cost {
                Cost::Free => continue,
                Cost::Unknown => return Cost::Unknown,
                Cost::Monthly(amount) => amount,
            };
            match &mut sum {
                None => sum = Some(amount.clone()),
                Some(sum) if sum.currency == amount.currency => sum.micros += amount.micros,
                Some(_) => return Cost::Unknown,
            }
        }
        sum.map_or(Cost::Free, Cost::Monthly)
    }

    /// Returns the plan as JSON, with the cost of everything.
    pub fn to_json(&self) -> Value {
        let Self { resources, calls, permissions } = self;
        json!({ "resources": resources, "calls": calls, "permissions": permissions, "total": self.cost() })
    }

    /// Returns the resources as a table with the cost of each per month, and a line with the cost of everything.
    pub fn costs(&self) -> String {
        let mut table = Table::new(["Resource", "Name", "What", "Cost a month"]);
        for Planned { kind, name, what, cost } in &self.resources {
            table.row([(*kind).into(), name.clone(), what.clone(), cost.to_string()]);
        }
        let unknown: Vec<&str> =
            self.resources.iter().filter(|r| r.cost == Cost::Unknown).map(|r| r.kind).collect();
        let total = match (self.cost(), unknown.is_empty()) {
            (Cost::Unknown, true) => "unknown: the currencies differ".to_owned(),
            (Cost::Unknown, false) => format!("unknown: there is no price for {}", unknown.join(", ")),
            (cost, _) => cost.to_string(),
        };
        format!("{}Total a month, without tax: {}\n", table.render(), escape::line(&total))
    }
}

/// Writes the resources with their cost, the calls, and what the credentials must be allowed to do.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.costs())?;
        let mut table = Table::new(["Call", "For"]);
        for PlannedCall { call, what, polled } in &self.calls {
            let again = if *polled { ", repeated until then" } else { "" };
            table.row([(*call).into(), format!("{what}{again}")]);
        }
        let polled = self.calls.iter().filter(|call| call.polled).count();
        write!(f, "\n{}{} calls, {polled} of them repeated\n", table.render(), self.calls.len())?;
        writeln!(f, "\nThe credentials need:")?;
        self.permissions.iter().try_for_each(|permission| writeln!(f, "  {permission}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_and_rounded_up_for_display() {
        let shown = |text| Amount::parse(text, "EUR").map(|a| a.to_string());
        assert_eq!(shown("3.4900").as_deref(), Some("3.49 EUR"));
        assert_eq!(shown("0.0011000000").as_deref(), Some("0.01 EUR"));
        assert_eq!(shown("12").as_deref(), Some("12.00 EUR"));
        for bad in ["", ".5", "-1", "1e3", "1,5", "9999999999", "NaN"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
        assert_eq!(Amount::parse("1", "euro"), None);
    }

    #[test]
    fn a_plan_shows_each_cost_and_says_what_has_no_price() {
        let part = |kind, cost| Planned { kind, name: "my.example.com".into(), what: "x".into(), cost };
        let monthly = Cost::Monthly(Amount::parse("3.49", "EUR").unwrap());
        let call = PlannedCall { call: "GET /x", what: "until it runs", polled: true };
        let parts = vec![part("server", monthly), part("firewall", Cost::Free)];
        let mut plan = Plan::new(parts, vec![call], vec!["to read"]);
        assert_eq!(
            plan.to_string(),
            "Resource  Name            What  Cost a month\n\
             server    my.example.com  x     3.49 EUR\n\
             firewall  my.example.com  x     free\n\
             Total a month, without tax: 3.49 EUR\n\n\
             Call    For\n\
             GET /x  until it runs, repeated until then\n\
             1 calls, 1 of them repeated\n\n\
             The credentials need:\n  to read\n"
        );
        plan.resources[1].cost = Cost::Unknown;
        assert!(plan.costs().ends_with("unknown: there is no price for firewall\n"), "{}", plan.costs());
        assert_eq!(plan.to_json()["total"]["cost"], "unknown");
    }

    #[test]
    fn what_costs_an_unknown_sum_makes_the_whole_unknown() {
        let part = |cost| Planned { kind: "x", name: "x".into(), what: "x".into(), cost };
        let monthly = |text| Cost::Monthly(Amount::parse(text, "EUR").unwrap());
        let plan = |costs: Vec<Cost>| Plan::new(costs.into_iter().map(part).collect(), vec![], vec![]).cost();
        assert_eq!(plan(vec![monthly("3.49"), Cost::Free, monthly("0.5")]), monthly("3.99"));
        assert_eq!(plan(vec![monthly("3.49"), Cost::Unknown]), Cost::Unknown);
        assert_eq!(plan(vec![]), Cost::Free);
    }
}
