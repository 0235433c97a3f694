//! What a gateway says of itself: the properties of an announcement, signed with its key.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tacit_model::{Fingerprint, UnixMillis};
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::{Identity, PublicKey};

/// The version of `/api/v1` and of the links that a gateway speaks.
pub const API: u32 = 1;

/// Longest value of one property; with its name it must fit into 255 bytes (RFC 6763, section 6.1).
const MAX_VALUE: usize = 240;
/// Addresses in one announcement; what comes after them can still be found by resolving the name.
const MAX_ADDRESSES: usize = 4;

/// The properties as they travel: in the TXT record of DNS-SD, or as JSON from a bootstrap address.
pub type Properties = BTreeMap<String, String>;

/// Which gateway to prefer where several are equally close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GatewayRole {
    /// The one to use.
    Primary,
    /// One that stands by.
    Backup,
}

/// A gateway's announcement (FlexSMC thesis, table 4.1).
///
/// That it is well signed says that the holder of this key wrote it, and nothing about whether the key is
/// anybody's one should deal with: it stays a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The gateway's certificate; part of its id.
    pub gateway: Fingerprint,
    /// What people call it; the instance in DNS-SD.
    pub name: String,
    /// The version it speaks.
    pub api: u32,
    /// Whether it is the one to use.
    pub role: GatewayRole,
    /// Where it is, from the large to the small with dots between: `R.08.03.123`. May be empty.
    pub location: String,
    /// The kinds of data it is responsible for; all if empty.
    pub sources: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The port of its links.
    pub port: u16,
    /// Where its HTTP edge is: `https:7400` on the addresses above, or a whole URL.
    pub web: String,
    /// When it was written; of two, the newer holds.
    pub at: UnixMillis,
}

/// Why properties are no announcement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnouncementError {
    /// A property is missing, too long or unreadable.
    #[error("the announcement's property {0:?} is missing or not what it should be")]
    Property(&'static str),
    /// The signature is not by the key whose fingerprint is announced.
    #[error("the announcement's signature does not hold")]
    Signature,
}

