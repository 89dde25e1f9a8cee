use super::*;

/// Events as a stream has them.
fn plain() -> Vec<u8> {
    (0..200).flat_map(|n| format!("data: {{\"n\":{n},\"text\":\"wave\"}}\n\n").into_bytes()).collect()
}

fn coded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
            encoder.write_all(bytes).unwrap();
            encoder.into_inner()
        }
        _ => zstd::encode_all(bytes, 3).unwrap(),
    }
}

#[test]
fn every_coding_is_undone_wherever_it_is_cut() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bytes = coded(coding, &plain());
        for size in [1, 7, bytes.len()] {
            let mut decoder = Decoder::of(coding, 1 << 20).unwrap();
            let pieces = bytes.chunks(size).map(|piece| decoder.push(piece).unwrap());
            assert_eq!(pieces.collect::<Vec<_>>().concat(), plain(), "{coding} in pieces of {size}");
        }
    }
}

#[test]
fn what_was_sent_so_far_is_told_at_once() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"data: 1\n\n").unwrap();
    encoder.flush().unwrap();
    let mut decoder = Decoder::of("gzip", 1 << 20).unwrap();
    assert_eq!(decoder.push(encoder.get_ref()).unwrap(), "data: 1\n\n");
}

#[test]
fn a_bomb_is_refused() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bomb = coded(coding, &vec![0; 8 << 20]);
        assert!(Decoder::of(coding, 1 << 20).unwrap().push(&bomb).is_err(), "{coding}");
    }
}

#[test]
fn rubbish_is_an_error_and_strange_codings_are_not_known() {
    assert!(Decoder::of("gzip", 1 << 20).unwrap().push(b"no gzip at all").is_err());
    assert!(Decoder::of("compress", 1).is_none() && Decoder::of("gzip, br", 1).is_none());
}
