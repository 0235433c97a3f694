//! The messages of proto/smc.proto, as far as a peer needs them.

use std::collections::HashMap;

use prost::Message;

/// Names no session and filters nothing.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FilterArgs {}

/// Names a session.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionCtx {
    #[prost(string, tag = "1")]
    pub(crate) session_id: String,
}

/// One of those who compute.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Participant {
    #[prost(string, tag = "1")]
    pub(crate) auth_id: String,
    #[prost(int32, tag = "2")]
    pub(crate) smc_peer_id: i32,
    #[prost(string, tag = "3")]
    pub(crate) endpoint: String,
}

/// What is computed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SmcTask {
    #[prost(string, tag = "1")]
    pub(crate) set: String,
    /// 0 is the sum.
    #[prost(int32, tag = "4")]
    pub(crate) aggregator: i32,
    #[prost(int32, tag = "10")]
    pub(crate) max_data_items: i32,
}

/// With whom, what, and this participant's numbers. No Debug: they are secret.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct PreparePhase {
    #[prost(message, repeated, tag = "1")]
    pub(crate) participants: Vec<Participant>,
    #[prost(message, optional, tag = "3")]
    pub(crate) smc_task: Option<SmcTask>,
    #[prost(int32, tag = "16")]
    pub(crate) threshold: i32,
    #[prost(uint64, repeated, tag = "17")]
    pub(crate) input: Vec<u64>,
}

impl core::fmt::Debug for PreparePhase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PreparePhase").field("participants", &self.participants).finish_non_exhaustive()
    }
}

/// Nothing more is said.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Empty {}

/// A message that is only answered.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DebugPhase {
    #[prost(int32, tag = "1")]
    pub(crate) ping: i32,
    #[prost(bool, tag = "3")]
    pub(crate) more_phases: bool,
}

/// A command of a session.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SmcCmd {
    #[prost(string, tag = "1")]
    pub(crate) session_id: String,
    #[prost(int32, tag = "2")]
    pub(crate) state: i32,
    #[prost(oneof = "Payload", tags = "3, 4, 6, 9")]
    pub(crate) payload: Option<Payload>,
    #[prost(int32, tag = "5")]
    pub(crate) smc_peer_id: i32,
}

/// What the command of a phase says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Payload {
    #[prost(message, tag = "3")]
    Prepare(PreparePhase),
    #[prost(message, tag = "4")]
    Session(Empty),
    #[prost(message, tag = "6")]
    Link(Empty),
    #[prost(message, tag = "9")]
    Debug(DebugPhase),
}

impl Payload {
    /// The number of the phase. A ping has none of its own.
    pub(crate) fn phase(&self) -> i32 {
        match self {
            Self::Prepare(_) | Self::Debug(_) => 0,
            Self::Link(_) => 1,
            Self::Session(_) => 2,
        }
    }
}

/// A result. No Debug: it is for its recipients only.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct SmcResult {
    #[prost(double, tag = "1")]
    pub(crate) res: f64,
    #[prost(string, repeated, tag = "16")]
    pub(crate) values: Vec<String>,
}

impl core::fmt::Debug for SmcResult {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SmcResult")
    }
}

/// What became of a command.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CmdResult {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
    #[prost(string, tag = "2")]
    pub(crate) msg: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) result: Option<SmcResult>,
    #[prost(map = "string, string", tag = "7")]
    pub(crate) metadata: HashMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the compiler of protocol buffers would write it: field number and type, then the value.
    #[test]
    fn f19_commands_on_the_wire() {
        let prepare = PreparePhase { participants: vec![], smc_task: None, threshold: 1, input: vec![3, 300] };
        let command =
            SmcCmd { session_id: "s".to_owned(), state: 0, payload: Some(Payload::Prepare(prepare)), smc_peer_id: 2 };
        let expected = [&[0x0a, 1, b's'][..], &[0x1a, 9, 0x80, 1, 1, 0x8a, 1, 3, 3, 0xac, 2], &[0x28, 2]].concat();
        assert_eq!(command.encode_to_vec(), expected);
        assert!(!format!("{command:?}").contains("300"), "inputs are not shown");
        let ping = Payload::Debug(DebugPhase { ping: 7, more_phases: true });
        let command = SmcCmd { session_id: "s".to_owned(), state: ping.phase(), payload: Some(ping), smc_peer_id: 0 };
        assert_eq!(command.encode_to_vec(), [&[0x0a, 1, b's'][..], &[0x4a, 4, 0x08, 7, 0x18, 1]].concat());
        let answer = CmdResult::decode(&[0x08, 65, 0x12, 2, b'n', b'o'][..]).expect("a result");
        assert_eq!((answer.status, answer.msg.as_str()), (65, "no"));
        for (number, bytes) in [
            (0, &[][..]),
            (1, &[0x08, 1]),
            (32, &[0x08, 32]),
            (33, &[0x08, 33]),
            (34, &[0x08, 34]),
            (64, &[0x08, 64]),
            (128, &[0x08, 0x80, 1]),
            (129, &[0x08, 0x81, 1]),
            (192, &[0x08, 0xc0, 1]),
            (224, &[0x08, 0xe0, 1]),
        ] {
            assert_eq!(CmdResult::decode(bytes).expect("a result").status, number);
        }
    }
}
