//! Queues between threads, as `std::sync::mpsc` has them, in a twentieth of the code per type of message.

use std::collections::VecDeque;
use std::fmt;
use std::iter;
use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A queue without a bound, and its other end.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { messages: VecDeque::new(), senders: 1, received: true };
    let shared = Arc::new(Shared { state: Mutex::new(state), change: Condvar::new() });
    (Sender(shared.clone()), Receiver(shared))
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Told of a message, and of the last sender's end. There is one receiver.
    change: Condvar,
}

struct State<T> {
    messages: VecDeque<T>,
    senders: usize,
    /// The receiver is there.
    received: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics with the lock held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts messages into the queue. Dropping the last one tells the receiver.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Queues a message. Never blocks.
    ///
    /// # Errors
    /// Gives the message back if the receiver is gone.
    #[inline(never)]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.0.lock();
        if !state.received {
            return Err(SendError(message));
        }
        state.messages.push_back(message);
        self.0.change.notify_one();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.0.lock().senders += 1;
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            self.0.change.notify_one();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// Takes messages out of the queue. Dropping it drops those that are left.
pub struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// The next message; waits for it.
    ///
    /// # Errors
    /// All senders are gone, and the queue is empty.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.take(None).map_err(|_| RecvError)
    }

    /// The next message; waits for it at most `timeout`.
    ///
    /// # Errors
    /// There was none in time, or there will be none any more.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.take(Some(timeout))
    }

    /// The next message if there is one.
    ///
    /// # Errors
    /// There is none now, or there will be none any more.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.take(Some(Duration::ZERO)).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Messages until all senders are gone.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        iter::from_fn(|| self.recv().ok())
    }

    /// The next message; waits for it as long as allowed, or for ever.
    #[inline(never)]
    fn take(&self, timeout: Option<Duration>) -> Result<T, RecvTimeoutError> {
        // A time that the clock cannot say never comes.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.0.lock();
        loop {
            if let Some(message) = state.messages.pop_front() {
                return Ok(message);
            }
            if state.senders == 0 {
                return Err(RecvTimeoutError::Disconnected);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(RecvTimeoutError::Timeout);
            }
            let left = left.unwrap_or(Duration::MAX);
            state = self.0.change.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.received = false;
        let left = std::mem::take(&mut state.messages);
        // What is dropped with a message may be a sender of this very queue.
        drop(state);
        drop(left);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn messages_come_in_order_and_then_the_end() {
        let (sender, receiver) = channel();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        let second = sender.clone();
        let thread = thread::spawn(move || (0..1000).for_each(|number| second.send(number).unwrap()));
        assert!((0..1000).all(|number| receiver.recv_timeout(LONG) == Ok(number)));
        thread.join().unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        sender.send(7).unwrap();
        drop(sender);
        assert_eq!(receiver.try_recv(), Ok(7));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(receiver.recv(), Err(RecvError));
    }

    #[test]
    fn the_last_sender_ends_a_wait() {
        let (sender, receiver) = channel::<()>();
        let thread = thread::spawn(move || receiver.recv_timeout(Duration::MAX));
        drop(sender.clone());
        drop(sender);
        assert_eq!(thread.join().unwrap(), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn the_receivers_end_drops_what_is_queued_and_fails_what_is_sent() {
        struct Message {
            _queue: Sender<Message>,
            _answer: Sender<()>,
        }
        let message = |queue: &Sender<Message>, answer: &Sender<()>| Message {
            _queue: queue.clone(),
            _answer: answer.clone(),
        };
        let (sender, receiver) = channel();
        let (answer, answered) = channel();
        sender.send(message(&sender, &answer)).unwrap();
        drop(receiver);
        assert!(sender.send(message(&sender, &answer)).is_err());
        drop(answer);
        assert_eq!(answered.recv(), Err(RecvError));
    }
}
