//! Requests of which one thing is changed at a time.

use bytes::Bytes;

use super::{description, wire};

/// A request from parts: its first line, fields that replace or follow the usual ones, its body.
pub(crate) struct Draft {
    line: String,
    fields: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Draft {
    pub(crate) fn new(method: &'static str) -> Self {
        let field = |name, value: &str| (name, value.to_owned());
        Self {
            line: format!("{method} sip:bob@192.0.2.2 SIP/2.0"),
            fields: vec![
                field("Via", "SIP/2.0/UDP 192.0.2.3;branch=z9hG4bKcorpus"),
                field("Max-Forwards", "70"),
                field("From", "<sip:carol@192.0.2.3>;tag=carol"),
                field("To", "<sip:bob@192.0.2.2>"),
                field("Call-ID", "corpus@192.0.2.3"),
                field("CSeq", &format!("1 {method}")),
                field("Contact", "<sip:carol@192.0.2.3>"),
            ],
            body: String::new(),
        }
    }

    pub(crate) fn invite() -> Self {
        Self::new("INVITE").with_body("application/sdp", &description("192.0.2.3"))
    }

    pub(crate) fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }

    pub(crate) fn replacing(mut self, name: &'static str, value: &str) -> Self {
        let place = self.fields.iter_mut().find(|(present, _)| *present == name);
        value.clone_into(&mut place.expect("the field is there").1);
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.fields.retain(|(present, _)| *present != name);
        self
    }

    pub(crate) fn with_body(mut self, content_type: &str, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.with("Content-Type", content_type)
    }

    pub(crate) fn without_length(&self) -> Bytes {
        self.print("")
    }

    pub(crate) fn with_length(&self, length: &str) -> Bytes {
        self.print(&format!("Content-Length: {length}\n"))
    }

    pub(crate) fn whole(&self) -> Bytes {
        self.with_length(&wire(&self.body).len().to_string())
    }

    fn print(&self, length: &str) -> Bytes {
        let fields: String = self
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        wire(&format!("{}\n{fields}{length}\n{}", self.line, self.body))
    }
}
