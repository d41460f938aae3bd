//! Work on a stream by several threads, with results in the stream's order and a bound on what is under way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// One item under way: the item, and where its result goes.
type Job<T, U> = (T, SyncSender<U>);

/// Runs `produce` on a thread of its own, `work` on `threads` threads, and `consume` on the caller's.
///
/// `produce` is given a function that takes the next item and says whether more are wanted. `context` makes what each
/// working thread keeps between items. At most `under_way` items exist between the two ends. When `consume` fails, the
/// rest is dropped, whatever waits for a thread too, and its error returned; otherwise what `produce` returned.
///
/// # Panics
/// When `produce` or `work` does.
pub fn ordered<T, U, C, R, E>(
    threads: usize,
    under_way: usize,
    produce: impl FnOnce(&mut dyn FnMut(T) -> bool) -> R + Send,
    context: impl Fn() -> C + Sync,
    work: impl Fn(&mut C, T) -> U + Sync,
    mut consume: impl FnMut(U) -> Result<(), E>,
) -> Result<R, E>
where
    T: Send,
    U: Send,
    R: Send,
{
    let (jobs_in, jobs_out) = sync_channel::<Job<T, U>>(under_way);
    let (order_in, order_out) = sync_channel::<Receiver<U>>(under_way);
    let jobs_out = Mutex::new(jobs_out);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut context = context();
                loop {
                    let next = jobs_out.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
                    let Ok((item, result)) = next else { return };
                    if ended.load(Ordering::Relaxed) {
                        continue;
                    }
                    // Nobody waits for the result once the consumer has failed.
                    let _ = result.send(work(&mut context, item));
                }
            });
        }
        let producer = scope.spawn(move || {
            produce(&mut |item| {
                let (result_in, result_out) = sync_channel(1);
                order_in.send(result_out).is_ok() && jobs_in.send((item, result_in)).is_ok()
            })
        });
        let mut outcome = Ok(());
        while let Ok(result) = order_out.recv() {
            let Ok(result) = result.recv() else { break };
            if let Err(error) = consume(result) {
                outcome = Err(error);
                break;
            }
        }
        ended.store(true, Ordering::Relaxed);
        drop(order_out);
        let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        outcome.map(|()| produced)
    })
}

/// Threads that think: as many as the machine runs at once.
pub fn thread_count() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get()).clamp(1, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let mut seen = Vec::new();
        let produced: Result<u32, ()> = ordered(
            4,
            8,
            |give| {
                (0..1000u32).for_each(|n| assert!(give(n)));
                7
            },
            || (),
            |(), n| {
                if n % 97 == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                n * 2
            },
            |n| {
                seen.push(n);
                Ok(())
            },
        );
        assert_eq!(produced, Ok(7));
        assert_eq!(seen, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    fn what_waits_when_the_consumer_fails_is_dropped() {
        let worked = std::sync::atomic::AtomicUsize::new(0);
        let work = |(): &mut (), n: u32| {
            worked.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(20));
            n
        };
        let outcome = ordered(1, 100, |give| (0..100).all(give), || (), work, |n| if n == 2 { Err(n) } else { Ok(()) });
        assert_eq!(outcome, Err(2));
        let worked = worked.into_inner();
        assert!(worked < 50, "{worked} of 100 were worked on");
    }

    #[test]
    fn a_failing_consumer_ends_the_producer() {
        let produced = ordered(
            2,
            4,
            |give| (0..).take_while(|n| give(*n)).count(),
            || (),
            |(), n: u64| n,
            |n| if n == 100 { Err("enough") } else { Ok(()) },
        );
        assert_eq!(produced, Err("enough"));
    }
}
