//! Texts of /api/v1, of requests and of answers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tacit_model::api::{self, Decimal};
use tacit_model::problem::Problem;

macro_rules! all {
    ($data:expr, $($kind:path),* $(,)?) => { $( there_and_back::<$kind>($data); )* };
}

fuzz_target!(|data: &[u8]| {
    all!(
        data,
        api::CodeBody,
        api::ConfigurationBody,
        api::ConsensusBody,
        api::GroupBody,
        api::GroupList,
        api::MemberBody,
        api::MemberList,
        api::NewGroup,
        api::RunBody,
        api::RunList,
        api::SlotBody,
        api::SlotList,
        api::SlotRulesBody,
        api::StartedBody,
        api::VerifyBody,
        api::IssuedToken,
        api::LogLine,
        api::LogPage,
        api::NewToken,
        api::NodeBody,
        api::ReceivedBody,
        api::ReceivedList,
        api::ReceivedRow,
        api::TokenBody,
        api::TokenList,
        api::JoinBody,
        api::PeerBody,
        api::PeerList,
        api::ResultBody,
        api::ResultList,
        api::RosterBody,
        api::RosterMember,
        api::RowBody,
        api::RowsBody,
        api::RowsReceipt,
        api::GatewayPin,
        api::PeerInfo,
        api::RegisterBody,
        api::RegisterReceipt,
        api::PairingBody,
        api::OpenNegotiation,
        api::NegotiationAct,
        api::NegotiationBody,
        api::ContributionList,
        api::NegotiationList,
        api::HistoryRequest,
        api::ManagerAccept,
        api::RegistryBody,
        api::CandidateBody,
        api::LogHead,
        api::LogProof,
        api::WitnessBody,
        api::ReceiptList,
        api::ReceiptBody,
        api::StatisticBody,
        api::NewTask,
        api::TaskBody,
        api::TaskList,
        api::TaskResult,
        api::TaskScope,
        api::SamplesBody,
        api::SamplesReceipt,
        api::LabelsBody,
        api::OfferBody,
        api::OfferList,
        api::PingBody,
        Problem,
    );
    if let Ok(number) = serde_json::from_slice::<Decimal>(data) {
        let text = serde_json::to_string(&number).expect("a number");
        assert_eq!(serde_json::from_str::<Decimal>(&text).ok(), Some(number));
        assert_eq!(text, format!("\"{}\"", number.0));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(text.parse::<Decimal>().is_ok(), text.parse::<u128>().is_ok() && !text.starts_with('+'));
        let _ = text.parse::<api::Role>();
    }
});

fn there_and_back<T: DeserializeOwned + Serialize>(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(data) else { return };
    let once = serde_json::to_vec(&value).expect("what was read is written");
    let again: T = serde_json::from_slice(&once).expect("and read again");
    assert_eq!(serde_json::to_vec(&again).expect("and written"), once);
}
