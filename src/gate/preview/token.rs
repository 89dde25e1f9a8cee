//! Tokens that let a request be answered by a generation that does not serve: made by the gate, and only by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What every token is made for: no other use of the key yields the same.
const PURPOSE: &str = "tidegate preview";

/// How long a token is: no longer one is looked at.
const LONGEST: usize = 128;

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was not made with this key.
    Forged,
    /// Its time is over.
    Expired,
}

/// A token for the generation with this short hash, until so many seconds after 1970.
pub(super) fn make(key: &[u8; 32], generation: &str, until: u64) -> String {
    format!("{generation}.{until}.{}", mac(key, generation, until).to_hex())
}

/// The generation that a token is for, and until when, if it was made with this key and its time is not over.
pub(super) fn read<'t>(key: &[u8; 32], token: &'t str, now: SystemTime) -> Result<(&'t str, u64), Refused> {
    let mut parts = token.split('.');
    let (Some(generation), Some(until), Some(sign), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused::Forged);
    };
    let canonical = until.bytes().all(|digit| digit.is_ascii_digit()) && (until == "0" || !until.starts_with('0'));
    let (true, true, Ok(until), Ok(sign)) =
        (token.len() <= LONGEST, canonical, until.parse::<u64>(), blake3::Hash::from_hex(sign))
    else {
        return Err(Refused::Forged);
    };
    // Hashes of this type are compared in constant time.
    if sign != mac(key, generation, until) {
        return Err(Refused::Forged);
    }
    let over = UNIX_EPOCH.checked_add(Duration::from_secs(until)).is_none_or(|over| now >= over);
    if over { Err(Refused::Expired) } else { Ok((generation, until)) }
}

fn mac(key: &[u8; 32], generation: &str, until: u64) -> blake3::Hash {
    blake3::keyed_hash(key, format!("{PURPOSE} {generation} {until}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_good_until_its_time_is_over() {
        let token = make(&KEY, "0123456789ab", 1000);
        assert_eq!(read(&KEY, &token, at(999)), Ok(("0123456789ab", 1000)));
        assert_eq!(read(&KEY, &token, at(1000)), Err(Refused::Expired));
    }

    #[test]
    fn whoever_does_not_know_the_key_makes_none() {
        let token = make(&KEY, "0123456789ab", 1000);
        assert_eq!(read(&[8; 32], &token, at(0)), Err(Refused::Forged));
        for index in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[index] = if other[index] == b'5' { b'6' } else { b'5' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(read(&KEY, &other, at(0)), Err(Refused::Forged), "{other}");
        }
        for text in ["", ".", "..", "0123456789ab.1000", "a.99999999999999999999.00", &format!("{token}."), "ü.1.2"] {
            assert_eq!(read(&KEY, text, at(0)), Err(Refused::Forged), "{text}");
        }
    }
}
