//! Reads SIP messages with our parser and with `ezk-sip-types`, and takes time and allocations of both.
//!
//! Both do the same work: the message is cut into its header fields, and the fields that identify it, route it and
//! describe its body are read as typed values. Ours is `parse_datagram` and `check`, which is what an endpoint does first
//! with everything that arrives; theirs is what their documentation shows.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ezk_sip_types::header::typed::{
    CSeq, CallID, Contact, ContentLength, ContentType, Expires, FromTo, MaxForwards, Routing, Via,
};
use ezk_sip_types::msg::{Line, MessageLine, PullParser};
use ezk_sip_types::parse::Parse;
use ezk_sip_types::{Headers, Name};
use sip::grammar::Message;

/// A parser: takes one message and fails when it finds a fault in it.
pub(crate) type Parser = fn(&Bytes) -> Result<()>;

/// Our parser and our rules.
pub(crate) fn ours(datagram: &Bytes) -> Result<()> {
    match Message::parse_datagram(datagram.clone())? {
        Message::Request(request) => {
            request.check()?;
            black_box(&request);
        }
        Message::Response(response) => {
            response.check()?;
            black_box(&response);
        }
    }
    Ok(())
}

/// The other parser, with the same header fields read.
pub(crate) fn theirs(datagram: &Bytes) -> Result<()> {
    let mut lines = PullParser::new(datagram, 0);
    let first = lines.next().context("no line")?.ok().context("no line")?;
    let first: MessageLine = parse_line(datagram, first)?;
    let mut headers = Headers::with_capacity(16);
    for line in lines.by_ref() {
        let line = std::str::from_utf8(line.ok().context("no line")?)?;
        let Ok((_, Line { name, value })) = Line::parse(datagram, line) else {
            bail!("no field: {line}");
        };
        headers.insert(name, value);
    }
    let body = datagram.slice(lines.head_end()..);
    let length: ContentLength = headers.get_named()?;
    ensure!(length.0 == body.len(), "the body is cut off");
    let vias: Vec<Via> = headers.get_named()?;
    let from: FromTo = headers.get(Name::FROM)?;
    let to: FromTo = headers.get(Name::TO)?;
    let call_id: CallID = headers.get_named()?;
    let sequence: CSeq = headers.get_named()?;
    let hops: Option<MaxForwards> = headers.try_get_named().transpose()?;
    let expires: Option<Expires> = headers.try_get_named().transpose()?;
    let contacts: Option<Vec<Contact>> = headers.try_get_named().transpose()?;
    let routes: Option<Vec<Routing>> = headers.try_get(Name::RECORD_ROUTE).transpose()?;
    let content_type: Option<ContentType> = headers.try_get_named().transpose()?;
    black_box((first, vias, from, to, call_id, sequence, hops, expires));
    black_box((contacts, routes, content_type, headers, body));
    Ok(())
}

fn parse_line(datagram: &Bytes, line: &[u8]) -> Result<MessageLine> {
    let text = std::str::from_utf8(line)?;
    match MessageLine::parse(datagram)(text) {
        Ok((_, line)) => Ok(line),
        Err(_) => bail!("no first line: {text}"),
    }
}

/// Messages a second: all of `messages` again and again for about `time`.
pub(crate) fn rate(parser: Parser, messages: &[Bytes], time: Duration) -> Result<f64> {
    let start = Instant::now();
    let mut read = 0_u32;
    while start.elapsed() < time {
        for _ in 0..50 {
            for message in messages {
                parser(black_box(message))?;
                read += 1;
            }
        }
    }
    Ok(f64::from(read) / start.elapsed().as_secs_f64())
}

/// Allocations that a message costs in the mean.
pub(crate) fn allocations(parser: Parser, messages: &[Bytes]) -> Result<f64> {
    let mut outcome = Ok(());
    let counted = allocation_counter::measure(|| {
        outcome = messages.iter().try_for_each(parser);
    });
    outcome?;
    Ok(counted.count_total as f64 / messages.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments::sip_messages::messages;

    #[test]
    fn both_parsers_take_every_message_and_refuse_a_bad_one() {
        for message in messages() {
            ours(&message).unwrap();
            theirs(&message).unwrap();
        }
        let bad =
            Bytes::from_static(b"OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\nContent-Length: 0\r\n\r\n");
        assert!(ours(&bad).is_err() && theirs(&bad).is_err());
    }
}
