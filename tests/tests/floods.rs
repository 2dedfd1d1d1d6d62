//! Connections in number against the real listener: one key holds a few, and an honest phone is served meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use karwan_client::sync::report::Quiet;
use karwan_client::sync::tls::{SERVER_NAME, client_config};
use karwan_client::{Device, EnrolRequest, Folder};
use karwan_proto::{Role, SigningKey};
use karwan_server::connections::CONNECTIONS_PER_DEVICE;
use karwan_server::organisation::Organisation;
use karwan_server::serve::Running;
use karwan_tests::home::{CASELOAD, GivenClock, organisation_in, phone_key, quick_folder};

/// Connections that the flood opens, each with a session that says three bytes and then nothing.
const FLOOD: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_with_one_key_holds_a_few_connections_and_an_honest_phone_is_served() {
    let folder = quick_folder();
    let org = organisation_in(folder.path());
    Organisation::init(&org, "Flooded").unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let running = Running::start(&org, any, any).await.unwrap();
    let organisation = running.host.organisation.clone();
    organisation.add_caseload(CASELOAD).unwrap();
    let addresses = vec![running.ready.sync.clone()];
    let invitation = organisation.invite(Role::Enumerator, &[CASELOAD.to_owned()], 3_600_000, addresses).unwrap();

    let key = SigningKey::from_seed(&[66; 32]);
    let config = client_config(&key, &[invitation.server_key().unwrap()]).unwrap();
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let server: SocketAddr = running.ready.sync.parse().unwrap();
    let mut held = Vec::new();
    for _ in 0..FLOOD {
        let connection = endpoint.connect_with(config.clone(), server, SERVER_NAME).unwrap().await.unwrap();
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0, 0, 1]).await.unwrap();
        held.push((connection, send, receive));
    }
    // The oldest are closed; the newest stay.
    for (connection, ..) in &held[..FLOOD - CONNECTIONS_PER_DEVICE] {
        tokio::time::timeout(Duration::from_secs(10), connection.closed()).await.expect("an old connection is closed");
    }
    for (connection, ..) in &held[FLOOD - CONNECTIONS_PER_DEVICE..] {
        assert!(connection.close_reason().is_none());
    }
    let request = EnrolRequest {
        folder: Folder::new(folder.path().join("phone")),
        key: Arc::new(phone_key(0)),
        clock: GivenClock::at(1_795_428_000_000),
        invitation: invitation.to_text(),
        name: "phone".to_owned(),
        person: None,
    };
    let phone = Device::enrol(request).await.unwrap();
    assert!(phone.sync(None, &Quiet).await.unwrap().refused.is_empty());
    running.stop().await;
}
