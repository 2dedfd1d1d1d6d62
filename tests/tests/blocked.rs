//! Networks that block UDP: a device reaches its server over TCP with the same keys, and remembers it for that network. And networks that
//! change under a sync.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use karwan_client::sync::report::{Listener, Over, Progress, Quiet};
use karwan_client::{ClientError, Device, EnrolRequest, Filling, Folder, Network};
use karwan_proto::{Invitation, Role};
use karwan_server::organisation::Organisation;
use karwan_server::serve::Running;
use karwan_tests::home::{CASELOAD, GivenClock, organisation_in, phone_key};
use karwan_tests::relay::{Direction, Line, Relay, forward_tcp};
use karwan_tests::workbook::photo_form;
use tokio::net::{TcpListener, UdpSocket};

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
        forward_tcp(tcp, server);
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

/// Bytes of the photograph that is on its way meanwhile.
const PHOTO_BYTES: usize = 6_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_through_two_other_networks_and_over_tcp_when_udp_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (running, invitation) = serve(folder.path(), "A day").await;
    let organisation = running.host.organisation.clone();
    organisation.publish("person.xlsx", &photo_form().unwrap(), Vec::new(), CASELOAD).unwrap();
    let device = phone(folder.path(), &invitation).await;
    device.sync(None, &Quiet).await.unwrap();
    let mut photo = vec![0; PHOTO_BYTES];
    blake3::Hasher::new().update(b"photo").finalize_xof().fill(&mut photo);
    let path = folder.path().join("photo.gif");
    std::fs::write(&path, &photo).unwrap();
    let mut interview = device.start("person", None, device.person().unwrap(), Filling::AtOnce).unwrap();
    interview.set("/data/name", "Qurban").unwrap();
    let name = interview.attach("/data/paper", &path).unwrap();
    interview.finalize().unwrap();

    let server: SocketAddr = running.ready.sync.parse().unwrap();
    let slow = Line { one_way: Duration::from_millis(20), bytes_per_s: Some(1_500_000), queue: Duration::from_millis(200) };
    let (line, tcp_bytes) = loop {
        let line = Relay::to(server, slow).await.unwrap();
        if let Ok(counted) = line.let_tcp_through(server).await {
            break (Arc::new(line), counted);
        }
    };
    let day = {
        let (line, device) = (line.clone(), device.clone());
        tokio::spawn(async move {
            for changed_after in [1_000_000, 2_000_000, 3_000_000] {
                while line.bytes(Direction::Up) < changed_after {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                if changed_after == 3_000_000 {
                    line.block();
                } else {
                    // From a thread of its own, as a platform tells it.
                    let device = device.clone();
                    assert!(tokio::task::spawn_blocking(move || device.network_changed().unwrap()).await.unwrap());
                }
            }
        })
    };
    let began = Instant::now();
    let report = device.sync(Some(&line.address()), &Quiet).await.unwrap();
    day.await.unwrap();
    assert_eq!((report.ways.as_slice(), report.network_changes), ([Over::Quic, Over::Tcp].as_slice(), 2), "it says how");
    assert_eq!((report.over, report.attachments.up, report.envelopes_up), (Some(Over::Tcp), 1, 1), "{report:?}");
    assert!(device.attachment(&name).unwrap().unwrap().at_server);
    let (udp, tcp, lost) = (line.bytes(Direction::Up), tcp_bytes.load(Ordering::Relaxed), line.lost_bytes());
    let size = PHOTO_BYTES as u64;
    println!("{size} B: {udp} over UDP, {lost} lost there, {tcp} over TCP, {:?}", began.elapsed());
    assert!(tcp > size / 4, "{tcp} B went over TCP");
    // What was under way when UDP stopped is sent again, and nothing besides; a twentieth is headers.
    assert!(udp + tcp < size + size / 20, "{udp} B over UDP and {tcp} B over TCP");
    assert!(lost < size / 10, "{lost} B went nowhere");
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
