//! A gateway that shows its log to two members, honestly and not.

use std::sync::Arc;

use tacit_accord::log::export::Verifier;
use tacit_accord::log::{Checkpoint, Hash, ProofPlan, Tree, cosigned, leaf_hash, node_hash};
use tacit_job::{Cosigned, Shown, ToGateway, ToPeer};
use tacit_model::Fingerprint;
use tacit_pki::Identity;

use crate::world::World;

/// A log in memory; all its hashes are at hand.
#[derive(Clone)]
struct Log {
    node: Arc<Identity>,
    leaves: Vec<Hash>,
}

impl Log {
    fn grow(&mut self, entries: &[&str]) {
        self.leaves.extend(entries.iter().map(|entry| leaf_hash(entry.as_bytes())));
    }

    fn note(&self) -> String {
        let mut tree = Tree::new();
        self.leaves.iter().for_each(|leaf| tree.append(*leaf, drop));
        Checkpoint::new(&self.node.fingerprint(), &tree).sign(&self.node).unwrap()
    }

    fn proof(&self, from: u64) -> Vec<String> {
        let plan = ProofPlan::consistency(from, self.leaves.len() as u64).unwrap();
        let at = |level: u8, index: u64| {
            assert_eq!(level, 0, "small logs keep hashes of entries only");
            self.leaves[usize::try_from(index).unwrap()]
        };
        let read: Vec<Vec<Hash>> = plan
            .spans()
            .map(|span| (span.from..span.from + span.count).map(|index| at(span.level, index)).collect())
            .collect();
        plan.finish(&read).unwrap().iter().map(Hash::to_string).collect()
    }

    fn shown(&self, from: u64, others: Vec<Cosigned>) -> ToPeer {
        let shown = Shown {
            checkpoint: self.note(),
            key: self.node.public_key().to_base64(),
            from,
            consistency: self.proof(from),
            others,
        };
        ToPeer::Witness { shown: Box::new(shown) }
    }
}

async fn answered(world: &mut World, peer: &Fingerprint, message: &ToPeer) -> (u64, Option<String>, String) {
    world.gateway.send(peer, message);
    let fits = |m: &ToGateway| match m {
        ToGateway::Witnessed { size, cosigned, key } => Some((*size, cosigned.clone(), key.clone())),
        _ => None,
    };
    world.gateway.expect(peer, fits).await
}

fn start(world: &World) -> Log {
    let mut log = Log { node: Arc::clone(&world.gateway.identity), leaves: Vec::new() };
    log.grow(&["software", "consensus", "start"]);
    log
}

#[tokio::test]
async fn r13_a_member_cosigns_what_grew_and_nothing_else() {
    let mut world = World::small().await;
    let peer = world.peers[2].fingerprint();
    let mut log = start(&world);
    let (size, note, _) = answered(&mut world, &peer, &log.shown(0, Vec::new())).await;
    assert_eq!(size, 3);
    let key = *world.peers[2].identity.public_key();
    cosigned(&note.unwrap(), &key).unwrap();

    log.grow(&["a", "b"]);
    // From a head that the peer does not remember: it says which one it does.
    let (size, note, _) = answered(&mut world, &peer, &log.shown(1, Vec::new())).await;
    assert_eq!((size, note), (3, None));
    let (size, note, _) = answered(&mut world, &peer, &log.shown(3, Vec::new())).await;
    assert_eq!((size, note.is_some()), (5, true));

    // What was accepted is remembered through a restart.
    world.peers[2].close().await;
    world.peers[2].open().await;
    world.gateway.hello(&peer).await;
    // A signature of somebody else, or under the name of somebody else, changes nothing.
    let stranger = Log { node: crate::world::identity("stranger"), ..log.clone() };
    world.gateway.send(&peer, &stranger.shown(5, Vec::new()));
    let (size, note, _) = answered(&mut world, &peer, &log.shown(5, Vec::new())).await;
    assert_eq!((size, note.is_some()), (5, true));

    // Rewritten: an entry that was signed is another one now.
    let mut forged = log.clone();
    forged.leaves[1] = node_hash(&forged.leaves[0], &forged.leaves[0]);
    forged.grow(&["c"]);
    let (size, note, _) = answered(&mut world, &peer, &forged.shown(5, Vec::new())).await;
    assert_eq!((size, note), (5, None));
    let seen =
        world.peers[2].store.as_ref().unwrap().witnessed("ppeer1", log.node.fingerprint()).await.unwrap().unwrap();
    assert_eq!((seen.note, seen.disputed), (log.note(), Some(forged.note())));
    // From now on nothing is co-signed, also not what would be right.
    log.grow(&["c"]);
    let (_, note, _) = answered(&mut world, &peer, &log.shown(5, Vec::new())).await;
    assert_eq!(note, None);
    world.close().await;
}

/// R11, and DESIGN's witnesses: two members that were shown different heads notice it as soon as one hears of the other.
#[tokio::test]
async fn r11_two_members_shown_different_heads_notice() {
    let mut world = World::small().await;
    let (first, second) = (world.peers[2].fingerprint(), world.peers[3].fingerprint());
    let common = start(&world);
    answered(&mut world, &first, &common.shown(0, Vec::new())).await;
    answered(&mut world, &second, &common.shown(0, Vec::new())).await;
    let (mut left, mut right) = (common.clone(), common.clone());
    left.grow(&["the first is told this"]);
    right.grow(&["the second is told that", "and more"]);
    let (_, note, key) = answered(&mut world, &first, &left.shown(3, Vec::new())).await;
    let note = note.unwrap();

    // What nobody of the group signed is no evidence.
    let mut foreign = Checkpoint::unverified(&left.note()).unwrap().sign(&world.gateway.identity).unwrap();
    foreign.push_str(note.lines().last().unwrap().replace('A', "B").as_str());
    foreign.push('\n');
    let made_up = Cosigned { note: foreign, key: key.clone(), consistency: right.proof(3) };
    let (size, cosigned, _) = answered(&mut world, &second, &right.shown(3, vec![made_up])).await;
    assert_eq!((size, cosigned.is_some()), (5, true));

    right.grow(&["again"]);
    // No proof leads from the one to the other, whatever the gateway tries.
    let theirs = Cosigned { note: note.clone(), key, consistency: right.proof(4) };
    let (size, cosigned, _) = answered(&mut world, &second, &right.shown(5, vec![theirs])).await;
    assert_eq!((size, cosigned), (5, None));
    let store = world.peers[3].store.as_ref().unwrap();
    let seen = store.witnessed("ppeer2", common.node.fingerprint()).await.unwrap().unwrap();
    assert_eq!((seen.note, seen.disputed), (note, Some(right.note())));
    let trouble = world.peers[3].party().status().await.unwrap().last_trouble.unwrap().what;
    assert!(trouble.contains("disputed"), "{trouble}");

    // The evidence is in the member's own log, which verifies.
    let setup = world.peers[3].log();
    let mut export = setup.export().await.unwrap();
    let mut verifier = Verifier::new(Some(second), Vec::new());
    let mut evidence = 0;
    while let Some(lines) = export.next().await.unwrap() {
        for line in lines.split_inclusive('\n') {
            verifier.line(line.as_bytes()).unwrap();
            evidence += usize::from(line.contains("\"kind\":\"witness\""));
        }
    }
    verifier.finish().unwrap();
    assert_eq!(evidence, 1);
    world.close().await;
}
