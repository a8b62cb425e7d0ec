//! Endpoints among themselves and against scripted peers, through the seeded network in virtual
//! time.

mod calls;
mod corpus;
mod dialog_rules;
mod digest;
mod floors;
mod hold;
mod ipv6;
mod liveness;
mod outbound;
mod policy;
mod properties;
mod registrar;
mod registration;
mod robustness;
mod scripted;
mod strangers;
mod treatment;
mod world;
