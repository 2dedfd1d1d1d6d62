//! One session with the organisation's server: what is unsent goes there, what is new comes back.
//!
//! Attachments follow on a stream of their own, so that no record waits for one.
//!
//! [`dial`] reaches the server, [`blocked`] notices that QUIC does not any more, [`transport`] has the streams, [`driver`] does what the protocol's state machine says, [`outgoing`] seals and offers,
//! [`incoming`] takes in, [`transfer`] carries attachments, [`report`] is what the caller is told.

mod blocked;
pub(crate) mod dial;
mod driver;
pub(crate) mod incoming;
pub(crate) mod networks;
pub(crate) mod outgoing;
pub(crate) mod repair;
pub mod report;
pub(crate) mod stream;
pub mod tls;
mod transfer;
pub(crate) mod transport;
mod verdict;

use std::pin::pin;
use std::time::{Duration, Instant};

use karwan_link::Backoff;
use karwan_proto::directory::{DirectoryRow, Named as Kind};
use karwan_proto::keys::PublicKey;
use karwan_proto::membership::SignedEntry;
use karwan_proto::session::Refusal;
use karwan_store::log::Named;

use crate::attachments::Network;
use crate::device::{Device, Inner, locked, random};
use crate::error::ClientError;
use crate::rewrite;
use driver::Driver;
use networks::{Networks, Place};
use report::{Listener, Phase, Progress, SyncReport};
use tokio::io::{AsyncRead, AsyncWrite};
use transfer::Transfer;
use transport::{Connection, Link, Stream, UnderWay};

/// The setting under which networks are kept.
const NETWORKS: &str = "networks";
/// Sessions of one sync: what is written again in one is sent in the next.
const SESSIONS_MAX: usize = 4;

impl Device {
    /// Syncs with the server: at `with`, or where it was last, or where the invitation said. Ends early, with all that was done kept,
    /// when the listener says so.
    pub async fn sync(&self, with: Option<&str>, listener: &dyn Listener) -> Result<SyncReport, ClientError> {
        self.sync_over_network(with, Network::Free, listener).await
    }

    /// The same where the app knows how the network is paid: large attachments wait for a free one.
    pub async fn sync_over_network(
        &self,
        with: Option<&str>,
        network: Network,
        listener: &dyn Listener,
    ) -> Result<SyncReport, ClientError> {
        self.sync_patiently(with, network, listener, 1).await
    }

    /// The same, tried so many times where the server is not reached, the connection breaks or the server is busy: later each time, or when
    /// the server said. What was done by then is kept.
    pub async fn sync_patiently(
        &self,
        with: Option<&str>,
        network: Network,
        listener: &dyn Listener,
        tries: u32,
    ) -> Result<SyncReport, ClientError> {
        let began = Instant::now();
        let mut report = SyncReport::default();
        let mut backoff = Backoff::default();
        for left in (0..tries.max(1)).rev() {
            let told = match self.once(with, network, listener, &mut report).await {
                Ok(()) => break,
                Err(ClientError::Unreachable { .. } | ClientError::Interrupted(_)) if left > 0 => None,
                Err(ClientError::Refused(Refusal::Busy { retry_after_ms })) if left > 0 => {
                    Some(Duration::from_millis(retry_after_ms))
                }
                Err(error) => return Err(error),
            };
            if !listener.progress(&Progress::at(Phase::Connecting)) {
                return Err(ClientError::Cancelled);
            }
            tokio::time::sleep(backoff.after_failure(u32::from_be_bytes(random()), told)).await;
        }
        report.ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(report)
    }

    /// One try. Where the network stops letting UDP through it goes on over TCP. What it did is added to the report, whatever becomes of it.
    async fn once(
        &self,
        with: Option<&str>,
        network: Network,
        listener: &dyn Listener,
        report: &mut SyncReport,
    ) -> Result<(), ClientError> {
        let (addresses, servers) = self.inner.where_to(with)?;
        if !listener.progress(&Progress::at(Phase::Connecting)) {
            return Err(ClientError::Cancelled);
        }
        let mut connection = dial::connect(&self.inner.key, &servers, &addresses, &self.inner.networks()?).await?;
        loop {
            let (address, place, link) = (connection.address.clone(), connection.place, connection.link.clone());
            report.goes_over(link.over());
            let noted = Noted::of(&self.inner, &link);
            let (outcome, instead) = {
                let mut syncing = Box::pin(self.sync_on(connection, network, listener, report));
                tokio::select! {
                    outcome = &mut syncing => (outcome, None),
                    instead = blocked::over_tcp_instead(&link) => {
                        link.give_up();
                        (syncing.await, Some(instead))
                    }
                }
            };
            report.network_changes += noted.changes();
            drop(noted);
            match (outcome, instead) {
                (Err(ClientError::Interrupted(_)), Some((link, stream))) => {
                    tracing::info!("nothing comes over QUIC any more: going on over TCP");
                    connection = Connection { address, place, stream, link };
                }
                (outcome, instead) => {
                    if outcome.is_ok()
                        && let Some(place) = place
                    {
                        self.inner.remember_place(place, &link)?;
                    }
                    if instead.is_none() {
                        link.close().await;
                    }
                    return outcome;
                }
            }
        }
    }

