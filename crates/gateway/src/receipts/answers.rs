//! "Did my data count?": what each contributor, and nobody else, hears; also when it was away as the receipt was issued.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tacit_accord::log::{Hash, ProofPlan, Tree};
use tacit_job::{Awaited, Own, ToPeer};
use tacit_model::{Fingerprint, GroupId, UnixMillis};
use tacit_store::ReceiptRow;

use super::{Debt, Gathered, Heard, Terms};
use crate::{Gateway, GatewayError};

/// So many receipts are answered for at a time.
const MOST: u32 = 256;

/// Kept beside the gateway's copy of a receipt. Leaves tell nothing to who does not know the commitments.
#[derive(Serialize, Deserialize)]
pub(super) struct Answers {
    /// To whom the receipt goes.
    holders: Vec<Fingerprint>,
    /// Who could have given data.
    offered: Vec<Fingerprint>,
    /// Whose data was to go in.
    asked: Vec<Fingerprint>,
    /// Contributors' leaves, hexadecimal, in order.
    leaves: Vec<String>,
    /// The same as hashes, where they were at hand.
    #[serde(skip)]
    hashes: Vec<Hash>,
    /// Whether each leaf was named by one of those whose data was to go in: then who named none is not in. Who only
    /// computed knows all leaves and could name that of a contributor that is late.
    whole: bool,
}

impl Answers {
    pub(super) fn new(gathered: &Gathered, heard: &BTreeMap<Fingerprint, Heard>, terms: &Terms) -> Self {
        let givers = heard.iter().filter(|(member, _)| terms.asked.contains(member));
        let named: BTreeSet<[u8; 32]> = givers.filter_map(|(_, leaf)| leaf.as_ref()).map(|leaf| leaf.0).collect();
        let holders: BTreeSet<Fingerprint> = terms.members.iter().chain(&terms.offered).copied().collect();
        Self {
            holders: holders.into_iter().collect(),
            offered: terms.offered.clone(),
            asked: terms.asked.clone(),
            leaves: gathered.leaves.iter().map(Hash::to_string).collect(),
            hashes: gathered.leaves.clone(),
            whole: gathered.leaves.iter().all(|leaf| named.contains(&leaf.0)),
        }
    }

    pub(super) fn holders(&self) -> &[Fingerprint] {
        &self.holders
    }

    /// What a member hears of its own contribution; `heard` is what it said, if it said something.
    pub(super) fn own_of(&self, member: &Fingerprint, heard: Option<&Heard>) -> Result<Own, GatewayError> {
        let rejected = |reason: &str| Ok(Own::Rejected { reason: reason.to_owned() });
        if !self.offered.contains(member) {
            return Ok(Own::Nothing);
        }
        if let Some(leaf) = heard.and_then(Option::as_ref).map(Hash::to_string)
            && let Some(place) = self.leaves.iter().position(|other| *other == leaf)
        {
            let index = u64::try_from(place).unwrap_or(u64::MAX);
            return Ok(Own::Counted { index, proof: self.path(place)?.iter().map(Hash::to_string).collect() });
        }
        if !self.asked.contains(member) {
            return rejected("there was no row for this slot before it closed");
        }
        if heard.is_some() || self.whole {
            return rejected("its shares were not complete at every compute peer when the inputs were frozen");
        }
        // It may be in; it will ask.
        Ok(Own::Nothing)
    }

    /// The inclusion proof of a leaf among some that are all at hand.
    fn path(&self, place: usize) -> Result<Vec<Hash>, GatewayError> {
        let bug = |e: tacit_accord::log::ProofError| GatewayError::Bug(e.to_string());
        let read: Option<Vec<Hash>>;
        let leaves = if self.hashes.is_empty() {
            read = self.leaves.iter().map(|leaf| leaf.parse().ok()).collect();
            read.as_ref().ok_or_else(|| GatewayError::Bug("a leaf is no hash".to_owned()))?
        } else {
            &self.hashes
        };
        let plan = ProofPlan::inclusion(place as u64, leaves.len() as u64).map_err(bug)?;
        let mut spans = Vec::new();
        for span in plan.spans() {
            // Kept subtrees cover 256 leaves each, and those of them in turn.
            let width = 1_usize << span.level;
            let from = usize::try_from(span.from).unwrap_or(usize::MAX);
            let count = usize::try_from(span.count).unwrap_or(0);
            let subtree = |index: usize| {
                let mut tree = Tree::new();
                leaves[index * width..(index + 1) * width].iter().for_each(|leaf| tree.append(*leaf, drop));
                tree.root()
            };
            spans.push((from..from + count).map(subtree).collect());
        }
        plan.finish(&spans).map_err(bug)
    }
}

