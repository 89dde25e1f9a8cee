//! An upstream below HTTP: each connection is played by hand, byte for byte.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use socket2::{Domain, Socket, Type};

/// Accepts connections and plays each with `play`, which is told its number, from 1.
pub(crate) fn accept(play: impl Fn(usize, TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (before, stream) in listener.incoming().flatten().enumerate() {
            stream.set_nodelay(true).unwrap();
            let play = play.clone();
            thread::spawn(move || play(before + 1, stream));
        }
    });
    address
}

/// Reads up to and with `end`, byte by byte, so that nothing behind it is taken; what came when the connection ends.
pub(crate) fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end) && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        read.extend_from_slice(&byte);
    }
    read
}

/// Reads a head.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    String::from_utf8_lossy(&read_until(stream, b"\r\n\r\n")).into_owned()
}

/// An address at which nobody listens, and nobody else will while the socket is kept.
pub(crate) fn nobody() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}
