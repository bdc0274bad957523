//! Secrets that are in memory stay there (feature `memory`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Disables core dumps of this process, which would contain backup keys and tokens, and prevents other
/// processes of the user from reading its memory. Only the soft limit changes, so programs started from here
/// may enable dumps again.
pub fn keep_private() {
    // Lowering a limit is always allowed.
    let maximum = getrlimit(Resource::Core).maximum;
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    // A core dump handler that is a program, such as systemd-coredump, ignores the limit.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_leaves_no_core_dump() {
        keep_private();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable
        );
    }
}
