//! Registration with a code. Field names are those of the P2DS interface, because a peer may use
//! either base address.

use serde::{Deserialize, Serialize};

use crate::{Fingerprint, GroupId};

/// What a peer tells about itself beyond name, address and type. All of it is optional: a peer without
/// a key can be listed, but never computes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegisterBody {
    /// Its certificate, for a check that the key below was not mixed up.
    pub fingerprint: Option<Fingerprint>,
    /// Where its link port is, `host:port`; empty if it only dials.
    pub endpoint: String,
    /// Who runs it; its own name if empty.
    pub operator: String,
    /// Its certificate's public key, base64 SubjectPublicKeyInfo.
    pub public_key: Option<String>,
    /// A key of an older system, shown as a label.
    pub label_key: Option<String>,
    /// Signature of the public key's owner over code and name, base64.
    pub proof: Option<String>,
    /// The gateway's certificate as the peer's operator was told it. Another gateway refuses, and the code stays
    /// good for the right one.
    pub gateway: Option<Fingerprint>,
}

/// A member as other members see it (P2DS: `PeerInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerInfo {
    /// Its group.
    pub gid: GroupId,
    /// 0 unknown, 1 started, 2 error, 3 stopped.
    pub last_status: i64,
    /// Its name.
    pub peer_name: String,
    /// 1 input, 2 privacy, 3 both, 4 recipient.
    pub peer_type: u8,
    /// The label key, if it has one.
    pub public_key: Option<String>,
    /// Where its HTTP edge is.
    pub url: String,
}

/// The answer to a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterReceipt {
    /// The member as it is now listed.
    #[serde(flatten)]
    pub peer: PeerInfo,
    /// What to pin. Left out for clients that sent no body: they would not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayPin>,
}

/// What a new member pins of its gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayPin {
    /// The gateway's certificate.
    pub fingerprint: Fingerprint,
    /// Where its link port is.
    pub endpoints: Vec<String>,
    /// The manager's public key, base64 SubjectPublicKeyInfo: charters are believed under it only.
    pub manager_key: String,
}
