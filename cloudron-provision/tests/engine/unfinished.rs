//! Lost connections, and runs that are stopped or kept: they can be resumed.

use cloudron_core::{Cancel, RetryPolicy};
use cloudron_provision::codes;

use crate::bench::{Bench, CALLS, Fault};

#[test]
fn a_lost_connection_is_tried_again_after_a_look_and_nothing_is_made_twice() {
    for call in 0..CALLS {
        let bench = Bench::at(call, Fault::Lost);
        bench.run_until_it_dies(&bench.runner(), None).unwrap().unwrap();
        bench.everything_exists_once();
    }
}

#[test]
fn a_connection_that_stays_lost_leaves_the_run_to_be_resumed_when_asked_for() {
    let bench = Bench::at(3, Fault::Lost);
    let once = bench.runner().retries(RetryPolicy::attempts(1)).leave_unfinished(true);
    let error = bench.run_until_it_dies(&once, None).unwrap().unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("run-unfinished", 9));
    assert_eq!(error.detail(codes::UNFINISHED), Some("example.com"));
    let open = bench.runner().unfinished(Some("example.com")).unwrap();
    assert_eq!((open[0].done, open[0].steps, open[0].next.as_deref()), (1, 4, Some("two")));
    assert_eq!(bench.runner().unfinished(Some("example.org")).unwrap(), []);
    bench.resume().unwrap();
    bench.everything_exists_once();
}

#[test]
fn a_failed_run_is_kept_when_asked_for() {
    let bench = Bench::at(3, Fault::Fail);
    let error = bench.run_until_it_dies(&bench.runner().keep(true), None).unwrap().unwrap_err();
    assert!(error.is(&codes::REMOTE_COMMAND) && error.detail(codes::UNFINISHED).is_some(), "{error:?}");
    assert_eq!(bench.world.lock().unwrap().exists.len(), 1);
    bench.resume().unwrap();
    bench.everything_exists_once();
}

#[test]
fn a_run_that_is_stopped_takes_nothing_back_and_can_be_resumed_or_rolled_back() {
    for call in 0..CALLS {
        let bench = Bench::at(call, Fault::Cancel);
        let outcome = bench.run_until_it_dies(&bench.runner(), None).unwrap();
        if call == CALLS - 1 {
            outcome.unwrap();
            continue;
        }
        assert_eq!(outcome.unwrap_err().kind().exit_code(), 130);
        assert!(!bench.calls().iter().any(|c| c.starts_with("undo")));
        assert_eq!(bench.calls().len(), call + 1, "a call was made after the stop");
        let run = bench.runner().unfinished(None).unwrap()[0].run.clone();
        if call % 2 == 0 {
            bench.resume().unwrap();
            bench.everything_exists_once();
        } else {
            bench.world.lock().unwrap().at = None;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let cancel = Cancel::new();
            runtime
                .block_on(bench.runner().rollback(&run, &bench.steps(&cancel), &bench.context(&cancel)))
                .unwrap();
            bench.nothing_exists();
            bench.nothing_is_unfinished();
        }
    }
}
