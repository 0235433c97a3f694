//! How a gateway that follows another one says so over HTTP: it does nothing, answers 503, and names who leads.

use crate::Fingerprint;

/// The header: base URL and certificate of the gateway that leads, with a space between; empty if there is none.
pub const HEADER: &str = "tacit-gateway";

/// What the header says of the gateway that leads.
pub fn text(url: &str, fingerprint: &Fingerprint) -> String {
    format!("{url} {fingerprint}")
}

/// Base URL and certificate of the gateway that leads, out of the header.
pub fn read(header: &str) -> Option<(&str, Fingerprint)> {
    let (url, fingerprint) = header.split_once(' ')?;
    Some((url, fingerprint.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_address_and_certificate() {
        let fingerprint = Fingerprint([7; 32]);
        let header = text("https://b.example:7400", &fingerprint);
        assert_eq!(header, format!("https://b.example:7400 {fingerprint}"));
        assert_eq!(read(&header), Some(("https://b.example:7400", fingerprint)));
        for nobody in ["", "https://b.example", "x y"] {
            assert_eq!(read(nobody), None, "{nobody}");
        }
    }
}
