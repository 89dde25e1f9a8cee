//! What the gate adds to a request on its way: forwarded-for headers, `Via`, the request id.

use std::net::IpAddr;

use http::HeaderValue;
use ipnet::IpNet;

use super::turn::Waited;
use crate::dialect::loss::Losses;
use crate::message::{RequestHead, ResponseHead};
use crate::settings;

/// Which traces the gate leaves on the messages it forwards, and whose it believes.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent switches of the settings")]
pub struct Forwarding {
    /// Whether `X-Forwarded-For`, `-Proto` and `-Host` are added.
    pub x_forwarded: bool,
    /// Whether `Via` is added to requests and responses (RFC 9110 §7.6.3).
    pub via: bool,
    /// The header that carries the request id both ways; `None` for no such header.
    pub request_id: Option<String>,
    /// Peers whose `X-Forwarded-*` headers are believed and kept.
    pub trusted: Vec<IpNet>,
    /// Whether responses name the generation that served them, in `x-tidegate-generation`.
    pub generation: bool,
    /// Whether responses name what a translation could not carry, in `x-tidegate-losses`.
    pub losses: bool,
    /// Whether responses say what the cache did, in `x-cache`.
    pub cache: bool,
    /// Whether responses tell how long their requests waited in line, in `x-tidegate-queue`.
    pub queue: bool,
}

/// The name the gate gives itself in `Via`.
const VIA: &str = "1.1 tidegate";

// === impl Forwarding ===

impl Forwarding {
    /// What the settings say.
    pub fn of(settings: &settings::Forwarding) -> Self {
        Self {
            x_forwarded: settings.x_forwarded,
            via: settings.via,
            request_id: settings.request_id.0.clone(),
            trusted: settings.trusted.clone(),
            generation: settings.generation_header,
            losses: settings.losses_header,
            cache: settings.cache_header,
            queue: settings.queue_header,
        }
    }

    /// Whether what `peer` says of others is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|net| net.contains(&peer))
    }

    /// The address of the client: the peer's own, or the last one in `X-Forwarded-For` that is not a trusted
    /// gateway's, when the peer is trusted.
    pub fn client_ip(&self, peer: IpAddr, head: &RequestHead) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let lines: Vec<&str> =
            head.headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or("?")).collect();
        let mut nearest = peer;
        // From the right: each name was added by the one after it, and is believed as long as that one is trusted.
        for part in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            match part.trim().parse() {
                Ok(ip) if self.trusts(ip) => nearest = ip,
                Ok(ip) => return ip,
                Err(_) => return nearest,
            }
        }
        nearest
    }

    /// Adds the gate's traces to a request about to be sent.
    pub fn mark_request(&self, head: &mut RequestHead, peer: IpAddr, tls: bool, host: Option<&HeaderValue>, id: &str) {
        if self.x_forwarded {
            self.mark_forwarded(head, peer, tls, host);
        }
        if self.via {
            append(head, "Via", VIA);
        }
        if let Some(name) = &self.request_id {
            let _ = head.insert_header(name.clone(), id);
        }
    }

    fn mark_forwarded(&self, head: &mut RequestHead, peer: IpAddr, tls: bool, host: Option<&HeaderValue>) {
        if !self.trusts(peer) {
            for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded"] {
                if head.headers.contains_key(name) {
                    head.remove_header(name);
                }
            }
        }
        append(head, "X-Forwarded-For", &peer.to_canonical().to_string());
        if !head.headers.contains_key("x-forwarded-proto") {
            let _ = head.insert_header("X-Forwarded-Proto", if tls { "https" } else { "http" });
        }
        if let Some(host) = host.filter(|_| !head.headers.contains_key("x-forwarded-host")) {
            let _ = head.insert_header("X-Forwarded-Host", host.clone());
        }
    }

    /// Adds the gate's traces to a response about to be sent. An upstream's own request id is left as it is.
    pub fn mark_response(&self, head: &mut ResponseHead, id: &str, generation: &str) {
        if self.via {
            let _ = head.append_header("Via", VIA);
        }
        if let Some(name) = &self.request_id
            && !head.headers.contains_key(name.as_str())
        {
            let _ = head.insert_header(name.clone(), id);
        }
        if self.generation {
            let _ = head.insert_header("x-tidegate-generation", generation);
        }
    }

    /// Tells the client what the cache did, unless a policy has told it already.
    pub fn mark_cache(&self, head: &mut ResponseHead, told: &str) {
        if self.cache && !head.headers.contains_key("x-cache") {
            let _ = head.insert_header("x-cache", told);
        }
    }

    /// Tells the client how its request waited in line, if the settings say so.
    pub fn mark_queue(&self, head: &mut ResponseHead, waited: &Waited) {
        if self.queue {
            let _ = head.insert_header("x-tidegate-queue", waited.header());
        }
    }

    /// Tells the client what a translation of its request could not carry, if the settings say so.
    pub fn mark_losses(&self, head: &mut ResponseHead, losses: &Losses) {
        if !self.losses || losses.is_empty() {
            return;
        }
        let printable = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
        let told: String = losses.to_string().chars().map(printable).take(LOSSES).collect();
        let _ = head.insert_header("x-tidegate-losses", told);
    }
}

