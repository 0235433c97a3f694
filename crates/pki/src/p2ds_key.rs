//! Keys of the P2DS system (CyberCAPTOR), kept as labels.
//!
//! Existing clients send their key pair as base64: SubjectPublicKeyInfo and PKCS#8 of an elliptic
//! curve key, in practice on sect409k1 = NIST K-409 (OID 1.3.132.0.36). Tacit shows such a public key
//! so that its owner recognises it, and does nothing else with it: **links, signatures and trust use
//! [`Identity`](crate::Identity) keys only**. The original demo gives all five peers the same key pair.
//!
//! As in the original any named curve is taken. Points of K-409 are checked to be on the curve; on
//! other curves only form and length are checked. A private key is read, found well-formed and wiped;
//! nothing of it is kept. An error of this module is `ERR_INV_CERT` at the P2DS face.
//!
//! Reference: SEC 1 (point forms), SEC 2 section 3.5 (sect409k1), RFC 5480, RFC 5915, RFC 5958.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

use crate::LegacyKeyFault;
use crate::certificate::fingerprint_of_spki;
use crate::der::{NotDer, OBJECT_IDENTIFIER, OCTET_STRING, Reader, dotted};

mod k409;

/// Longest key text that is read. A key of the largest curve has some 200 characters.
const MAX_TEXT: usize = 2048;

/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// An elliptic curve public key of a P2DS client, well-formed and trusted with nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegacyKey {
    spki: Vec<u8>,
    curve: Curve,
}

impl LegacyKey {
    /// Reads the base64 of a SubjectPublicKeyInfo; white space is ignored.
    pub fn from_base64(text: &str) -> Result<Self, LegacyKeyFault> {
        let der = decode(text)?;
        let (curve, point) = read_spki(&der)?;
        check_point(&curve, point)?;
        Ok(Self { spki: der.to_vec(), curve })
    }

    /// The label people compare: SHA-256 of the SubjectPublicKeyInfo. Never ask a trust store for it.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint_of_spki(&self.spki)
    }

    /// Its curve.
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// The text to echo: base64 in one line.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.spki)
    }
}

/// The curve of a legacy key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Curve {
    /// sect409k1, checked in full.
    K409,
    /// Any other named curve, by its object identifier in dotted form.
    Other(String),
}

impl Curve {
    /// Its usual name, or the object identifier.
    pub fn name(&self) -> &str {
        match self {
            Self::K409 => "sect409k1",
            Self::Other(oid) => known(oid).map_or(oid, |(_, name, _)| name),
        }
    }

    /// Length of a coordinate, if known.
    fn coordinate(&self) -> Option<usize> {
        match self {
            Self::K409 => Some(k409::BYTES),
            Self::Other(oid) => known(oid).map(|(_, _, len)| *len),
        }
    }

    fn from_oid(oid: &[u8]) -> Result<Self, NotDer> {
        let oid = dotted(oid)?;
        Ok(if oid == K409_OID { Self::K409 } else { Self::Other(oid) })
    }
}

/// Checks that a text is the base64 of a PKCS#8 elliptic curve private key, and wipes it.
///
/// Nothing is returned because nothing may be kept; the caller must not hold other copies.
pub fn check_private_key(text: String) -> Result<Curve, LegacyKeyFault> {
    let text = Zeroizing::new(text);
    let der = decode(&text)?;
    let (curve, scalar) = read_pkcs8(&der)?;
    let in_range = match (&curve, curve.coordinate()) {
        (Curve::K409, _) => k409::scalar_in_range(scalar),
        // RFC 5915 fixes the length; curves whose order is longer than a coordinate need one byte more.
        (_, Some(len)) => (len..=len + 1).contains(&scalar.len()) && not_zero(scalar),
        (_, None) => (14..=128).contains(&scalar.len()) && not_zero(scalar),
    };
    if in_range { Ok(curve) } else { Err(LegacyKeyFault::Scalar) }
}

const K409_OID: &str = "1.3.132.0.36";

/// Object identifier, name, bytes of a coordinate.
const KNOWN: [(&str, &str, usize); 10] = [
    ("1.2.840.10045.3.1.7", "secp256r1", 32),
    ("1.3.132.0.10", "secp256k1", 32),
    ("1.3.132.0.34", "secp384r1", 48),
    ("1.3.132.0.35", "secp521r1", 66),
    ("1.3.132.0.16", "sect283k1", 36),
    ("1.3.132.0.17", "sect283r1", 36),
    ("1.3.132.0.37", "sect409r1", 52),
    ("1.3.132.0.38", "sect571k1", 72),
    ("1.3.132.0.39", "sect571r1", 72),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", 32),
];

