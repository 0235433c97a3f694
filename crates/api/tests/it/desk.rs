//! Parties played by a map.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tacit_accord::MemberRole;
use tacit_api::{DeskError, PartyDesk, PartyFacts, PartyResult, PartyRoster, RowsKept};
use tacit_model::{Fingerprint, GroupId, RunId, Slot, UnixMillis};

/// Items of a row in the played group.
const ITEMS: usize = 2;
/// Rows that may wait.
const MOST: usize = 100;

/// A party and the rows it was given.
type Played = (PartyFacts, Vec<Vec<u64>>);

#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<BTreeMap<String, Played>>>);

impl Fake {
    pub(crate) fn rows(&self, name: &str) -> Vec<Vec<u64>> {
        self.0.lock().unwrap()[name].1.clone()
    }

    pub(crate) fn add(&self, name: &str, code: &str) {
        let facts = PartyFacts {
            name: name.to_owned(),
            role: MemberRole::Input,
            gid: Some(GroupId(1)),
            fingerprint: Some(Fingerprint([1; 32])),
            gateway_url: "http://localhost:12001/p2ds-group-management/group-mgmt".to_owned(),
            gateway_fingerprint: Some(Fingerprint([2; 32])),
            comparison: Some("ghdf4 j85qq envan 21w4m 856hs k2m1j".to_owned()),
            gateway_compared: true,
            final_results_url: None,
            label_key: Some(crate::world::PUBLIC_KEY.to_owned()),
            registration_code: code.into(),
            pairing: tacit_model::api::PairingState::Registered,
            status: 0,
            connected: true,
            run: None,
            queued: 0,
            last_error: None,
            last_error_at: None,
            earlier_errors: Vec::new(),
        };
        self.0.lock().unwrap().insert(name.to_owned(), (facts, Vec::new()));
    }

    fn with<R>(&self, name: &str, work: impl FnOnce(&mut Played) -> Result<R, DeskError>) -> Result<R, DeskError> {
        self.0.lock().unwrap().get_mut(name).ok_or(DeskError::NotFound).and_then(work)
    }

    pub(crate) fn desk(&self) -> PartyDesk {
        let (a, b, c, d, e, f, g, h, i) = (
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
        );
        PartyDesk::new()
            .join(move |request| {
                let done = if request.code.0.starts_with("nobody") {
                    Err(DeskError::Code)
                } else if a.0.lock().unwrap().contains_key(&request.name) {
                    Err(DeskError::Conflict("the name is taken".to_owned()))
                } else {
                    a.add(&request.name, &request.code.0);
                    a.with(&request.name, |(facts, _)| {
                        facts.role = request.role;
                        facts.label_key = request.label_key;
                        facts.final_results_url = request.final_results_url;
                        Ok(facts.clone())
                    })
                };
                async { done }
            })
            .list(move |()| {
                let all = b.0.lock().unwrap().values().map(|(facts, _)| facts.clone()).collect();
                async { Ok(all) }
            })
            .get(move |name| {
                let found = c.with(&name, |(facts, _)| Ok(facts.clone()));
                async { found }
            })
            .remove(move |name| {
                let gone = d.0.lock().unwrap().remove(&name).map(drop).ok_or(DeskError::NotFound);
                async { gone }
            })
            .start(move |name| {
                let done = e.with(&name, |(facts, _)| match facts.run {
                    Some(_) => Err(DeskError::Running),
                    None => {
                        (facts.run, facts.status) = (Some(RunId(1)), 1);
                        Ok(())
                    }
                });
                async { done }
            })
            .stop(move |name| {
                let done = f.with(&name, |(facts, _)| match facts.run.take() {
                    Some(_) => {
                        facts.status = 3;
                        Ok(())
                    }
                    None => Err(DeskError::NotRunning),
                });
                async { done }
            })
            .add_rows(move |(name, rows, _)| {
                let done = g.with(&name, |(facts, kept)| {
                    facts.run.ok_or(DeskError::NotRunning)?;
                    if let Some(wrong) = rows.iter().position(|row| row.row.len() != ITEMS) {
                        return Err(DeskError::Invalid(format!("row {}: wrong length", wrong + 1)));
                    }
                    if kept.len() + rows.len() > MOST {
                        return Err(DeskError::TooMany { retry_after: 7 });
                    }
                    kept.extend(rows.iter().map(|row| row.row.expose().to_vec()));
                    Ok(RowsKept { accepted: rows.len(), next_slot: i64::try_from(kept.len()).ok().map(Slot) })
                });
                async { done }
            })
            .results(move |(name, ..)| {
                let result = PartyResult {
                    run: RunId(1),
                    slot: Slot(0),
                    values: vec![3, u128::from(u64::MAX) + 1],
                    statistics: Vec::new(),
                    no_result: None,
                    task: None,
                    contributors: 2,
                    at: UnixMillis(0),
                };
                let found = h.with(&name, |_| Ok((vec![result], false)));
                async { found }
            })
            .roster(move |name| {
                let found = i.with(&name, |_| Ok(PartyRoster::default()));
                async { found }
            })
    }
}
