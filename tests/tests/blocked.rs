//! Networks that block UDP: a device reaches its server over TCP with the same keys, and remembers it for that network. And networks that
//! change under a sync.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use karwan_client::sync::report::{Listener, Over, Progress, Quiet};
use karwan_client::{ClientError, Device, EnrolRequest, Folder, Network};
use karwan_proto::{Invitation, Role};
use karwan_server::organisation::Organisation;
use karwan_server::serve::Running;
use karwan_tests::home::{CASELOAD, GivenClock, organisation_in, phone_key};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

async fn serve(folder: &Path, name: &str) -> (Running, Invitation) {
    let org = organisation_in(folder);
    Organisation::init(&org, name).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let running = Running::start(&org, any, any).await.unwrap();
    let organisation = running.host.organisation.clone();
    organisation.add_caseload(CASELOAD).unwrap();
    let addresses = vec![running.ready.sync.clone()];
    let invitation = organisation.invite(Role::Enumerator, &[CASELOAD.to_owned()], 3_600_000, addresses).unwrap();
    (running, invitation)
}

async fn phone(folder: &Path, invitation: &Invitation) -> Device {
    let request = EnrolRequest {
        folder: Folder::new(folder.join("phone")),
        key: Arc::new(phone_key(0)),
        clock: GivenClock::at(1_795_428_000_000),
        invitation: invitation.to_text(),
        name: "phone".to_owned(),
        person: None,
    };
    Device::enrol(request).await.unwrap()
}

/// A port at which TCP goes through to the server, and UDP goes nowhere.
struct Gate {
    address: SocketAddr,
    udp_seen: Arc<AtomicU64>,
}

impl Gate {
    async fn before(server: SocketAddr) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), server).await
    }

    async fn at(address: SocketAddr, server: SocketAddr) -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind(address).await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut device, _)) = tcp.accept().await {
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    copy_bidirectional(&mut device, &mut server).await.ok();
                });
            }
        });
        let udp_seen = Arc::new(AtomicU64::new(0));
        let seen = udp_seen.clone();
        tokio::spawn(async move {
            while udp.recv_from(&mut [0; 2_048]).await.is_ok() {
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, udp_seen }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_udp_is_blocked_the_sync_goes_over_tcp_and_the_next_one_begins_there() {
    let folder = tempfile::tempdir().unwrap();
    let (running, invitation) = serve(folder.path(), "Blocked").await;
    let device = phone(folder.path(), &invitation).await;
    assert_eq!(device.sync(None, &Quiet).await.unwrap().over, Some(Over::Quic), "where nothing is blocked");

    let gate = Gate::before(running.ready.sync.parse().unwrap()).await;
    let with = gate.address.to_string();
    assert_eq!(device.sync(Some(&with), &Quiet).await.unwrap().over, Some(Over::Tcp));
    assert!(gate.udp_seen.load(Ordering::Relaxed) > 0, "QUIC was tried first");

    gate.udp_seen.store(0, Ordering::Relaxed);
    let began = Instant::now();
    assert_eq!(device.sync(None, &Quiet).await.unwrap().over, Some(Over::Tcp));
    assert!(began.elapsed() < Duration::from_secs(2), "what worked is remembered: {:?}", began.elapsed());
    assert_eq!(gate.udp_seen.load(Ordering::Relaxed), 0, "and QUIC was not waited for");
    running.stop().await;
}

/// Walks out of one network into another whenever it is told how far the sync is.
struct Walking {
    device: Device,
    moves: AtomicU64,
}

impl Listener for Walking {
    fn progress(&self, _: &Progress) -> bool {
        // From a thread of its own, as a platform tells it.
        let moved = std::thread::scope(|scope| scope.spawn(|| self.device.network_changed().unwrap()).join().unwrap());
        if moved {
            self.moves.fetch_add(1, Ordering::Relaxed);
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_changes_under_a_sync_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (running, invitation) = serve(folder.path(), "Walking").await;
    let device = phone(folder.path(), &invitation).await;
    assert!(!device.network_changed().unwrap(), "no sync is under way");
    let walking = Walking { device: device.clone(), moves: AtomicU64::new(0) };
    let report = device.sync(None, &walking).await.unwrap();
    assert_eq!(report.over, Some(Over::Quic));
    assert!(walking.moves.load(Ordering::Relaxed) >= 2, "it moved {} times", walking.moves.load(Ordering::Relaxed));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_reached_late_is_reached_by_the_second_try() {
    let folder = tempfile::tempdir().unwrap();
    let (running, invitation) = serve(folder.path(), "Late").await;
    let device = phone(folder.path(), &invitation).await;
    let server: SocketAddr = running.ready.sync.parse().unwrap();
    // A free port at which nobody listens until the first try is over.
    let at = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let with = at.to_string();
    let late = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Gate::at(at, server).await
    };
    let (report, _gate) = tokio::join!(device.sync_patiently(Some(&with), Network::Free, &Quiet, 2), late);
    assert_eq!(report.unwrap().over, Some(Over::Tcp));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_over_tcp_without_the_servers_key_is_not_believed() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (running, invitation) = serve(folder.path(), "Ours").await;
    let (stranger, _) = serve(other.path(), "Theirs").await;
    let device = phone(folder.path(), &invitation).await;
    let gate = Gate::before(stranger.ready.sync.parse().unwrap()).await;
    let refused = device.sync(Some(&gate.address.to_string()), &Quiet).await;
    assert!(matches!(refused, Err(ClientError::WrongServer { .. })), "{refused:?}");
    running.stop().await;
    stranger.stop().await;
}
