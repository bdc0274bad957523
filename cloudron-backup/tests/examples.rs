//! The examples run, and do what they say.

#[path = "../examples/custom_encryptor.rs"]
mod custom_encryptor;

#[test]
fn the_example_of_another_encryption_runs() {
    custom_encryptor::main().unwrap();
}