    /// The device is in another network: a sync that is under way over QUIC goes on there. Says whether there was one.
    pub fn network_changed(&self) -> Result<bool, ClientError> {
        let under_way = locked(&self.inner.under_way).clone();
        let Some(under_way) = under_way else { return Ok(false) };
        under_way.change_network().map_err(|_| ClientError::Transport { what: "taking a socket in the new network" })?;
        Ok(true)
    }

    /// Records first, then attachments.
    async fn sync_on(
        &self,
        connection: Connection,
        network: Network,
        listener: &dyn Listener,
        report: &mut SyncReport,
    ) -> Result<(), ClientError> {
        let Connection { address, stream, link, .. } = connection;
        self.session(stream, listener, report).await?;
        self.inner.remember_address(&address)?;
        for _ in 1..SESSIONS_MAX {
            if !report.unfinished {
                break;
            }
            self.session(link.open().await?, listener, report).await?;
        }
        self.carry(&link, network, report, listener).await
    }

    /// Carries attachments. Records that are finished meanwhile do not wait for them: they go on a stream of their own at once.
    async fn carry(
        &self,
        link: &Link,
        network: Network,
        report: &mut SyncReport,
        listener: &dyn Listener,
    ) -> Result<(), ClientError> {
        let mut made = self.inner.made.subscribe();
        let mut transfer = Transfer::of(&self.inner, listener, network, report.recovering)?;
        if transfer.has_nothing()? {
            report.attachments.waiting = transfer.carried().waiting;
            return Ok(());
        }
        let outcome = {
            let mut carrying = pin!(transfer.run(link.open_behind().await?));
            loop {
                tokio::select! {
                    outcome = &mut carrying => break outcome,
                    Ok(()) = made.changed() => {}
                }
                let mut session = pin!(async { self.session(link.open().await?, listener, report).await });
                let mut carried = None;
                let told = loop {
                    tokio::select! {
                        told = &mut session => break told,
                        outcome = &mut carrying, if carried.is_none() => carried = Some(outcome),
                    }
                };
                told?;
                if let Some(outcome) = carried {
                    break outcome;
                }
            }
        };
        report.add_carried(transfer.carried());
        outcome
    }

    /// The same over a stream that the caller made, to a server whose key the caller has proved and which knows by whose key it is
    /// reached: a tunnel, or a test without a network. One session: where [`SyncReport::unfinished`] says so, another is needed.
    pub async fn sync_over(
        &self,
        send: impl AsyncWrite + Send + Unpin + 'static,
        receive: impl AsyncRead + Send + Unpin + 'static,
        listener: &dyn Listener,
    ) -> Result<SyncReport, ClientError> {
        let mut report = SyncReport::default();
        self.session(Stream::over(send, receive), listener, &mut report).await?;
        Ok(report)
    }

    /// One session. What it did is added to the report, whatever becomes of it.
    async fn session(&self, stream: Stream, listener: &dyn Listener, report: &mut SyncReport) -> Result<(), ClientError> {
        rewrite::settle(&self.inner)?;
        let mut driver = Driver::new(&self.inner, listener)?;
        let outcome = driver.run(stream).await;
        let mut told = driver.into_report();
        self.inner.after_session(&told);
        match outcome {
            Ok(()) => {
                // A server that recovers has not told what it has: what waits for that goes on waiting.
                let waited = locked(&self.inner.store).rewrite_pending()? && !told.recovering;
                told.written_again =
                    if told.recovering { rewrite::settle(&self.inner)? } else { rewrite::settle_all(&self.inner)? };
                let unsealed = locked(&self.inner.store).view()?.all_unsealed()?.len() as u64;
                told.unfinished |= told.written_again > 0 || (waited && unsealed > 0);
                told.kept_back = if told.recovering { unsealed } else { 0 };
                report.add(told);
                Ok(())
            }
            Err(error) => {
                report.add(told);
                if matches!(error, ClientError::Refused(Refusal::CloneSuspected)) {
                    locked(&self.inner.store).write(|batch| {
                        batch.ask_to_begin_again()?;
                        Ok::<_, karwan_store::StoreError>(())
                    })?;
                }
                rewrite::settle(&self.inner)?;
                Err(error)
            }
        }
    }
}