impl Gateway {
    /// A member is back and says which receipts it awaits. Those that there are go to it, also those that it does not
    /// know of; for those that are owed its part is asked for once more.
    pub(crate) async fn answer_awaited(
        &self,
        member: Fingerprint,
        group: GroupId,
        awaited: Vec<Awaited>,
        since: UnixMillis,
    ) -> Result<(), GatewayError> {
        if self.inner.directory.present(&member).is_none_or(|present| present.group != group) {
            return Ok(());
        }
        let store = &self.inner.store;
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let mut answered = BTreeSet::new();
        for awaited in awaited.into_iter().take(most) {
            answered.insert(awaited.session);
            if let Some(row) = store.receipt("", awaited.session).await? {
                let leaf: Heard = awaited.leaf.and_then(|leaf| leaf.parse().ok());
                self.send_receipt(member, group, row, Some(&leaf))?;
            } else if let Some(owed) = store.owed("", awaited.session).await? {
                // Either asks this member too.
                match self.inner.gathering.gathers(awaited.session) {
                    true => drop(self.inner.directory.send(&member, &ToPeer::PartWanted { session: awaited.session })),
                    false => self.pay_late(Debt::read(&owed)?),
                }
            }
        }
        for row in store.receipts_since("", group, since, MOST).await? {
            if !answered.contains(&row.session) {
                self.send_receipt(member, group, row, None)?;
            }
        }
        Ok(())
    }

    fn send_receipt(
        &self,
        member: Fingerprint,
        group: GroupId,
        row: ReceiptRow,
        heard: Option<&Heard>,
    ) -> Result<(), GatewayError> {
        // An older version kept no answers.
        let answers: Option<Answers> = row.own.and_then(|own| serde_json::from_str(&own).ok());
        let Some(answers) = answers.filter(|answers| row.gid == group && answers.holders.contains(&member)) else {
            return Ok(());
        };
        let own = answers.own_of(&member, heard)?;
        self.inner.directory.send(&member, &ToPeer::Receipt { session: row.session, receipt: row.body, own });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tacit_accord::ConsensusId;
    use tacit_accord::receipt::{Contributors, FORMAT, Statement, contribution_leaf, contributors_root};
    use tacit_model::{Attempt, RunId, SessionId, Slot};

    use super::*;

    const ONE: Fingerprint = Fingerprint([1; 32]);
    const LATE: Fingerprint = Fingerprint([2; 32]);
    const OUT: Fingerprint = Fingerprint([3; 32]);
    const COMPUTES: Fingerprint = Fingerprint([4; 32]);

    fn leaf(of: Fingerprint) -> Hash {
        contribution_leaf(&of, &[9; 32])
    }

    /// The data of two went in; three were asked for it, and another one computed.
    fn answers(heard: &[(Fingerprint, Heard)]) -> Answers {
        let leaves = vec![leaf(ONE), leaf(LATE)];
        let hash = Hash([0; 32]).to_string();
        let statement = Statement {
            format: FORMAT.to_owned(),
            group: GroupId(1),
            consensus: ConsensusId([1; 32]),
            session: SessionId([2; 16]),
            run: RunId(3),
            slot: Slot(4),
            attempt: Attempt(0),
            task: serde_json::Value::Null,
            plan: hash.clone(),
            model: "semi-honest".to_owned(),
            threshold: 1,
            compute: vec![ONE, LATE, COMPUTES],
            contributors: Contributors { count: 2, root: contributors_root(&leaves).to_string() },
            recipients: 1,
            guards: BTreeMap::new(),
            budget: None,
            frozen: hash.clone(),
            binding: hash,
            agreement: None,
        };
        let gathered = Gathered { statement, text: String::new(), signatures: BTreeMap::new(), leaves };
        let givers = vec![ONE, LATE, OUT];
        let members = vec![ONE, LATE, OUT, COMPUTES];
        let terms = Terms { agreement: String::new(), offered: givers.clone(), asked: givers, members };
        Answers::new(&gathered, &heard.iter().copied().collect(), &terms)
    }

    #[test]
    fn a_late_contributor_is_not_told_that_it_did_not_count() {
        // Whoever computes knows the leaf of the late one, and may name it.
        let told = answers(&[(ONE, Some(leaf(ONE))), (COMPUTES, Some(leaf(LATE)))]);
        assert!(matches!(told.own_of(&ONE, Some(&Some(leaf(ONE)))), Ok(Own::Counted { index: 0, .. })));
        assert!(matches!(told.own_of(&LATE, None), Ok(Own::Nothing)), "it may be in, and will ask");
        assert!(matches!(told.own_of(&OUT, None), Ok(Own::Nothing)));
        assert!(matches!(told.own_of(&COMPUTES, None), Ok(Own::Nothing)));
        // It asks.
        assert!(matches!(told.own_of(&LATE, Some(&Some(leaf(LATE)))), Ok(Own::Counted { index: 1, .. })));
        assert!(matches!(told.own_of(&OUT, Some(&None)), Ok(Own::Rejected { .. })));

        // Where those who were asked named every leaf themselves, who named none is out.
        let told = answers(&[(ONE, Some(leaf(ONE))), (LATE, Some(leaf(LATE)))]);
        assert!(matches!(told.own_of(&OUT, None), Ok(Own::Rejected { .. })));
    }
}
