use proptest::prelude::*;

use super::*;
use crate::state::Window;

const NOW: Seconds = 1_800_000_000;

fn life(days: Seconds, left: Seconds) -> Situation {
    let life = Life { from: NOW - (days - left) * DAY, until: NOW + left * DAY };
    Situation { life: Some(life), ..Situation::default() }
}

fn suggested(at: Seconds) -> Option<Ari> {
    let window = Some(Window { start: at - 5, end: at + 5, at });
    Some(Ari { certificate: "a".into(), window, asked: NOW, again: 6 * HOUR })
}

#[test]
fn a_missing_certificate_is_ordered_and_an_order_that_was_begun_is_gone_on_with() {
    let none = Situation::default();
    assert_eq!(decide(NOW, &none), Action::Order(Why::Missing));
    let begun = |at| Situation { order: Some(at), ..Situation::default() };
    assert_eq!(decide(NOW, &begun(NOW - HOUR)), Action::Resume(Why::Missing));
    assert_eq!(decide(NOW, &begun(NOW - 8 * DAY)), Action::Order(Why::Missing));
    assert_eq!(decide(NOW, &begun(NOW + 300 * DAY)), Action::Order(Why::Missing));
}

#[test]
fn without_a_suggestion_a_third_of_the_life_is_left_and_half_of_a_short_one() {
    assert_eq!(decide(NOW, &life(90, 31)), Action::Wait(NOW + 12 * HOUR));
    assert_eq!(decide(NOW, &life(90, 30)), Action::Order(Why::Due));
    assert_eq!(decide(NOW, &life(45, 15)), Action::Order(Why::Due));
    assert_eq!(decide(NOW, &life(45, 16)), Action::Wait(NOW + 12 * HOUR));
    assert_eq!(decide(NOW, &life(6, 3)), Action::Order(Why::Due));
    assert_eq!(decide(NOW, &life(6, 4)), Action::Wait(NOW + 12 * HOUR));
}

#[test]
fn the_instant_in_the_authoritys_window_decides_and_one_in_the_past_is_now() {
    let with = |at| Situation { ari: suggested(at), asks_ari: true, ..life(90, 80) };
    assert_eq!(decide(NOW, &with(NOW - DAY)), Action::Order(Why::Due));
    assert_eq!(decide(NOW, &with(NOW + HOUR)), Action::Wait(NOW + HOUR));
    // One that is later than our own rule is followed, but not until the end.
    let late = |left, at| Situation { ari: suggested(at), asks_ari: true, ..life(90, left) };
    assert!(matches!(decide(NOW, &late(20, NOW + 10 * DAY)), Action::Wait(_)));
    assert_eq!(decide(NOW, &late(9, NOW + 1000 * DAY)), Action::Order(Why::Due));
}

#[test]
fn renewal_information_is_asked_for_when_its_time_has_come() {
    let never = Situation { asks_ari: true, ..life(90, 80) };
    assert_eq!(decide(NOW, &never), Action::AskRenewal);
    let asked = |ago| {
        let ari = suggested(NOW + 70 * DAY).map(|ari| Ari { asked: NOW - ago, ..ari });
        Situation { ari, asks_ari: true, ..life(90, 80) }
    };
    assert_eq!(decide(NOW, &asked(HOUR)), Action::Wait(NOW + 5 * HOUR));
    assert_eq!(decide(NOW, &asked(6 * HOUR)), Action::AskRenewal);
}

#[test]
fn failures_and_our_own_account_of_limits_hold_an_order_back() {
    let blocked = Situation { blocked: Some(NOW + 60), ..Situation::default() };
    assert_eq!(decide(NOW, &blocked), Action::Wait(NOW + 60));
    assert_eq!(decide(NOW + 60, &blocked), Action::Order(Why::Missing));
    let spent = |of| Situation { spent: Some(NOW + 60), ..of };
    assert_eq!(decide(NOW, &spent(Situation::default())), Action::Wait(NOW + 60));
    assert_eq!(decide(NOW, &spent(life(90, 1))), Action::Order(Why::Due), "a renewal is exempt");
}

#[test]
fn a_clock_a_year_back_asks_for_nothing_and_one_a_year_ahead_orders_once_the_certificate_is_over() {
    let fine = Situation { asks_ari: true, ari: suggested(NOW + 40 * DAY), ..life(90, 60) };
    assert_eq!(decide(NOW - 366 * DAY, &fine), Action::Wait(NOW - 366 * DAY + HOUR));
    let replaced = Situation { replace: true, ..fine.clone() };
    assert_eq!(decide(NOW - 366 * DAY, &replaced), Action::Wait(NOW - 366 * DAY + HOUR));
    assert_eq!(decide(NOW + 366 * DAY, &fine), Action::Order(Why::Expired));
    // Back again, nothing of it is left.
    assert!(matches!(decide(NOW, &fine), Action::Wait(_)));
}

#[test]
fn a_thousand_certificates_of_one_day_are_renewed_over_days() {
    let of = life(90, 90).life.unwrap();
    let mut days: Vec<Seconds> = (0..1000).map(|n| renewal(of, None, f64::from(n) / 1000.0) / DAY).collect();
    days.dedup();
    assert!(days.len() >= 3, "{days:?}");
}

proptest! {
    #[test]
    fn every_decision_is_made_again_within_half_a_day_and_never_in_the_past(
        now in 0i64..4_000_000_000, from in 0i64..4_000_000_000, length in 0i64..400 * DAY,
        at in any::<i64>(), asked in any::<i64>(), again in any::<i64>(), spread in any::<f64>(),
        blocked in proptest::option::of(0i64..4_000_000_000), known in any::<bool>(), has in any::<bool>(),
    ) {
        let window = Some(Window { start: at, end: at, at });
        let of = Situation {
            life: has.then_some(Life { from, until: from + length }),
            ari: known.then(|| Ari { certificate: String::new(), window, asked, again }),
            asks_ari: true,
            spread,
            blocked,
            ..Situation::default()
        };
        if let Action::Wait(until) = decide(now, &of) {
            prop_assert!(until > now && until <= now + 12 * HOUR);
        }
    }

    #[test]
    fn a_certificate_is_always_renewed_before_its_end_whatever_the_authority_says(
        length in DAY..400 * DAY, at in any::<i64>(), spread in 0f64..1.0, known in any::<bool>(),
    ) {
        let life = Life { from: NOW, until: NOW + length };
        let window = Some(Window { start: at, end: at, at });
        let ari = known.then(|| Ari { certificate: String::new(), window, asked: NOW, again: HOUR });
        prop_assert!(renewal(life, ari.as_ref(), spread) <= life.until - length / 10);
    }
}