impl Announcement {
    /// The properties with their signature. Addresses above four are left out.
    ///
    /// `Property` if a value is too long or holds what it must not.
    pub fn sign(&self, identity: &Identity) -> Result<Properties, AnnouncementError> {
        let addresses = self.addresses.iter().take(MAX_ADDRESSES);
        let role = match self.role {
            GatewayRole::Primary => "primary_gateway",
            GatewayRole::Backup => "backup_gateway",
        };
        let mut properties: Properties = [
            ("id", self.gateway.to_string()),
            ("name", self.name.clone()),
            ("api", self.api.to_string()),
            ("role", role.to_owned()),
            ("location", self.location.clone()),
            ("sources", self.sources.join(",")),
            ("ip", addresses.map(ToString::to_string).collect::<Vec<_>>().join(",")),
            ("port", self.port.to_string()),
            ("web", self.web.clone()),
            ("at", self.at.0.to_string()),
            ("key", identity.public_key().to_base64()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for name in ["location", "sources", "name", "web"] {
            let value = properties.get(name).map(String::as_str).unwrap_or_default();
            if value.len() > MAX_VALUE || value.chars().any(char::is_control) {
                return Err(AnnouncementError::Property(name));
            }
        }
        let signature = sign_detached(identity, Context::Announcement, &signed_text(&properties));
        properties.insert("sig".to_owned(), STANDARD.encode(signature));
        Ok(properties)
    }

    /// Reads properties and verifies their signature.
    pub fn read(properties: &Properties) -> Result<Self, AnnouncementError> {
        let text = |name: &'static str| -> Result<&str, AnnouncementError> {
            let value = properties.get(name).ok_or(AnnouncementError::Property(name))?;
            let fits = value.len() <= MAX_VALUE && !value.chars().any(char::is_control);
            fits.then_some(value.as_str()).ok_or(AnnouncementError::Property(name))
        };
        fn number<T: std::str::FromStr>(value: &str, name: &'static str) -> Result<T, AnnouncementError> {
            value.parse().map_err(|_| AnnouncementError::Property(name))
        }
        let list = |value: &str| -> Vec<String> {
            value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let gateway: Fingerprint = text("id")?.parse().map_err(|_| AnnouncementError::Property("id"))?;
        let key = PublicKey::from_base64(text("key")?).map_err(|_| AnnouncementError::Property("key"))?;
        let signature = STANDARD.decode(text("sig")?).ok().and_then(|bytes| bytes.try_into().ok());
        let signature: [u8; 64] = signature.ok_or(AnnouncementError::Property("sig"))?;
        if properties.len() > 16 || key.fingerprint() != gateway {
            return Err(AnnouncementError::Signature);
        }
        verify_detached(&key, Context::Announcement, &signed_text(properties), &signature)
            .map_err(|_| AnnouncementError::Signature)?;
        Ok(Self {
            gateway,
            name: text("name")?.to_owned(),
            api: number(text("api")?, "api")?,
            role: match text("role")? {
                "primary_gateway" => GatewayRole::Primary,
                "backup_gateway" => GatewayRole::Backup,
                _ => return Err(AnnouncementError::Property("role")),
            },
            location: text("location")?.to_owned(),
            sources: list(text("sources")?),
            addresses: list(text("ip")?).iter().map(|ip| number(ip, "ip")).collect::<Result<_, _>>()?,
            port: number(text("port")?, "port")?,
            web: text("web")?.to_owned(),
            at: UnixMillis(number(text("at")?, "at")?),
        })
    }

    /// How many parts of the two locations agree, from the large to the small.
    pub fn closeness(&self, location: &str) -> usize {
        let parts = |text: &'_ str| -> Vec<String> {
            text.split('.').filter(|part| !part.is_empty()).map(str::to_lowercase).collect()
        };
        parts(&self.location).iter().zip(parts(location)).take_while(|(a, b)| *a == b).count()
    }

    /// Whether it is responsible for any of these kinds of data. Who has none, or says nothing of any, fits.
    pub fn serves(&self, sources: &[String]) -> bool {
        self.sources.is_empty() || sources.is_empty() || sources.iter().any(|source| self.sources.contains(source))
    }
}

/// What is signed: every property but the signature, in the order of their names.
fn signed_text(properties: &Properties) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in properties.iter().filter(|(name, _)| *name != "sig") {
        for part in [name, value] {
            tacit_model::codec::put_bytes(&mut text, part.as_bytes());
        }
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn gateway(name: &str, location: &str, sources: &[&str]) -> (Identity, Announcement) {
        let identity = Identity::generate(name, time::OffsetDateTime::UNIX_EPOCH).expect("an identity");
        let announcement = Announcement {
            gateway: identity.fingerprint(),
            name: name.to_owned(),
            api: API,
            role: GatewayRole::Primary,
            location: location.to_owned(),
            sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            addresses: vec!["10.7.0.1".parse().expect("an address"), "2001:db8::2:42".parse().expect("an address")],
            port: 7401,
            web: "https:7400".to_owned(),
            at: UnixMillis(1_000),
        };
        (identity, announcement)
    }

    #[test]
    fn f08_all_properties_are_signed() {
        let (identity, said) = gateway("gw", "R.08.03.123", &["temperature", "occupancy"]);
        let properties = said.sign(&identity).expect("signed");
        assert_eq!(Announcement::read(&properties).expect("it holds"), said);
        // Those of the thesis' table 4.1, and where HTTP is, when and under which key.
        let names: Vec<&str> = properties.keys().map(String::as_str).collect();
        let wanted = ["api", "at", "id", "ip", "key", "location", "name", "port", "role", "sig", "sources", "web"];
        assert_eq!(names, wanted);
        for (name, value) in &properties {
            assert!(name.len() + value.len() < 255, "{name}={value}");
            for forged in [format!("{value}0"), String::new(), value.replace(['1', 'a'], "2")] {
                if forged == *value {
                    continue;
                }
                let mut other = properties.clone();
                other.insert(name.clone(), forged);
                assert!(Announcement::read(&other).is_err(), "{name} can be changed: {other:?}");
            }
            let mut less = properties.clone();
            less.remove(name);
            assert!(Announcement::read(&less).is_err(), "{name} can be left out");
        }
        let mut more = properties.clone();
        more.insert("other".to_owned(), "1".to_owned());
        assert_eq!(Announcement::read(&more), Err(AnnouncementError::Signature));
        // Signed by somebody else under this id.
        let (stranger, _) = gateway("gw", "", &[]);
        assert!(Announcement::read(&said.sign(&stranger).expect("signed")).is_err());
    }

    #[test]
    fn f08_closeness_counts_common_parts() {
        let (_, said) = gateway("gw", "R.08.03.123", &["temperature"]);
        for (location, expected) in [("R.08.03.123", 4), ("r.08.03.7", 3), ("R.08", 2), ("S.08.03.123", 0), ("", 0)] {
            assert_eq!(said.closeness(location), expected, "{location}");
        }
        assert!(said.serves(&[]) && said.serves(&["temperature".to_owned()]) && !said.serves(&["power".to_owned()]));
    }
}
