//! Undoes the compression of a response that has to be read here, though nobody asked for it to be compressed.

use std::io::{self, Write};

use bytes::Bytes;

#[cfg(test)]
mod tests;

/// Undoes one content coding (RFC 9110 §8.4.1) as the bytes come.
pub struct Decoder(Coding);

/// The codings that LLM APIs were seen to use, and those that their clients offer.
enum Coding {
    Gzip(flate2::write::MultiGzDecoder<Sink>),
    Deflate(flate2::write::ZlibDecoder<Sink>),
    Brotli(Box<brotli::DecompressorWriter<Sink>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
}

/// Where decoded bytes gather until they are taken; it takes no more than it may.
struct Sink {
    out: Vec<u8>,
    most: usize,
}

/// The buffer that brotli works with.
const BROTLI_BUFFER: usize = 4096;

// === impl Decoder ===

impl Decoder {
    /// The decoder for a `Content-Encoding` of one coding, which gives at most `most` bytes for what is pushed at once:
    /// a few kilobytes can be made to unfold without end. `None` for codings that are not known here.
    pub fn of(content_encoding: &str, most: usize) -> Option<Self> {
        let sink = Sink { out: Vec::new(), most };
        let coding = match content_encoding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Coding::Gzip(flate2::write::MultiGzDecoder::new(sink)),
            "deflate" => Coding::Deflate(flate2::write::ZlibDecoder::new(sink)),
            "br" => Coding::Brotli(Box::new(brotli::DecompressorWriter::new(sink, BROTLI_BUFFER))),
            "zstd" => Coding::Zstd(Box::new(zstd::stream::write::Decoder::new(sink).ok()?)),
            _ => return None,
        };
        Some(Self(coding))
    }

    /// What the next bytes stand for; empty until enough of them have come.
    pub fn push(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        let sink = match &mut self.0 {
            Coding::Gzip(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
            Coding::Deflate(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
            Coding::Brotli(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
            Coding::Zstd(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
        };
        Ok(Bytes::from(std::mem::take(&mut sink.out)))
    }
}

// === impl Sink ===

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() + bytes.len() > self.most {
            return Err(io::Error::other("it unfolds to more than this gate holds in memory"));
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
