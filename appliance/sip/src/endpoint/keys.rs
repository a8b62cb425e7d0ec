//! What makes two messages parts of one transaction (RFC 3261 sections 17.1.3 and 17.2.3).

use crate::error::HeaderError;
pub(crate) use crate::grammar::MAGIC_COOKIE;
use crate::grammar::{CSeq, CallId, Method, Request, Via};

/// A client transaction: our branch, and the method, because CANCEL shares the branch of its INVITE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientKey {
    pub(crate) branch: String,
    pub(crate) method: String,
}

/// A server transaction. The method of an ACK is INVITE here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServerKey {
    branch: Branch,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Branch {
    /// RFC 3261: the branch is unique.
    Unique { branch: String, sent_by: String },
    /// RFC 2543: all that a retransmission repeats. The To tag is left out, as that of an ACK is
    /// ours.
    Legacy {
        uri: String,
        from_tag: Option<String>,
        call_id: String,
        sequence: u32,
        via: String,
    },
}

impl ServerKey {
    /// The key of a request.
    pub(crate) fn of(request: &Request, via: &Via) -> Result<Self, HeaderError> {
        let branch = match via.branch() {
            Some(branch) if via.has_unique_branch() => Branch::Unique {
                branch: branch.to_owned(),
                sent_by: format!("{}:{}", via.host(), via.port().unwrap_or_default())
                    .to_ascii_lowercase(),
            },
            Some(_) | None => Branch::Legacy {
                uri: request.uri().to_string(),
                from_tag: request.headers.from()?.tag().map(str::to_owned),
                call_id: request.headers.required::<CallId>()?.as_str().to_owned(),
                sequence: request.headers.required::<CSeq>()?.number,
                via: via.to_string(),
            },
        };
        let method = match request.method() {
            Method::Ack => Method::Invite.as_str(),
            method => method.as_str(),
        };
        Ok(Self {
            branch,
            method: method.to_owned(),
        })
    }

    /// The INVITE that a CANCEL with this key wants to end.
    pub(crate) fn of_cancelled_invite(&self) -> Self {
        Self {
            branch: self.branch.clone(),
            method: Method::Invite.as_str().to_owned(),
        }
    }
}
