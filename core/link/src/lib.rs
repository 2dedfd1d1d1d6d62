//! How fast to send over a link that is slow, far away and loses packets: a satellite terminal shared by a camp, a 2G mast an hour's walk
//! away.
//!
//! quinn's own controllers take a lost packet for a full queue, and on such links packets are lost by chance: NewReno and Cubic then send
//! a fifteenth of what the link carries. Its BBR sends fast and twice as much as arrives, since quinn's pacer does not ask a controller for
//! a rate. [`Steady`] measures the rate at which packets arrive and the shortest round trip, and keeps as much on its way as the link holds:
//! losses by chance change neither, a queue does not grow, and beside a TCP connection it takes the smaller part.
//!
//! [`SteadyFactory`] is what a `TransportConfig` takes. The crate is pure: time comes from quinn. Why it is as it is:
//! `docs/adr/0011-our-own-congestion-controller.md`.

mod backoff;
mod controller;
mod delivery;
mod extremes;
mod transport;

pub use backoff::Backoff;
pub use controller::{INITIAL_WINDOW_BYTES, Known, Phase, Steady};
pub use transport::SteadyFactory;
