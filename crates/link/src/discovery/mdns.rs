//! Announcing and browsing by multicast DNS (RFC 6762, RFC 6763), over IPv4 and IPv6.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mdns_sd::{IfKind, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

use super::Wishes;
use super::announcement::{Announcement, Properties};
use super::kept::Kept;

/// What gateways are announced as.
pub const SERVICE: &str = "_tacit._tcp.local.";

/// Addresses that are kept of one gateway: those that it signed come first, and anybody may say that it has others.
const MAX_ADDRESSES: usize = 16;

/// A gateway that was found, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it says of itself.
    pub announcement: Announcement,
    /// Where its link port may be, `host:port`: what it signed first, what was resolved after it.
    pub links: Vec<String>,
    /// Where its HTTP edge may be.
    pub web: Vec<String>,
}

impl Found {
    /// An announcement with the addresses that somebody else says it has.
    pub fn new(announcement: Announcement, resolved: &[String]) -> Self {
        let mut hosts: Vec<String> = announcement.addresses.iter().map(host).collect();
        hosts.extend(resolved.iter().cloned());
        let mut seen = std::collections::BTreeSet::new();
        hosts.retain(|host| seen.insert(host.clone()));
        hosts.truncate(MAX_ADDRESSES);
        let links = hosts.iter().map(|host| format!("{host}:{}", announcement.port)).collect();
        let web = match announcement.web.split_once(':') {
            Some((scheme @ ("http" | "https"), port)) if port.parse::<u16>().is_ok() => {
                // An address of one link only has no place in a URL.
                hosts
                    .iter()
                    .filter(|host| !host.contains('%'))
                    .map(|host| format!("{scheme}://{host}:{port}"))
                    .collect()
            }
            _ => vec![announcement.web.clone()],
        };
        Self { announcement, links, web }
    }

    /// The two as one, of which the newer holds.
    pub fn merge(self, other: Self) -> Self {
        let (mut new, old) = if self.announcement.at >= other.announcement.at { (self, other) } else { (other, self) };
        for link in old.links {
            if !new.links.contains(&link) {
                new.links.push(link);
            }
        }
        for web in old.web {
            if !new.web.contains(&web) {
                new.web.push(web);
            }
        }
        new.links.truncate(MAX_ADDRESSES);
        new.web.truncate(MAX_ADDRESSES);
        new
    }
}

/// Why multicast does not work on this machine. Discovery is a hint: a node runs without.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("multicast DNS cannot be used: {0}")]
pub struct MdnsError(String);

impl From<mdns_sd::Error> for MdnsError {
    fn from(error: mdns_sd::Error) -> Self {
        Self(error.to_string())
    }
}

/// The addresses of this machine that others may reach: not loopback, and not of one link only.
pub fn local_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses: Vec<IpAddr> = interfaces.into_iter().map(|interface| interface.ip()).collect();
    addresses.retain(|ip| match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    });
    addresses.sort();
    addresses.dedup();
    addresses
}

/// One speaker of multicast DNS; clones share it. Its sockets close with the last of them.
#[derive(Clone)]
pub struct Mdns {
    inner: Arc<Inner>,
}

struct Inner {
    daemon: ServiceDaemon,
    /// One search at a time: a second one would end the first.
    searching: Mutex<()>,
}

