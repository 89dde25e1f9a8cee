//! Embeddings made from a hash, so that equal texts have equal vectors and others have others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::route::Refusal;

/// How long a vector is unless the client says: short enough to read.
const DIMENSIONS: usize = 16;
/// The longest vector.
const MAX_DIMENSIONS: usize = 8192;

/// The vector for a text or a token list; its length as a vector is 1.
pub(super) fn vector(item: &Value, dimensions: Option<usize>) -> Result<Vec<f32>, Refusal> {
    let dimensions = dimensions.unwrap_or(DIMENSIONS);
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(Refusal::new(400, format!("`dimensions` must be from 1 to {MAX_DIMENSIONS}.")));
    }
    let mut bytes = vec![0; dimensions * 2];
    blake3::Hasher::new().update(item.to_string().as_bytes()).finalize_xof().fill(&mut bytes);
    // The half added keeps a vector of zeros, which has no direction, from ever arising.
    let numbers = bytes.as_chunks::<2>().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) + 0.5);
    let vector: Vec<f32> = numbers.collect();
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    Ok(vector.into_iter().map(|number| number / length).collect())
}

/// The base64 of the numbers, each as four bytes, lowest first, as `OpenAI` writes them.
pub(super) fn as_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vector_has_length_one_and_depends_on_the_text() {
        let first = vector(&json!("a"), None).ok().unwrap();
        assert_eq!(first.len(), 16);
        assert!((first.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-5);
        assert_eq!(vector(&json!("a"), None).ok(), Some(first.clone()));
        assert_ne!(vector(&json!("b"), None).ok(), Some(first));
        assert!(vector(&json!("a"), Some(0)).is_err() && vector(&json!("a"), Some(9000)).is_err());
    }

    #[test]
    fn base64_holds_the_numbers() {
        let vector = vector(&json!("a"), Some(3)).ok().unwrap();
        let bytes = STANDARD.decode(as_base64(&vector)).unwrap();
        let read: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        assert_eq!(read, vector);
    }
}
