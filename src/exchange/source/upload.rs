//! A request's body that goes on while its answer is read.

use bytes::Bytes;

use super::Source;
use crate::exchange::wire::Connection;

impl<N: Connection> Source<N> {
    /// Says that the request's body goes on while the response is read.
    pub fn go_on_uploading(&mut self) {
        if let Self::Live { uploading, .. } = self {
            *uploading = true;
        }
    }

    /// Whether the rest of the request's body is to be sent while the response is read.
    pub fn uploading(&self) -> bool {
        matches!(self, Self::Live { uploading: true, .. })
    }

    /// Sends a piece of the request's body, or its end. An endpoint that takes no more of it still has its say.
    pub async fn upload(&mut self, piece: Option<Bytes>) {
        if let Self::Live { connection: Some(connection), idle, uploading, .. } = self {
            let end = piece.is_none();
            let sending = connection.send_body(piece.unwrap_or_default(), end);
            let sent = tokio::time::timeout(*idle, sending).await;
            *uploading = !end && matches!(sent, Ok(Ok(())));
        }
    }
}
