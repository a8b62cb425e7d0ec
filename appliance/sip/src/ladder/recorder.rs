//! The records of calls, and how much they may hold.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

use super::redaction::{Redacted, redact};
use super::{Direction, Ladder, LadderMessage, MessageRef};
use crate::endpoint::CallId;
use crate::grammar::{HeaderName, Headers, Message, Method};
use crate::transport::Transport;

/// Calls that are remembered; the one that has been quiet for longest is forgotten first.
const MAX_CALLS: usize = 16;
/// Messages of one call, repetitions not counted.
const MAX_MESSAGES: usize = 200;
/// So many of them are the first ones; the others the last ones.
const FIRST_MESSAGES: usize = 20;
/// Messages of an INVITE of which no call came.
const MAX_REFUSED_MESSAGES: usize = 8;
/// Calls that one Call-ID stands for.
const MAX_OWNERS: usize = 4;
/// All texts together, with what is kept about them.
const MAX_BYTES: usize = 256 * 1024;

/// The way that a message took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) direction: Direction,
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
}

/// The records of the last calls.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// The one with the newest message last.
    calls: VecDeque<Record>,
    /// The last INVITE of which no call came, such as a stranger's.
    refused: Option<Record>,
    waiting: Option<Waiting>,
}

/// A new INVITE of which nobody knows yet whether a call comes of it.
#[derive(Debug)]
struct Waiting {
    at: Instant,
    way: Way,
    message: Message,
}

/// What is kept of one Call-ID.
#[derive(Debug)]
struct Record {
    call_id: Box<[u8]>,
    /// The calls that came of it, newest last: more than one where a peer uses its Call-ID again, and
    /// where this endpoint calls itself.
    calls: Vec<CallId>,
    first: Vec<Entry>,
    last: VecDeque<Entry>,
    /// Messages between `first` and `last` that were not kept.
    left_out: u64,
    /// Bytes of all entries.
    size: usize,
}

#[derive(Debug)]
struct Entry {
    /// By which a repetition is known.
    fingerprint: u64,
    at: Instant,
    way: Way,
    redacted: Redacted,
    repeats: u32,
    last_repeat: Option<Instant>,
}

impl Recorder {
    /// A message that has arrived, before anything is made of it.
    pub(crate) fn received(&mut self, now: Instant, way: Way, message: &Message) {
        let Some(call_id) = call_id_of(message.headers()) else {
            return;
        };
        if self.knows(call_id) {
            let fingerprint = fingerprint(way.direction, &message.to_bytes());
            self.record(now, way, message.into(), fingerprint);
        } else if is_first_invite(message.into()) {
            self.waiting = Some(Waiting {
                at: now,
                way,
                message: message.clone(),
            });
        }
    }

    /// A message that goes out, as `bytes`. A new INVITE of ours opens the record of `call`.
    pub(crate) fn sent(
        &mut self,
        now: Instant,
        way: Way,
        message: MessageRef<'_>,
        bytes: &[u8],
        call: Option<CallId>,
    ) {
        let headers = match message {
            MessageRef::Request(request) => &request.headers,
            MessageRef::Response(response) => &response.headers,
        };
        let Some(call_id) = call_id_of(headers) else {
            return;
        };
        if !self.knows(call_id) {
            match call {
                Some(call) if is_first_invite(message) => self.open(call_id, call),
                Some(_) | None => self.answer_waiting(call_id),
            }
        }
        if self.knows(call_id) {
            self.record(now, way, message, fingerprint(way.direction, bytes));
        }
    }

    /// Bytes that were sent before go out again.
    pub(crate) fn sent_again(&mut self, now: Instant, bytes: &[u8]) {
        let fingerprint = fingerprint(Direction::Sent, bytes);
        let records = self.calls.iter_mut().rev().chain(&mut self.refused);
        for record in records {
            if record.repeated(now, fingerprint) {
                return;
            }
        }
    }

