//! Two phones with no server: one waits and shows a text as a QR code, the other reads it and syncs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use karwan_client::ClientError;

use crate::device::Device;
use crate::error::{KarwanError, guarded};
use crate::listener::{Relay, SyncListener};
use crate::runtime;
use crate::shown::SyncSummary;

/// A phone that waits for another one. Closing or dropping it ends that.
#[derive(uniffi::Object)]
pub struct Listening {
    device: Arc<tokio::sync::Mutex<karwan_client::Listening>>,
    /// What is shown now; another one after each meeting.
    text: Arc<Mutex<String>>,
    addresses: Vec<String>,
}

#[uniffi::export]
impl Device {
    /// Begins to wait for another phone in the same network. `addresses` are this phone's own, as the platform tells them, best first; where none
    /// are given they are looked for.
    #[uniffi::method(default(addresses = []))]
    pub fn listen(&self, addresses: Vec<String>) -> Result<Arc<Listening>, KarwanError> {
        let addresses =
            addresses.iter().map(|address| address.parse::<IpAddr>()).collect::<Result<Vec<_>, _>>().map_err(|_| {
                KarwanError::bad_input("address", "expected addresses such as 192.168.43.1", "Give them without a port.")
            })?;
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let listening = runtime::within(|| guarded(|| self.client().listen(any, &addresses)))??;
        let (text, addresses) = (listening.text(), listening.addresses().to_vec());
        Ok(Arc::new(Listening {
            device: Arc::new(tokio::sync::Mutex::new(listening)),
            text: Arc::new(Mutex::new(text)),
            addresses,
        }))
    }

    /// Syncs with the phone that shows this text. What comes is provisional until the server's verdict; what goes stays here to be sent to the
    /// server too. Runs on threads of the library, and giving up the call ends it, as with [`Device::sync`].
    #[uniffi::method(default(listener = None))]
    pub async fn sync_with(&self, text: String, listener: Option<Arc<dyn SyncListener>>) -> Result<SyncSummary, KarwanError> {
        let relay = Relay::to(listener);
        let (device, told, given_up) = (self.client().clone(), relay.clone(), relay.clone());
        let work = async move { device.sync_with(&text, told.as_ref()).await };
        let outcome = runtime::run(work, move || given_up.give_up()).await;
        match relay.thrown() {
            Some(thrown) => Err(thrown),
            None => outcome.map(SyncSummary::from),
        }
    }
}

#[uniffi::export]
impl Listening {
    /// What the other phone is to read: for one phone, once.
    pub fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where this phone waits, `host:port`.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// Waits for one phone and syncs with it. The listener hears of it while nobody has come, too, and may end it.
    #[uniffi::method(default(listener = None))]
    pub async fn meet(&self, listener: Option<Arc<dyn SyncListener>>) -> Result<SyncSummary, KarwanError> {
        let relay = Relay::to(listener);
        let (listening, text) = (self.device.clone(), self.text.clone());
        let (told, given_up) = (relay.clone(), relay.clone());
        let work = async move {
            let mut listening = listening.try_lock().map_err(|_| ClientError::Session("it waits already".to_owned()))?;
            let outcome = listening.meet(told.as_ref()).await;
            *text.lock().unwrap_or_else(PoisonError::into_inner) = listening.text();
            outcome
        };
        let outcome = runtime::run(work, move || given_up.give_up()).await;
        match relay.thrown() {
            Some(thrown) => Err(thrown),
            None => outcome.map(SyncSummary::from),
        }
    }
}
