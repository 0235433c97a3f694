//! Announcements of gateways, from the network or a bootstrap address.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_fuzz::keys::MANAGER;
use tacit_link::discovery::{Announcement, GatewayRole, Properties};
use tacit_model::UnixMillis;

fuzz_target!(|input: (Vec<u8>, (&str, &str, &str, u16, i64), Option<(u8, String)>)| {
    let (bytes, (name, location, web, port, at), change) = input;
    if let Ok(properties) = serde_json::from_slice::<Properties>(&bytes) {
        if let Ok(announcement) = Announcement::read(&properties) {
            assert_eq!(announcement.gateway.to_string(), properties["id"]);
        }
    }
    // Whatever can be signed is read back as it was.
    let announcement = Announcement {
        gateway: MANAGER.fingerprint(),
        name: name.to_owned(),
        api: 1,
        role: if port % 2 == 0 { GatewayRole::Primary } else { GatewayRole::Backup },
        location: location.to_owned(),
        sources: vec!["temperature".to_owned()],
        addresses: vec![[10, 0, 0, 1].into()],
        port,
        web: web.to_owned(),
        at: UnixMillis(at),
    };
    let Ok(mut properties) = announcement.sign(&MANAGER) else { return };
    assert_eq!(Announcement::read(&properties).as_ref(), Ok(&announcement));
    assert!(announcement.closeness(location) <= location.len());
    // And not, if one property is another.
    if let Some((which, value)) = change {
        let name = properties.keys().nth(usize::from(which) % properties.len()).cloned().expect("there are some");
        let before = properties.insert(name, value.clone());
        assert!(before.as_deref() == Some(value.as_str()) || Announcement::read(&properties).is_err());
    }
});