    /// The INVITE with these header fields made `call`, or takes its place.
    pub(crate) fn became_call(&mut self, headers: &Headers, call: CallId) {
        let Some(call_id) = call_id_of(headers) else {
            return;
        };
        self.answer_waiting(call_id);
        let is_it = |record: &Record| *record.call_id == *call_id;
        if let Some(mut record) = self.refused.take_if(|record| is_it(record)) {
            record.belongs_to(call);
            self.keep(record);
        } else if let Some(record) = self.calls.iter_mut().find(|record| is_it(record)) {
            record.belongs_to(call);
        }
    }

    /// What is kept of a call.
    pub(crate) fn ladder(&self, call: CallId) -> Option<Ladder> {
        let records: Vec<&Record> = self
            .calls
            .iter()
            .filter(|record| record.calls.contains(&call))
            .collect();
        ladder_of(&records)
    }

    /// What is kept of the last INVITE of which no call came.
    pub(crate) fn refused(&self) -> Option<Ladder> {
        ladder_of(self.refused.as_ref().as_slice())
    }

    fn knows(&self, call_id: &[u8]) -> bool {
        let mut records = self.calls.iter().chain(&self.refused);
        records.any(|record| *record.call_id == *call_id)
    }

    fn open(&mut self, call_id: &[u8], call: CallId) {
        let mut record = Record::new(call_id);
        record.belongs_to(call);
        self.keep(record);
    }

    fn keep(&mut self, record: Record) {
        if self.calls.len() >= MAX_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(record);
    }

    /// The INVITE that waits gets an answer: it takes the place of those that are refused, out of
    /// which only a call leads.
    fn answer_waiting(&mut self, call_id: &[u8]) {
        let is_answered =
            |waiting: &mut Waiting| call_id_of(waiting.message.headers()) == Some(call_id);
        let Some(waiting) = self.waiting.take_if(is_answered) else {
            return;
        };
        let fingerprint = fingerprint(waiting.way.direction, &waiting.message.to_bytes());
        let mut record = Record::new(call_id);
        record.push(Entry::new(
            waiting.at,
            waiting.way,
            redact((&waiting.message).into()),
            fingerprint,
        ));
        self.refused = Some(record);
    }

    fn record(&mut self, now: Instant, way: Way, message: MessageRef<'_>, fingerprint: u64) {
        let headers = match message {
            MessageRef::Request(request) => &request.headers,
            MessageRef::Response(response) => &response.headers,
        };
        let Some(call_id) = call_id_of(headers) else {
            return;
        };
        let is_it = |record: &Record| *record.call_id == *call_id;
        if let Some(index) = self.calls.iter().position(is_it) {
            if let Some(mut record) = self.calls.remove(index) {
                if !record.repeated(now, fingerprint) {
                    record.push(Entry::new(now, way, redact(message), fingerprint));
                }
                self.calls.push_back(record);
            }
        } else if let Some(record) = self.refused.as_mut().filter(|record| is_it(record))
            && !record.repeated(now, fingerprint)
        {
            if record.len() < MAX_REFUSED_MESSAGES {
                record.push(Entry::new(now, way, redact(message), fingerprint));
            } else {
                record.left_out += 1;
            }
        }
        self.make_room();
    }

    /// Forgets what is beyond the bound: what was refused, then whole calls, then the middle of the last
    /// one.
    fn make_room(&mut self) {
        while self.size() > MAX_BYTES {
            if self.refused.take().is_some() {
                continue;
            }
            if self.calls.len() > 1 {
                self.calls.pop_front();
            } else if !self.calls.back_mut().is_some_and(Record::forget_middle) {
                return;
            }
        }
    }

    fn size(&self) -> usize {
        let records = self.calls.iter().chain(&self.refused);
        records.map(|record| record.size).sum()
    }
}

impl Record {
    fn new(call_id: &[u8]) -> Self {
        Self {
            call_id: call_id.into(),
            calls: Vec::new(),
            first: Vec::new(),
            last: VecDeque::new(),
            left_out: 0,
            size: call_id.len(),
        }
    }