/// Notes that a sync is under way, until it ends or is given up.
struct Noted<'a> {
    inner: &'a Inner,
    under_way: Option<UnderWay>,
}

impl<'a> Noted<'a> {
    fn of(inner: &'a Inner, link: &Link) -> Self {
        let under_way = link.under_way();
        locked(&inner.under_way).clone_from(&under_way);
        Self { inner, under_way }
    }

    /// How often the network changed meanwhile.
    fn changes(&self) -> u64 {
        self.under_way.as_ref().map_or(0, UnderWay::changes)
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        *locked(&self.inner.under_way) = None;
    }
}

impl Inner {
    /// Addresses to try, and the keys that a server may have: those that the root certified.
    fn where_to(&self, with: Option<&str>) -> Result<(Vec<String>, Vec<PublicKey>), ClientError> {
        let identity = self.identity()?;
        let mut servers: Vec<PublicKey> = locked(&self.membership).servers().collect();
        let root = PublicKey(identity.root_key);
        let pinned = SignedEntry::decode(&identity.server_certificate).map_err(ClientError::Membership)?;
        if let karwan_proto::membership::Act::ServerKey { key } = pinned.open()?.act
            && !servers.contains(&key)
            && servers.is_empty()
        {
            servers.push(key);
        }
        let mut addresses: Vec<String> = identity.addresses.clone();
        match with.map(str::trim) {
            // The text of an invitation says where its server is; it must be of the same organisation.
            Some(text) if text.to_ascii_lowercase().starts_with("karwan1:") => {
                let invitation = karwan_proto::Invitation::from_text(text)?;
                if invitation.root != root {
                    return Err(ClientError::Refused(Refusal::WrongOrganisation));
                }
                let key = invitation.server_key()?;
                if !servers.contains(&key) {
                    servers.push(key);
                }
                addresses = invitation.addresses;
            }
            Some(address) => addresses = vec![address.to_owned()],
            None => {}
        }
        Ok((addresses, servers))
    }

    /// What networks were like.
    fn networks(&self) -> Result<Networks, ClientError> {
        let kept = locked(&self.store).setting(NETWORKS)?;
        Ok(kept.map_or_else(Networks::default, |bytes| Networks::from_bytes(&bytes)))
    }

    /// What worked in this network goes first the next time.
    fn remember_place(&self, place: Place, link: &Link) -> Result<(), ClientError> {
        let before = self.networks()?;
        let mut networks = before.clone();
        networks.used(place, link.over(), link.known());
        if networks != before {
            locked(&self.store).write(|batch| batch.set(NETWORKS, &networks.to_bytes()))?;
        }
        Ok(())
    }

    /// The address that worked is tried first the next time.
    fn remember_address(&self, address: &str) -> Result<(), ClientError> {
        let mut store = locked(&self.store);
        let mut identity = store.identity()?;
        if identity.addresses.first().is_some_and(|first| first == address) {
            return Ok(());
        }
        identity.addresses.retain(|known| known != address);
        identity.addresses.insert(0, address.to_owned());
        identity.addresses.truncate(karwan_proto::limits::MAX_ADDRESSES);
        Ok(store.set_identity(&identity)?)
    }

    fn after_session(&self, report: &SyncReport) {
        if report.changes_down > 0 || report.changes_up > 0 {
            self.lists.forget();
        }
        tracing::info!(
            envelopes_up = report.envelopes_up,
            envelopes_down = report.envelopes_down,
            refused = report.refused.len(),
            "sync ended"
        );
    }
}

/// A row of the directory as it is kept; `None` for what a newer version names.
pub(crate) fn directory_kind(row: &DirectoryRow) -> Option<Named> {
    let kind = match row.named {
        Kind::Organisation => "organisation",
        Kind::Person => "person",
        Kind::Device => "device",
        Kind::Caseload => "caseload",
        Kind::Other(_) => return None,
    };
    Some(Named { kind: kind.to_owned(), id: row.id, name: row.name.clone(), body: None })
}
