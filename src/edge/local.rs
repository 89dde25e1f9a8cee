//! Serves small answers of the gate's own, on a listener apart from the clients'.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Method, Response, Uri};
use pingora_core::apps::ServerApp;
use pingora_core::apps::http_app::{HttpServer, ServeHttp};
use pingora_core::protocols::http::ServerSession;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::ACCEPT_PAUSE;
use super::guard::Limits;
use super::stream::{ClientStream, Transport};

/// The longest body that is read.
const MOST_BYTES: usize = 64 * 1024;

/// A request of the admin listener.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its target: path and query.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; `None` when it is longer than 64 KiB or did not come whole.
    pub body: Option<Vec<u8>>,
}

/// Answers requests of the admin listener: whole requests in, whole responses out.
#[async_trait]
pub trait Answer: Send + Sync + 'static {
    /// The response to a request.
    async fn answer(&self, asked: Asked) -> Response<Vec<u8>>;
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
        let body = body(session).await;
        let head = session.req_header();
        let asked = Asked { method: head.method.clone(), uri: head.uri.clone(), headers: head.headers.clone(), body };
        self.0.answer(asked).await
    }
}

/// The request's body. What is too long is read to its end all the same, so that the answer arrives.
async fn body(session: &mut ServerSession) -> Option<Vec<u8>> {
    let mut body = Some(Vec::new());
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) => {
                body = body.filter(|read| read.len() + piece.len() <= MOST_BYTES).map(|mut read| {
                    read.extend_from_slice(&piece);
                    read
                });
            }
            Ok(None) => return body,
            Err(_) => return None,
        }
    }
}
