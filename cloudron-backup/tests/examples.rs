//! The examples run and work as documented.

#[path = "../examples/custom_encryptor.rs"]
mod custom_encryptor;
#[path = "../examples/custom_store.rs"]
mod custom_store;

#[test]
fn the_example_of_another_encryption_runs() {
    custom_encryptor::main().unwrap();
}

#[test]
fn the_example_of_a_store_of_ones_own_runs_and_passes_the_checks_of_every_store() {
    custom_store::main().unwrap();
}
