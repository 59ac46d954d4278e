//! How kernels share their work out over the threads of a pool.
//!
//! A network is a hundred short kernels, one after the other. A thread that falls asleep between two of them takes as
//! long to wake as many a kernel takes to run, so for the time of a run all threads stay awake and look for work.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::Yield;

/// Into how many parts a thread the items of a kernel are cut: threads are not equally fast.
const PARTS: usize = 16;

/// How often a thread looks for work before it lets others have its processor, which there may be more of.
const PATIENCE: usize = 64;

thread_local! {
    /// Whether this thread runs a network, or waits for one to end.
    static AWAKE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` on this thread of a pool, while its other threads look for work without falling asleep.
///
/// A thread stays awake for one run at a time, and none that runs a network itself waits for another one to end. So no
/// two runs wait for each other.
pub(crate) fn awake<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    if rayon::current_num_threads() == 1 || AWAKE.replace(true) {
        return body();
    }
    let _asleep = AsleepOnDrop;
    let ended = AtomicBool::new(false);
    rayon::scope(|scope| {
        scope.spawn_broadcast(|_, _| {
            if !AWAKE.replace(true) {
                let _asleep = AsleepOnDrop;
                work_until(|| ended.load(Ordering::Acquire));
            }
        });
        let _end = SetOnDrop(&ended);
        body()
    })
}

/// Calls `body` on each item, on all threads of the pool.
pub(crate) fn for_each<I: ExactSizeIterator<Item: Send> + Send>(items: I, body: impl Fn(I::Item) + Sync) {
    for_each_with(items, || (), |(), item| body(item));
}

/// Calls `body` on each item, on all threads of the pool, with what `init` makes once a thread.
pub(crate) fn for_each_with<I: ExactSizeIterator<Item: Send> + Send, S>(
    items: I,
    init: impl Fn() -> S + Sync,
    body: impl Fn(&mut S, I::Item) + Sync,
) {
    let threads = rayon::current_num_threads();
    if threads == 1 || items.len() < 2 {
        let mut state = None;
        return items.for_each(|item| body(state.get_or_insert_with(&init), item));
    }
    let part = items.len().div_ceil(PARTS * threads);
    let (items, at_work) = (Mutex::new(items), AtomicUsize::new(0));
    let next =
        || -> Vec<I::Item> { items.lock().unwrap_or_else(PoisonError::into_inner).by_ref().take(part).collect() };
    let work = || {
        let _here = AtWork::start(&at_work);
        let mut state = None;
        let mut items = next();
        while !items.is_empty() {
            items.into_iter().for_each(|item| body(state.get_or_insert_with(&init), item));
            items = next();
        }
    };
    rayon::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|_| work());
        }
        work();
        // The end of a scope is waited for asleep.
        work_until(|| at_work.load(Ordering::Acquire) == 0);
    });
}

/// Does what work there is in the pool until then.
fn work_until(over: impl Fn() -> bool) {
    let mut idle = 0;
    while !over() {
        if rayon::yield_now() == Some(Yield::Executed) {
            idle = 0;
        } else if idle < PATIENCE {
            idle += 1;
            std::hint::spin_loop();
        } else {
            idle = 0;
            std::thread::yield_now();
        }
    }
}

/// Counts a thread while it is at work.
struct AtWork<'a>(&'a AtomicUsize);

impl<'a> AtWork<'a> {
    fn start(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Ends what keeps a thread awake, whether its run ended well or not.
struct AsleepOnDrop;

impl Drop for AsleepOnDrop {
    fn drop(&mut self) {
        AWAKE.set(false);
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn each_item_is_taken_once() {
        for (threads, count) in [(1, 7), (2, 0), (2, 1), (3, 7), (5, 1000)] {
            let counts: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let take = || {
                for_each(counts.iter(), |count| {
                    count.fetch_add(1, Ordering::Relaxed);
                })
            };
            pool(threads).install(|| awake(take));
            pool(threads).install(take);
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 2), "{threads} threads, {count} items");
        }
    }

    #[test]
    fn runs_in_one_pool_do_not_wait_for_each_other() {
        let (pool, sum) = (pool(3), AtomicUsize::new(0));
        let add = |item: usize| {
            sum.fetch_add(item, Ordering::Relaxed);
        };
        let run = || awake(|| awake(|| (0..20).for_each(|_| for_each(0..100, add))));
        std::thread::scope(|scope| {
            (0..6).for_each(|_| drop(scope.spawn(|| (0..20).for_each(|_| pool.install(run)))));
        });
        assert_eq!(sum.into_inner(), 6 * 20 * 20 * 4950);
    }

    #[test]
    fn a_panic_ends_the_run() {
        let pool = pool(2);
        for bad in [0, 50, 99] {
            let run = || awake(|| for_each(0..100, |item| assert_ne!(item, bad)));
            assert!(catch_unwind(AssertUnwindSafe(|| pool.install(run))).is_err());
        }
        pool.broadcast(|_| assert!(!AWAKE.get()));
        pool.install(|| awake(|| for_each(0..100, |_| ())));
    }
}
