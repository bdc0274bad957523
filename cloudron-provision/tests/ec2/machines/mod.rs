//! Machines: made, resumed and removed through the gate before moto, with a machine that obeys the user-data.

mod bench;
mod conformance;
mod faults;
mod kill;
mod life;
mod refused;
mod role;
mod told;
