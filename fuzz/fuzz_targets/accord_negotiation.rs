//! Negotiations: texts, acts by members and strangers, agreements, files from an expert.

#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tacit_accord::negotiation::{
    Act, Agreement, Authority, Invitation, JsonForm, Negotiation, NegotiationId, Opening, OpeningRequest, SignedAct,
    Wording, explain, export, import, sign_act,
};
use tacit_fuzz::keys::{MANAGER, OWNER, identity};
use tacit_model::UnixMillis;

/// What somebody does.
#[derive(Arbitrary, Debug)]
enum Deed {
    /// Bytes that may be a signed act.
    Raw(Vec<u8>),
    /// A well signed act: by whom, bytes that may be the act.
    Signed(u8, Vec<u8>),
    /// A well signed text.
    Text(u8, Vec<u8>),
    /// The last text of all, accepted.
    Accept(u8),
}

fuzz_target!(|input: (Vec<u8>, Vec<Deed>)| {
    let (bytes, deeds) = input;
    if let Ok(text) = std::str::from_utf8(&bytes) {
        texts(text);
    }
    play(deeds);
});

fn texts(text: &str) {
    if let Ok(wording) = Wording::read(text) {
        assert_eq!(wording.to_text().ok().as_deref(), Some(text), "a text has one form");
        assert!(!explain(&wording).is_empty());
        let file = export(&wording).expect("canonical");
        assert_eq!(import(&file).as_ref(), Ok(&wording), "an expert's file comes back unchanged");
    }
    if let Ok(wording) = import(text) {
        assert!(wording.to_text().is_ok());
    }
    if let Ok(agreement) = serde_json::from_str::<Agreement>(text) {
        assert!(agreement.verify().is_err() || !agreement.signings.is_empty());
        let _ = (agreement.id(), agreement.decided());
    }
    if let Ok(request) = serde_json::from_str::<OpeningRequest>(text) {
        assert!(!request.holds(&MANAGER.public_key().to_base64(), ""));
        let _ = request.invitations();
    }
    let _ = text.parse::<NegotiationId>();
}

/// A negotiation between two: whatever is done, there is an agreement only if both signed it.
fn play(deeds: Vec<Deed>) {
    let key = |who: u8| match who % 3 {
        0 => MANAGER.public_key().to_base64(),
        1 => OWNER.public_key().to_base64(),
        _ => identity(9).public_key().to_base64(),
    };
    let id = NegotiationId([7; 32]);
    let deciders: BTreeSet<String> = [key(0), key(1)].into();
    let opening = Opening {
        id,
        opener: key(0),
        title: "fuzz".to_owned(),
        at: UnixMillis(0),
        expires: UnixMillis(1_000_000),
        authority: Authority { deciders: deciders.clone(), quorum: 2 },
        invitations: vec![Invitation::Key(key(1))],
    };
    let mut negotiation = Negotiation::open(opening).expect("a right opening");
    for (at, deed) in deeds.into_iter().enumerate() {
        let by = |who: u8, act: Act| {
            let turn = negotiation.next_turn(&key(who));
            match who % 3 {
                0 => sign_act(&MANAGER, &id, turn, act),
                1 => sign_act(&OWNER, &id, turn, act),
                _ => sign_act(&identity(9), &id, turn, act),
            }
        };
        let says = |text: String| Act::Contribute { text, invitation: None, decision: None };
        let act: Option<SignedAct> = match deed {
            Deed::Raw(bytes) => serde_json::from_slice(&bytes).ok(),
            Deed::Signed(who, bytes) => serde_json::from_slice(&bytes).ok().and_then(|act| by(who, act).ok()),
            Deed::Text(who, bytes) => String::from_utf8(bytes).ok().and_then(|text| by(who, says(text)).ok()),
            Deed::Accept(who) => negotiation
                .contributions()
                .last()
                .and_then(|last| Wording::read(&last.text).ok()?.accepting().to_text().ok())
                .and_then(|text| by(who, says(text)).ok()),
        };
        let Some(act) = act else { continue };
        let now = UnixMillis(at as i64 + 1);
        if let Ok(step) = negotiation.step(&JsonForm, act, now) {
            negotiation = step.after;
        }
        if let Some(agreement) = negotiation.agreement() {
            agreement.verify().expect("what was closed holds");
            let signed: BTreeSet<String> = agreement.signings.keys().cloned().collect();
            assert!(deciders.is_subset(&signed), "closed without the signatures that it needs");
        }
    }
}
