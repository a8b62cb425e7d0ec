//! The order in which waiting inputs reach the room: facts first, then requests as they came.
//!
//! A request is judged by what is known, so everything that is known goes first. The queue is a
//! plain value; the driver task owns it.

use std::collections::VecDeque;

use crate::fact::Fact;

/// Inputs that wait for the room. `T` is a request together with whatever its answer goes to.
#[derive(Debug)]
pub struct InputQueue<T> {
    facts: VecDeque<Fact>,
    requests: VecDeque<T>,
    request_capacity: usize,
}

/// The next input for the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<T> {
    /// A fact for [`crate::Room::fact`].
    Fact(Fact),
    /// A request for [`crate::Room::request`].
    Request(T),
}

impl<T> InputQueue<T> {
    /// An empty queue that lets at most `request_capacity` requests wait. Facts are not bounded:
    /// none may be lost, and their senders are bounded by the channels that they come through.
    #[must_use]
    pub const fn new(request_capacity: usize) -> Self {
        Self {
            facts: VecDeque::new(),
            requests: VecDeque::new(),
            request_capacity,
        }
    }

    /// Adds a fact.
    pub fn push_fact(&mut self, fact: Fact) {
        self.facts.push_back(fact);
    }

    /// Adds a request.
    ///
    /// # Errors
    /// Gives the request back when the queue is full, so that its sender can be told.
    pub fn push_request(&mut self, request: T) -> Result<(), T> {
        if self.requests.len() >= self.request_capacity {
            return Err(request);
        }
        self.requests.push_back(request);
        Ok(())
    }

    /// Takes the next input: the oldest fact, else the oldest request.
    pub fn pop(&mut self) -> Option<Input<T>> {
        let fact = self.facts.pop_front().map(Input::Fact);
        fact.or_else(|| self.requests.pop_front().map(Input::Request))
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.requests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_go_first_and_each_kind_keeps_its_order() {
        let mut queue = InputQueue::new(8);
        queue.push_request(1).unwrap();
        queue.push_fact(Fact::CameraGone);
        queue.push_request(2).unwrap();
        queue.push_fact(Fact::CameraBack);

        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();

        assert_eq!(
            order,
            [
                Input::Fact(Fact::CameraGone),
                Input::Fact(Fact::CameraBack),
                Input::Request(1),
                Input::Request(2),
            ]
        );
        assert!(queue.is_empty());
    }

    #[test]
    fn a_request_too_many_is_given_back_while_facts_still_fit() {
        let mut queue = InputQueue::new(1);
        assert_eq!(queue.push_request("first"), Ok(()));
        assert_eq!(queue.push_request("second"), Err("second"));
        queue.push_fact(Fact::CameraGone);
        assert_eq!(queue.pop(), Some(Input::Fact(Fact::CameraGone)));
        assert_eq!(queue.pop(), Some(Input::Request("first")));
        assert_eq!(queue.pop(), None);
    }
}
