//! The controller as quinn asks for one.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory};

use crate::controller::{INITIAL_WINDOW_BYTES, Known, Steady};

/// Makes a controller for each path.
#[derive(Debug, Clone, Default)]
pub struct SteadyFactory {
    earlier: Option<Known>,
}

impl SteadyFactory {
    /// For a network of which an earlier connection knew something.
    pub fn after(earlier: Option<Known>) -> Self {
        Self { earlier }
    }
}

impl ControllerFactory for SteadyFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Steady::new(now, current_mtu, self.earlier))
    }
}

impl Controller for Steady {
    fn on_sent(&mut self, now: Instant, bytes: u64, _: u64) {
        self.sent(now, bytes);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, _: &RttEstimator) {
        self.acknowledged(now, sent, bytes, app_limited);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, _: Option<u64>) {
        self.batch_ended(now, in_flight, app_limited);
    }

    fn on_congestion_event(&mut self, _: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        // quinn tells a mark of a router on the way (ECN) as a loss of nothing.
        if lost_bytes == 0 {
            self.queue_told();
        } else {
            self.lost(sent, lost_bytes, is_persistent_congestion);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.packets_are(new_mtu);
    }

    fn window(&self) -> u64 {
        self.window_bytes()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        INITIAL_WINDOW_BYTES
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
