//! Endpoints among themselves and against scripted peers, through the seeded network in virtual
//! time.

mod calls;
mod digest;
mod floors;
mod corpus;
mod hold;
mod liveness;
mod outbound;
mod policy;
mod properties;
mod registrar;
mod registration;
mod robustness;
mod scripted;
mod treatment;
mod world;
