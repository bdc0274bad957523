//! The checks, one file per subject.

mod batches;
mod budget;
mod faults;
mod idempotence;
mod names;
mod pages;
mod safety;
mod sets;
mod texts;
mod turns;
mod values;
mod zones;

use super::{Cases, Level};

pub(super) const ALL: &[(Level, Cases)] = &[
    (Level::Zones, zones::CASES),
    (Level::Zones, pages::CASES),
    (Level::Names, names::CASES),
    (Level::Values, values::CASES),
    (Level::Texts, texts::CASES),
    (Level::Sets, sets::CASES),
    (Level::Sets, turns::CASES),
    (Level::Idempotence, idempotence::CASES),
    (Level::Safety, safety::CASES),
    (Level::Batches, batches::CASES),
    (Level::Faults, faults::CASES),
    (Level::Budget, budget::CASES),
];
