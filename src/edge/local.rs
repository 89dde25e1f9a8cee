//! Serves small answers of the gate's own, on a listener apart from the clients'.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response};
use pingora_core::apps::ServerApp;
use pingora_core::apps::http_app::{HttpServer, ServeHttp};
use pingora_core::protocols::http::ServerSession;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::ACCEPT_PAUSE;
use super::guard::Limits;
use super::stream::{ClientStream, Transport};

/// Answers requests of the admin listener: method and path in, a whole response out.
pub trait Answer: Send + Sync + 'static {
    /// The response to a request without a body.
    fn answer(&self, method: &Method, path: &str) -> Response<Vec<u8>>;
}

struct App<A>(A);

/// Serves `answers` on `listener` until the process ends.
pub async fn serve<A: Answer>(listener: TcpListener, answers: A) {
    let app = Arc::new(HttpServer::new_app(App(answers)));
    let (_never, watch) = watch::channel(false);
    loop {
        let Ok((socket, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await; // paced: the system is out of files
            continue;
        };
        let app = Arc::clone(&app);
        let watch = watch.clone();
        tokio::spawn(async move {
            let _ = socket.set_nodelay(true);
            let stream = ClientStream::new(Transport::Tcp(socket), peer, Limits::default(), false);
            let _ = app.process_new(Box::new(stream), &watch).await;
        });
    }
}

#[async_trait]
impl<A: Answer> ServeHttp for App<A> {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        while let Ok(Some(piece)) = session.read_request_body().await {
            drop::<Bytes>(piece);
        }
        let head = session.req_header();
        self.0.answer(&head.method, head.uri.path())
    }
}
