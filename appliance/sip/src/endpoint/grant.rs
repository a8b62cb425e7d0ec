//! What a registrar says when it grants a registration.

use std::time::Duration;

use super::instance_id::InstanceId;
use crate::grammar::{
    Contact, Expires, FlowTimer, HeaderName, NameAddr, Response, SipUri, Token, Uri,
};

/// Proxies that a Service-Route may name.
const MAX_SERVICE_ROUTE: usize = 8;

/// The terms of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Its life in seconds.
    pub(crate) expires: u32,
    pub(crate) outbound: Outbound,
    /// A sign of life at least this often (RFC 5626 section 4.4).
    pub(crate) flow_timer: Option<Duration>,
    /// The address at which this box, and no other of the account, is reached from anywhere
    /// (RFC 5627).
    pub(crate) gruu: Option<SipUri>,
    /// The proxies that requests of the account pass (RFC 3608), as Route values.
    pub(crate) service_route: Vec<NameAddr>,
}

/// Whether the registrar sends calls over the flow of the registration (RFC 5626 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outbound {
    Agreed,
    NotAgreed,
}

/// How our own binding is found among those of others.
pub(crate) struct OurBinding<'a> {
    pub(crate) contact: &'a NameAddr,
    pub(crate) instance: Option<&'a InstanceId>,
    pub(crate) reg_id: u32,
}

impl Grant {
    /// Reads a 2xx.
    pub(crate) fn read(response: &Response, ours: &OurBinding<'_>) -> Self {
        let headers = &response.headers;
        let listed = headers
            .typed_all::<Contact>()
            .filter_map(Result::ok)
            .find_map(|contact| match contact {
                Contact::Address(address) if ours.is(&address) => Some(address),
                Contact::Address(_) | Contact::All => None,
            });
        // The life of our binding: of our Contact in the list of all bindings, else of the Expires
        // header field, else as asked for (RFC 3261 section 10.2.4).
        let expires = listed
            .as_ref()
            .and_then(NameAddr::expires)
            .or_else(|| headers.typed::<Expires>().ok().flatten().map(|it| it.0))
            .unwrap_or(u32::MAX);
        let requires_outbound = headers
            .values::<Token>(&HeaderName::Require)
            .filter_map(Result::ok)
            .any(|token| token.as_str().eq_ignore_ascii_case("outbound"));
        Self {
            expires,
            outbound: if requires_outbound {
                Outbound::Agreed
            } else {
                Outbound::NotAgreed
            },
            flow_timer: headers
                .typed::<FlowTimer>()
                .ok()
                .flatten()
                .map(|timer| Duration::from_secs(u64::from(timer.0))),
            gruu: listed.as_ref().and_then(gruu_of),
            service_route: service_route(response),
        }
    }
}

impl OurBinding<'_> {
    /// A registrar knows us by instance and flow; one that knows neither, by our address.
    fn is(&self, listed: &NameAddr) -> bool {
        let params = listed.params();
        match (params.get("+sip.instance"), self.instance) {
            (Some(named), Some(instance)) => {
                let reg_id = params.get("reg-id").and_then(|id| id.parse().ok());
                instance.is_named_by(named) && reg_id.is_none_or(|id: u32| id == self.reg_id)
            }
            (Some(_), None) => false,
            (None, _) => listed.uri().is_equivalent_to(self.contact.uri()),
        }
    }
}

/// The public GRUU; a temporary one where there is no other.
fn gruu_of(listed: &NameAddr) -> Option<SipUri> {
    ["pub-gruu", "temp-gruu"].into_iter().find_map(|name| {
        let uri: Uri = listed.params().get(name)?.parse().ok()?;
        uri.as_sip()
            .filter(|uri| uri.param("gr").is_some())
            .cloned()
    })
}

/// A route with a proxy that we cannot write as Route is none.
fn service_route(response: &Response) -> Vec<NameAddr> {
    let route: Result<Vec<NameAddr>, _> = response
        .headers
        .values::<NameAddr>(&HeaderName::ServiceRoute)
        .collect();
    let is_usable = |proxy: &NameAddr| {
        proxy
            .uri()
            .as_sip()
            .is_some_and(|uri| uri.param("lr").is_some() && uri.headers().next().is_none())
    };
    route
        .ok()
        .filter(|route| route.len() <= MAX_SERVICE_ROUTE && route.iter().all(is_usable))
        .unwrap_or_default()
}
