//! Notices that a network has stopped letting UDP through in the middle of a sync: what is sent is answered by nothing, while TCP reaches the server.

use std::time::{Duration, Instant};

use super::transport::{Link, Stream};

/// How long nothing may come back for what was sent before TCP is tried beside it: longer than a few round trips of a full 2G line.
const SILENCE: Duration = Duration::from_secs(6);
/// How often it looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Returns when it is so, with a line and a stream over TCP. Where nothing reaches the server it goes on waiting: a network that is away altogether may
/// come back for both.
pub(super) async fn over_tcp_instead(link: &Link) -> (Link, Stream) {
    let Link::Quic { connection, tcp, .. } = link else { return std::future::pending().await };
    let counts = || {
        let stats = connection.stats();
        // Acknowledgements alone are owed no answer; what is not acknowledged is sent again, or asked about.
        (stats.udp_rx.datagrams, stats.frame_tx.stream + stats.frame_tx.ping)
    };
    let mut heard = Heard::of(counts(), Instant::now());
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if !heard.is_silent(counts(), Instant::now()) {
            continue;
        }
        let (received, _) = counts();
        match tcp.open().await {
            // What still comes over QUIC is worth more than a new beginning.
            Ok(stream) if counts().0 == received => return (Link::Tcp(tcp.clone()), stream),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "nothing comes over QUIC, and TCP does not reach the server either"),
        }
        heard = Heard::of(counts(), Instant::now());
    }
}

/// When something came last: datagrams received by then, and frames sent that are answered.
struct Heard {
    received: u64,
    sent: u64,
    at: Instant,
}

impl Heard {
    fn of((received, sent): (u64, u64), at: Instant) -> Self {
        Self { received, sent, at }
    }

    /// Whether what was sent since has been answered by nothing for too long.
    fn is_silent(&mut self, (received, sent): (u64, u64), now: Instant) -> bool {
        // Who sends nothing is owed no answer.
        if received != self.received || sent == self.sent {
            *self = Self::of((received, sent), now);
        }
        now.duration_since(self.at) >= SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_and_not_answered_for_long_is_silence() {
        let began = Instant::now();
        let after = |ms: u64| began + Duration::from_millis(ms);
        let mut heard = Heard::of((10, 10), began);
        assert!(!heard.is_silent((10, 10), after(60_000)), "nothing was sent");
        assert!(!heard.is_silent((10, 11), after(60_500)));
        assert!(!heard.is_silent((11, 30), after(65_000)), "it was answered");
        assert!(!heard.is_silent((11, 40), after(70_900)));
        assert!(heard.is_silent((11, 50), after(71_000)));
    }
}