/// How much of the losses a header tells.
const LOSSES: usize = 1024;

/// Appends to a list header: one line, values separated by commas.
fn append(head: &mut RequestHead, name: &'static str, value: &str) {
    let earlier: Vec<&str> = head.headers.get_all(name).iter().filter_map(|earlier| earlier.to_str().ok()).collect();
    let joined = if earlier.is_empty() { value.to_owned() } else { format!("{}, {value}", earlier.join(", ")) };
    let _ = head.insert_header(name, joined);
}

/// The id of an exchange: the client's own when it is well-formed, a new one otherwise.
pub fn request_id(offered: Option<&HeaderValue>, fresh: impl FnOnce() -> u128) -> String {
    let valid = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    match offered.and_then(|value| value.to_str().ok()).filter(valid) {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", fresh()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarding() -> Forwarding {
        Forwarding {
            x_forwarded: true,
            via: true,
            request_id: Some("x-request-id".into()),
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            generation: false,
            losses: false,
            cache: true,
            queue: false,
        }
    }

    fn head(headers: &[(&'static str, &'static str)]) -> RequestHead {
        let mut head = RequestHead::build("GET", b"/", None).unwrap();
        for (name, value) in headers {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_untrusted_peer_cannot_name_another_client() {
        let mut spoofed = head(&[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https")]);
        assert_eq!(forwarding().client_ip(ip("9.9.9.9"), &spoofed), ip("9.9.9.9"));
        forwarding().mark_request(&mut spoofed, ip("9.9.9.9"), false, None, "id");
        assert_eq!(spoofed.headers["x-forwarded-for"], "9.9.9.9");
        assert_eq!(spoofed.headers["x-forwarded-proto"], "http");
    }

    #[test]
    fn a_trusted_peer_is_believed_up_to_the_first_stranger() {
        let chained = head(&[("X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.7")]);
        assert_eq!(forwarding().client_ip(ip("10.0.0.1"), &chained), ip("1.2.3.4"));
        let broken = head(&[("X-Forwarded-For", "6.6.6.6, x, 5.5.5.5")]);
        assert_eq!(forwarding().client_ip(ip("10.0.0.1"), &broken), ip("5.5.5.5"));
        let unreadable = head(&[("X-Forwarded-For", "6.6.6.6, x, 10.0.0.9")]);
        assert_eq!(forwarding().client_ip(ip("10.0.0.1"), &unreadable), ip("10.0.0.9"));
    }

    #[test]
    fn request_ids_are_taken_over_only_when_well_formed() {
        let good = HeaderValue::from_static("req_1-a");
        let bad = HeaderValue::from_static("a b");
        assert_eq!(request_id(Some(&good), || 1), "req_1-a");
        assert_eq!(request_id(Some(&bad), || 1), format!("{:032x}", 1));
        assert_eq!(request_id(None, || 2), format!("{:032x}", 2));
    }
}
