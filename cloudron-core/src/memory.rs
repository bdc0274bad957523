//! Secrets that are in memory stay there (feature `memory`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Leaves no core dump of this process, in which backup keys and tokens would be, and keeps other processes of the
/// user from reading its memory. Programs that are started may ask for a dump again: only the soft limit changes.
pub fn keep_private() {
    // Lowering a limit is always allowed.
    let maximum = getrlimit(Resource::Core).maximum;
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    // A handler of core dumps that is a program, such as systemd-coredump, is not bound by the limit.
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