impl Mdns {
    /// Opens the sockets of port 5353, which other programs share.
    pub fn open() -> Result<Self, MdnsError> {
        let inner = Inner { daemon: ServiceDaemon::new()?, searching: Mutex::new(()) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The same for nodes of one machine: nothing leaves it.
    pub fn on_loopback() -> Result<Self, MdnsError> {
        let mdns = Self::open()?;
        // Before anything is sent: the speaker takes its orders one after the other.
        mdns.inner.daemon.disable_interface(IfKind::All)?;
        mdns.inner.daemon.enable_interface(IfKind::LoopbackV4)?;
        Ok(mdns)
    }

    /// Announces a gateway until this value and its clones are dropped; again with other properties replaces
    /// what was announced before. The addresses of the machine are added and followed as they change.
    pub fn announce(&self, announcement: &Announcement, properties: &Properties) -> Result<(), MdnsError> {
        let instance = format!("{}-{}", label(&announcement.name), announcement.gateway.short());
        let hostname = format!("{}.local.", instance.to_ascii_lowercase());
        let pairs: HashMap<String, String> = properties.clone().into_iter().collect();
        let info = ServiceInfo::new(SERVICE, &instance, &hostname, "", announcement.port, pairs)?;
        Ok(self.inner.daemon.register(info.enable_addr_auto())?)
    }

    /// Everybody who answers within this time, each gateway once; of very many those that are wished for. What is not well
    /// signed is left out.
    pub async fn find(&self, patience: Duration, wishes: &Wishes) -> Vec<Found> {
        let _one = self.inner.searching.lock().await;
        let deadline = Instant::now() + patience;
        let Ok(events) = self.inner.daemon.browse(SERVICE) else { return Vec::new() };
        let search = Search { events, daemon: &self.inner.daemon };
        let mut kept = Kept::new(wishes);
        while let Ok(Ok(event)) = tokio::time::timeout_at(deadline, search.events.recv_async()).await {
            let ServiceEvent::ServiceResolved(service) = event else { continue };
            match read(&service) {
                Ok(one) => kept.add(one),
                Err(error) => debug!(service = service.get_fullname(), %error, "announcement ignored"),
            }
        }
        kept.into_found()
    }
}

/// A search under way. It stops when this is dropped, also in the middle.
struct Search<'a> {
    events: Receiver<ServiceEvent>,
    daemon: &'a ServiceDaemon,
}

impl Drop for Search<'_> {
    /// With the search goes what the speaker holds of it, which nothing else bounds, and the next search would be told of
    /// gateways that have left. It takes no answers that nobody asked for.
    fn drop(&mut self) {
        let _stopped = self.daemon.stop_browse(SERVICE);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ended = self.daemon.shutdown();
    }
}

fn read(service: &ResolvedService) -> Result<Found, super::announcement::AnnouncementError> {
    let properties: Properties =
        service.get_properties().iter().map(|p| (p.key().to_owned(), p.val_str().to_owned())).collect();
    let announcement = Announcement::read(&properties)?;
    let mut resolved: Vec<String> = service.get_addresses().iter().filter(|ip| !ip.is_loopback()).map(scoped).collect();
    resolved.sort();
    Ok(Found::new(announcement, &resolved))
}

fn host(ip: &IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// An address with the interface it belongs to, where it means nothing without.
fn scoped(ip: &ScopedIp) -> String {
    match ip {
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => format!("[{}%{}]", v6.addr(), v6.scope_id().index),
        other => host(&other.to_ip_addr()),
    }
}

/// A name as one label of DNS.
fn label(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { "gateway".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::announcement::tests::gateway;
    use super::*;

    #[test]
    fn w04_what_is_signed_comes_first_and_nothing_twice() {
        let (_, said) = gateway("gw", "", &[]);
        let resolved = ["10.7.0.9".to_owned(), "10.7.0.1".to_owned(), "[fe80::1%3]".to_owned()];
        let found = Found::new(said.clone(), &resolved);
        assert_eq!(found.links, ["10.7.0.1:7401", "[2001:db8::2:42]:7401", "10.7.0.9:7401", "[fe80::1%3]:7401"]);
        assert_eq!(found.web, ["https://10.7.0.1:7400", "https://[2001:db8::2:42]:7400", "https://10.7.0.9:7400"]);
        let newer = Announcement { at: UnixMillis(2_000), addresses: vec![], web: "https://gw.example".into(), ..said };
        let merged = found.merge(Found::new(newer.clone(), &["10.7.0.8".to_owned()]));
        assert_eq!(merged.announcement, newer);
        assert_eq!(merged.links[0], "10.7.0.8:7401");
        assert_eq!(merged.web[0], "https://gw.example");
        assert!(merged.links.contains(&"10.7.0.9:7401".to_owned()));
    }

    use tacit_model::UnixMillis;

    #[test]
    fn names_become_labels() {
        assert_eq!(label("Halle 3/Tor"), "Halle-3-Tor");
        assert_eq!(label("é"), "gateway");
    }
}
