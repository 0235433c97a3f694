//! Control messages between a peer and its gateway.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tacit_accord::Consensus;
use tacit_job::{Job, Task, ToGateway, ToPeer};
use tacit_pki::envelope::Signed;

fuzz_target!(|data: &[u8]| {
    if let Some(message) = there_and_back::<ToPeer>(data) {
        match message {
            ToPeer::Charter { documents } => documents.iter().for_each(|document| drop(Consensus::read(document))),
            ToPeer::Prepare { job, .. } => {
                let members = job.members();
                assert!(members.windows(2).all(|pair| pair[0] < pair[1]), "sorted, each once");
                let _ = job.task.digest(job.run);
            }
            _ => {}
        }
    }
    there_and_back::<ToGateway>(data);
    there_and_back::<Job>(data);
    there_and_back::<Task>(data);
    there_and_back::<Signed>(data);
});

fn there_and_back<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let again = serde_json::to_vec(&value).expect("what was read is written");
    assert_eq!(serde_json::from_slice::<T>(&again).expect("and read again"), value);
    Some(value)
}
