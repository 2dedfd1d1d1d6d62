//! TLS as devices and servers have it, with one key on both sides: what is tested is speed.

use std::sync::Arc;

use karwan_client::sync::tls::{client_tls, listening_tls};
use karwan_proto::keys::SigningKey;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};

fn key() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

pub fn server() -> Arc<QuicServerConfig> {
    Arc::new(listening_tls(&key()).unwrap().try_into().unwrap())
}

pub fn client() -> Arc<QuicClientConfig> {
    Arc::new(client_tls(&key(), &[key().public()]).unwrap().try_into().unwrap())
}

struct Resets;

impl quinn_proto::crypto::HmacKey for Resets {
    fn sign(&self, _: &[u8], signature: &mut [u8]) {
        signature.fill(0);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), quinn_proto::crypto::CryptoError> {
        Ok(())
    }
}

pub fn resets() -> Arc<dyn quinn_proto::crypto::HmacKey> {
    Arc::new(Resets)
}