    fn belongs_to(&mut self, call: CallId) {
        if self.calls.contains(&call) {
            return;
        }
        if self.calls.len() >= MAX_OWNERS {
            self.calls.remove(0);
        }
        self.calls.push(call);
    }

    fn len(&self) -> usize {
        self.first.len() + self.last.len()
    }

    fn push(&mut self, entry: Entry) {
        self.size += entry.size();
        if self.first.len() < FIRST_MESSAGES && self.last.is_empty() && self.left_out == 0 {
            self.first.push(entry);
            return;
        }
        self.last.push_back(entry);
        if self.last.len() > MAX_MESSAGES - FIRST_MESSAGES {
            self.forget_middle();
        }
    }

    /// Forgets the oldest of the last messages. False when there is none.
    fn forget_middle(&mut self) -> bool {
        let Some(entry) = self.last.pop_front() else {
            return false;
        };
        self.size -= entry.size();
        self.left_out += 1;
        true
    }

    /// Counts a repetition. False when there is no such message.
    fn repeated(&mut self, now: Instant, fingerprint: u64) -> bool {
        let mut entries = self
            .last
            .iter_mut()
            .rev()
            .chain(self.first.iter_mut().rev());
        let Some(entry) = entries.find(|entry| entry.fingerprint == fingerprint) else {
            return false;
        };
        entry.repeats = entry.repeats.saturating_add(1);
        entry.last_repeat = Some(now);
        true
    }
}

impl Entry {
    fn new(at: Instant, way: Way, redacted: Redacted, fingerprint: u64) -> Self {
        Self {
            fingerprint,
            at,
            way,
            redacted,
            repeats: 0,
            last_repeat: None,
        }
    }

    fn size(&self) -> usize {
        let Redacted {
            method,
            status: _,
            start_line,
            body_type,
            text,
        } = &self.redacted;
        let body_type = body_type.as_ref().map_or(0, String::len);
        size_of::<Self>() + method.len() + start_line.len() + body_type + text.len()
    }
}

fn ladder_of(records: &[&Record]) -> Option<Ladder> {
    let mut entries: Vec<(&Entry, u64)> = Vec::new();
    for record in records {
        entries.extend(record.first.iter().map(|entry| (entry, 0)));
        let gaps = std::iter::once(record.left_out).chain(std::iter::repeat(0));
        entries.extend(record.last.iter().zip(gaps));
    }
    entries.sort_by_key(|(entry, _)| entry.at);
    let begun = entries.first()?.0.at;
    let since = |at: Instant| at.saturating_duration_since(begun);
    let messages = entries
        .iter()
        .map(|(entry, left_out_before)| LadderMessage {
            offset: since(entry.at),
            direction: entry.way.direction,
            transport: entry.way.transport,
            remote: entry.way.remote,
            method: entry.redacted.method.clone(),
            status: entry.redacted.status,
            start_line: entry.redacted.start_line.clone(),
            body_type: entry.redacted.body_type.clone(),
            text: entry.redacted.text.clone(),
            repeats: entry.repeats,
            last_repeat: entry.last_repeat.map(since),
            left_out_before: *left_out_before,
        })
        .collect();
    let call_ids = records
        .iter()
        .map(|record| String::from_utf8_lossy(&record.call_id).into_owned())
        .collect();
    Some(Ladder { call_ids, messages })
}

fn call_id_of(headers: &Headers) -> Option<&[u8]> {
    headers.get(&HeaderName::CallId)
}

/// Whether a message may be the first of a call: an INVITE outside of dialogs.
fn is_first_invite(message: MessageRef<'_>) -> bool {
    match message {
        MessageRef::Request(request) => {
            *request.method() == Method::Invite
                && request.headers.to().is_ok_and(|to| to.tag().is_none())
        }
        MessageRef::Response(_) => false,
    }
}

fn fingerprint(direction: Direction, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    direction.hash(&mut hasher);
    bytes.hash(&mut hasher);
    hasher.finish()
}
