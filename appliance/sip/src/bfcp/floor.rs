//! One floor: who has it, who waits, and the policy.
//!
//! The floor has one holder at most. A request is granted while the floor is free; otherwise it
//! waits for its turn or is denied, as the owner of the room has chosen. Whoever is more urgent
//! waits less; among equals the first comes first. A user has one request at a time.

use super::error::ErrorCode;
use super::identifiers::{FloorId, FloorRequestId, UserId};
use super::information::{
    FloorRequestInformation, Priority, QueuedStatus, RequestStatus, StatusInformation,
    UserInformation,
};

/// The most requests that wait: more users than a call has.
const MAX_WAITING: usize = 32;

/// What becomes of a request while another user has the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenBusy {
    /// It waits for its turn.
    Queue,
    /// It is denied.
    Deny,
}

/// A request that is granted or waits.
#[derive(Clone, Debug)]
struct Entry {
    request: FloorRequestId,
    user: UserId,
    priority: Priority,
    info: Option<String>,
}

/// The floor. The first entry, if there is one, has it; the others wait in order.
#[derive(Debug)]
pub(super) struct Floor {
    id: FloorId,
    when_busy: WhenBusy,
    entries: Vec<Entry>,
    last_request: FloorRequestId,
}

impl Floor {
    pub(super) fn new(id: FloorId, when_busy: WhenBusy) -> Self {
        Self {
            id,
            when_busy,
            entries: Vec::new(),
            last_request: FloorRequestId(0),
        }
    }

    pub(super) fn id(&self) -> FloorId {
        self.id
    }

    pub(super) fn holder(&self) -> Option<UserId> {
        self.entries.first().map(|entry| entry.user)
    }

    /// A user's request, if it has one.
    pub(super) fn request_of(&self, user: UserId) -> Option<FloorRequestId> {
        let mut entries = self.entries.iter();
        entries
            .find(|entry| entry.user == user)
            .map(|entry| entry.request)
    }

    /// Every request that is granted or waits, in order.
    pub(super) fn requests(&self) -> Vec<FloorRequestInformation> {
        let entries = self.entries.iter().enumerate();
        entries
            .map(|(index, entry)| self.describe(entry, self.status_at(index)))
            .collect()
    }

    fn status_at(&self, index: usize) -> QueuedStatus {
        let status = if index == 0 {
            RequestStatus::Granted
        } else {
            RequestStatus::Accepted
        };
        QueuedStatus {
            status,
            // Few wait: see MAX_WAITING.
            queue_position: u8::try_from(index).unwrap_or(u8::MAX),
        }
    }

    /// A user asks. What comes back tells how the request stands.
    pub(super) fn request(
        &mut self,
        user: UserId,
        priority: Priority,
        info: Option<String>,
    ) -> Result<FloorRequestInformation, ErrorCode> {
        if self.request_of(user).is_some() {
            return Err(ErrorCode::TooManyFloorRequests);
        }
        let request = self.next_request();
        let entry = Entry {
            request,
            user,
            priority,
            info,
        };
        let denied = match self.when_busy {
            WhenBusy::Deny => !self.entries.is_empty(),
            WhenBusy::Queue => self.entries.len() > MAX_WAITING,
        };
        if denied {
            return Ok(self.ended(&entry, RequestStatus::Denied));
        }
        // Behind the holder, whoever is as urgent, and whoever is more so.
        let place = self
            .entries
            .iter()
            .skip(1)
            .position(|waiting| waiting.priority < priority)
            .map_or(self.entries.len(), |index| index + 1);
        self.entries.insert(place, entry.clone());
        Ok(self.describe(&entry, self.status_at(place)))
    }

    /// A request number that nobody has.
    fn next_request(&mut self) -> FloorRequestId {
        loop {
            let number = match self.last_request.0.wrapping_add(1) {
                0 => 1,
                number => number,
            };
            self.last_request = FloorRequestId(number);
            let taken = self
                .entries
                .iter()
                .any(|entry| entry.request == self.last_request);
            // Ends: there are more numbers than places.
            if !taken {
                return self.last_request;
            }
        }
    }

    /// A user gives the floor back, or no longer asks.
    pub(super) fn release(&mut self, user: UserId) -> Option<FloorRequestInformation> {
        let index = self.entries.iter().position(|entry| entry.user == user)?;
        let entry = self.entries.remove(index);
        let status = if index == 0 {
            RequestStatus::Released
        } else {
            RequestStatus::Cancelled
        };
        Some(self.ended(&entry, status))
    }

    /// The floor is taken from a user, or its request is turned down.
    pub(super) fn revoke(&mut self, user: UserId) -> Option<FloorRequestInformation> {
        let index = self.entries.iter().position(|entry| entry.user == user)?;
        let entry = self.entries.remove(index);
        let status = if index == 0 {
            RequestStatus::Revoked
        } else {
            RequestStatus::Denied
        };
        Some(self.ended(&entry, status))
    }

    fn ended(&self, entry: &Entry, status: RequestStatus) -> FloorRequestInformation {
        let status = QueuedStatus {
            status,
            queue_position: 0,
        };
        self.describe(entry, status)
    }

    fn describe(&self, entry: &Entry, status: QueuedStatus) -> FloorRequestInformation {
        FloorRequestInformation {
            request: entry.request,
            overall: Some(StatusInformation {
                id: entry.request,
                status: Some(status),
                info: None,
            }),
            floors: vec![StatusInformation {
                id: self.id,
                status: None,
                info: None,
            }],
            beneficiary: Some(UserInformation::of(entry.user)),
            requested_by: None,
            priority: Some(entry.priority),
            participant_info: entry.info.clone(),
        }
    }
}