fn known(oid: &str) -> Option<&'static (&'static str, &'static str, usize)> {
    KNOWN.iter().find(|(known, _, _)| *known == oid)
}

/// SubjectPublicKeyInfo ::= SEQUENCE { algorithm, BIT STRING point }
fn read_spki(der: &[u8]) -> Result<(Curve, &[u8]), LegacyKeyFault> {
    let mut outer = Reader::new(der);
    let mut info = outer.sequence()?;
    outer.end()?;
    let curve = read_algorithm(&mut info)?;
    let point = info.bits()?;
    info.end()?;
    Ok((curve, point))
}

/// PrivateKeyInfo ::= SEQUENCE { version 0, algorithm, OCTET STRING ECPrivateKey, [0] attributes }
/// ECPrivateKey ::= SEQUENCE { version 1, OCTET STRING scalar, [0] curve, [1] point }
fn read_pkcs8(der: &[u8]) -> Result<(Curve, &[u8]), LegacyKeyFault> {
    let mut outer = Reader::new(der);
    let mut info = outer.sequence()?;
    outer.end()?;
    info.small_integer(0)?;
    let curve = read_algorithm(&mut info)?;
    let inner = info.take(OCTET_STRING)?;
    info.take_optional(0xa0)?;
    info.end()?;

    let mut outer = Reader::new(inner);
    let mut key = outer.sequence()?;
    outer.end()?;
    key.small_integer(1)?;
    let scalar = key.take(OCTET_STRING)?;
    if let Some(named) = key.take_optional(0xa0)? {
        let mut named = Reader::new(named);
        let same = Curve::from_oid(named.take(OBJECT_IDENTIFIER)?)? == curve;
        named.end()?;
        if !same {
            return Err(LegacyKeyFault::Structure);
        }
    }
    if let Some(point) = key.take_optional(0xa1)? {
        let mut point = Reader::new(point);
        check_point(&curve, point.bits()?)?;
        point.end()?;
    }
    key.end()?;
    Ok((curve, scalar))
}

/// AlgorithmIdentifier ::= SEQUENCE { id-ecPublicKey, named curve }
fn read_algorithm(info: &mut Reader<'_>) -> Result<Curve, LegacyKeyFault> {
    let mut algorithm = info.sequence()?;
    if algorithm.take(OBJECT_IDENTIFIER)? != EC_PUBLIC_KEY {
        return Err(LegacyKeyFault::NotElliptic);
    }
    let curve = algorithm.take(OBJECT_IDENTIFIER).map_err(|_| LegacyKeyFault::NotElliptic)?;
    algorithm.end()?;
    Ok(Curve::from_oid(curve)?)
}

/// 04, x, y.
fn check_point(curve: &Curve, point: &[u8]) -> Result<(), LegacyKeyFault> {
    let [0x04, coordinates @ ..] = point else { return Err(LegacyKeyFault::Point) };
    let right_length = match curve.coordinate() {
        Some(len) => coordinates.len() == 2 * len,
        None => coordinates.len().is_multiple_of(2) && (28..=256).contains(&coordinates.len()),
    };
    if !right_length {
        return Err(LegacyKeyFault::Point);
    }
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    if *curve == Curve::K409 && !k409::on_curve_vartime(x, y) {
        return Err(LegacyKeyFault::OffCurve);
    }
    Ok(())
}

fn not_zero(scalar: &[u8]) -> bool {
    scalar.iter().fold(0, |seen, byte| seen | byte) != 0
}

/// Base64 with padding, in a buffer that wipes itself: it may be a private key.
fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, LegacyKeyFault> {
    if text.len() > MAX_TEXT {
        return Err(LegacyKeyFault::Base64);
    }
    let mut dense = Zeroizing::new(Vec::with_capacity(text.len()));
    dense.extend(text.bytes().filter(|c| !c.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; base64::decoded_len_estimate(dense.len())]);
    let len = STANDARD.decode_slice(&*dense, &mut der).map_err(|_| LegacyKeyFault::Base64)?;
    der.truncate(len);
    Ok(der)
}

impl From<NotDer> for LegacyKeyFault {
    fn from(_: NotDer) -> Self {
        Self::Structure
    }
}

#[cfg(test)]
mod tests;
