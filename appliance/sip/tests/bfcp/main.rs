//! BFCP: bytes written from the tables of RFC 8855, both machines, and many of them over a network
//! that loses, repeats and reorders.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod codec;
mod ends;
mod machines;
mod properties;
mod vectors;
