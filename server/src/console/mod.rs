//! The console: what supervisors and operators look at, as server-rendered pages that work without JavaScript.

use std::future::Future;
use std::sync::Arc;

use crate::host::Host;
use crate::problem::Problem;

/// Serves pages until `stopping` ends.
pub async fn serve(
    host: Arc<Host>,
    listener: tokio::net::TcpListener,
    stopping: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Problem> {
    let _ = (host, listener);
    stopping.await;
    Ok(())
}
