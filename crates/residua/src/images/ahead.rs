//! Work that runs ahead of whoever takes its results, on threads of its own.
//!
//! Results come in the order of the items. Each thread does every n-th item and waits when it is a few ahead, so that what
//! is held does not grow with the number of items.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::error::{Context, Result};

/// Results that a thread may have ready.
const AHEAD: usize = 4;

/// Does `work` for each item on so many threads, and gives the results to `take` in the order of the items, on this one.
///
/// # Errors
/// What `take` gives, and where no thread can be started.
pub(crate) fn ahead<'i, I: Sync, R: Send>(
    items: &'i [I],
    threads: usize,
    work: impl Fn(&I) -> R + Sync,
    mut take: impl FnMut(&'i I, R) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let threads = threads.clamp(1, items.len().max(1));
    thread::scope(|scope| {
        let mut results = Vec::new();
        for first in 0..threads {
            let (send, receive) = sync_channel(AHEAD);
            let work = &work;
            let mine = items.iter().skip(first).step_by(threads);
            thread::Builder::new()
                .name("images".to_owned())
                .spawn_scoped(scope, move || {
                    for item in mine {
                        // Whoever took the results may have ended.
                        if send.send(work(item)).is_err() {
                            break;
                        }
                    }
                })
                .context("cannot start a thread that reads images")?;
            results.push(receive);
        }
        for (index, item) in items.iter().enumerate() {
            let result = results[index % threads].recv();
            let result = result.ok().context("a thread that reads images has ended before its work")?;
            if take(item, result)?.is_break() {
                break;
            }
        }
        drop(results);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::bail;

    #[test]
    fn results_come_in_order_and_few_are_held() {
        let items: Vec<usize> = (0..500).collect();
        for threads in [1, 2, 7] {
            let (made, mut taken) = (AtomicUsize::new(0), 0);
            let work = |&item: &usize| {
                made.fetch_add(1, Ordering::SeqCst);
                item * 2
            };
            ahead(&items, threads, work, |&item, result| {
                assert_eq!((item, result), (taken, taken * 2));
                taken += 1;
                // Those that are ready, one in the hands of each thread, and one on its way.
                let held = made.load(Ordering::SeqCst) - (taken - 1);
                assert!(held <= threads * (AHEAD + 2), "{held} of {threads} threads");
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
            assert_eq!(taken, 500);
        }
    }

    #[test]
    fn the_work_ends_when_nobody_takes_it() {
        let items: Vec<usize> = (0..10_000).collect();
        let made = AtomicUsize::new(0);
        let work = |_: &usize| made.fetch_add(1, Ordering::SeqCst);
        ahead(&items, 2, work, |&item, _| {
            Ok(if item == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
        assert!(made.load(Ordering::SeqCst) < 100);
        let failed = ahead(&items, 2, |_| (), |_, ()| bail!("no more"));
        assert_eq!(failed.unwrap_err().to_string(), "no more");
    }
}
