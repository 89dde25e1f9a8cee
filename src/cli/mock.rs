//! `tidegate mock`: a deterministic upstream.

use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;

use super::{fail, print, runtime};
use crate::mock;

/// Serves the mock until it is told to stop.
pub fn run(listen: SocketAddr, name: String) -> ExitCode {
    let runtime = match runtime::build(None) {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    runtime.block_on(async {
        let listener = match TcpListener::bind(listen).await {
            Ok(listener) => listener,
            Err(error) => return fail(&format!("{listen}: {error}")),
        };
        let address = listener.local_addr().unwrap_or(listen);
        print(&format!("mock {name} on http://{address}\n"));
        match mock::serve(listener, name, runtime::told_to_stop()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string()),
        }
    })
}
