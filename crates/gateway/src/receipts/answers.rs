//! "Did my data count?": what each contributor, and nobody else, hears; also when it was away as the receipt was issued.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tacit_accord::log::{Hash, ProofPlan, Tree};
use tacit_job::{Awaited, Own, ToPeer};
use tacit_link::{ControlSender, LinkError};
use tacit_model::{Fingerprint, GroupId, UnixMillis};
use tacit_store::{GATEWAY_HOLDER, ReceiptRow};
use tracing::warn;

use super::{Debt, Gathered, Heard, Terms};
use crate::directory::Present;
use crate::{Gateway, GatewayError};

/// So many receipts are answered for at a time,
const MOST: u32 = 256;
/// or so many bytes of them, where the member asks for the next page itself.
const PAGE: usize = 4 << 20;

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

    /// For a member that is not heard now. What it said when the receipt was issued is not kept: it may have named its leaf.
    fn unheard(self) -> Self {
        Self { whole: false, ..self }
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
    /// A member is back and says which receipts it awaits. Those that there are go to it, and a page of those that it
    /// does not know of; for those that are owed its part is asked for once more. What is logged meanwhile is sent to it
    /// as it is issued, so that a page which is the last one leaves nothing out.
    pub(crate) async fn answer_awaited(
        &self,
        member: Fingerprint,
        group: GroupId,
        awaited: Vec<Awaited>,
        since: UnixMillis,
        from: Option<UnixMillis>,
    ) -> Result<(), GatewayError> {
        // All of a page leaves over one link, or its end does not.
        let present = self.inner.directory.present(&member).filter(|present| present.group == group);
        let Some(Present { sender, .. }) = present else { return Ok(()) };
        let store = &self.inner.store;
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let mut answered = BTreeSet::new();
        for awaited in awaited.into_iter().take(most) {
            let session = awaited.session;
            answered.insert(session);
            if let Some(row) = store.receipt(GATEWAY_HOLDER, session).await? {
                let leaf: Heard = awaited.leaf.and_then(|leaf| leaf.parse().ok());
                if self.show(&sender, &member, group, row, Some(&leaf)).await.is_err() {
                    return Ok(());
                }
            } else if let Some(owed) = store.owed(GATEWAY_HOLDER, session).await? {
                // Either asks this member too.
                match (self.inner.gathering.gathers(session), Debt::read(&owed)) {
                    (true, _) => drop(self.inner.directory.send(&member, &ToPeer::PartWanted { session })),
                    (false, Ok(debt)) => self.pay_late(debt),
                    // One that is damaged is not in the way of the others.
                    (false, Err(error)) => warn!(%session, %error, "a receipt that is owed cannot be issued"),
                }
            }
        }
        let begin = from.unwrap_or(since);
        let rows = store.receipts_since(GATEWAY_HOLDER, group, begin, MOST).await?;
        let last = rows.last().map_or(begin, |row| row.at);
        let (mut upto, mut more) = (last, rows.len() >= most && last > begin);
        let mut bytes = 0_usize;
        for row in rows {
            if from.is_some() && bytes > PAGE && row.at > begin {
                (upto, more) = (row.at, true);
                break;
            }
            if answered.contains(&row.session) {
                continue;
            }
            match self.show(&sender, &member, group, row, None).await {
                Ok(length) => bytes = bytes.saturating_add(length),
                Err(_) => return Ok(()),
            }
        }
        if from.is_some() {
            let _gone = self.leaves(&sender, &ToPeer::ReceiptsSent { upto, more }).await;
        }
        Ok(())
    }

    /// Sends a receipt as this member hears it, if it does; how long that is. `heard` is what it says now, if it named the
    /// session. One that is damaged, or longer than a message, would be in the way of all others for ever: it is passed over.
    ///
    /// An error is that nothing more leaves: over the next link the member asks for all this again.
    async fn show(
        &self,
        sender: &ControlSender,
        member: &Fingerprint,
        group: GroupId,
        row: ReceiptRow,
        heard: Option<&Heard>,
    ) -> Result<usize, LinkError> {
        let (session, length) = (row.session, row.body.len());
        let unshown = |error: &dyn core::fmt::Display| warn!(%session, %error, "a receipt cannot be shown");
        match receipt_for(member, group, row, heard) {
            Ok(Some(receipt)) => match self.leaves(sender, &receipt).await {
                Ok(()) => return Ok(length),
                Err(error @ LinkError::TooLarge { .. }) => unshown(&error),
                Err(error) => return Err(error),
            },
            Ok(None) => {}
            Err(error) => unshown(&error),
        }
        Ok(0)
    }

    /// Sends when there is room. What was asked for may be more than a link's queue takes; meanwhile nothing else that this
    /// member says is read.
    async fn leaves(&self, sender: &ControlSender, message: &ToPeer) -> Result<(), LinkError> {
        loop {
            match sender.send(message) {
                Err(LinkError::QueueFull) => {}
                sent => return sent,
            }
            tokio::select! {
                () = self.inner.stop.cancelled() => return Err(LinkError::ShuttingDown),
                () = sender.room() => {}
            }
        }
    }
}

/// A receipt as this member hears it, if it does; `heard` is what it says now, if it named the session.
fn receipt_for(
    member: &Fingerprint,
    group: GroupId,
    row: ReceiptRow,
    heard: Option<&Heard>,
) -> Result<Option<ToPeer>, GatewayError> {
    // An older version kept no answers.
    let answers: Option<Answers> = row.own.and_then(|own| serde_json::from_str(&own).ok());
    let Some(answers) = answers.filter(|answers| row.gid == group && answers.holders.contains(member)) else {
        return Ok(None);
    };
    let own = match heard {
        Some(_) => answers.own_of(member, heard)?,
        None => answers.unheard().own_of(member, None)?,
    };
    Ok(Some(ToPeer::Receipt { session: row.session, receipt: row.body, own }))
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
        // Later nobody knows who named which: who counted, and lost its proof with its link, is told nothing that is wrong.
        assert!(matches!(told.unheard().own_of(&ONE, None), Ok(Own::Nothing)));
    }
}
