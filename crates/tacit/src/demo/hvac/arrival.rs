//! How rooms and phones find the gateway: by multicast on the machine's loopback interface; where that carries none,
//! at a bootstrap address.

use std::path::Path;

use crate::config::{NodeConfig, Role};
use crate::discovery::DiscoveryConfig;
use crate::output::{Code, Failure};
use crate::scenario::{Scenario, ephemeral, fixed};

/// Who found the gateway in which way.
pub(super) struct Arrivals {
    /// Where all this is: of several demos on a machine each stays with its own.
    building: String,
    pub(super) by_multicast: usize,
    pub(super) by_bootstrap: usize,
}

impl Arrivals {
    pub(super) fn new() -> Self {
        Self { building: format!("demo-{}", std::process::id()), by_multicast: 0, by_bootstrap: 0 }
    }

    /// A gateway that announces itself.
    pub(super) fn gateway(&self) -> NodeConfig {
        let discovery = self.discovery(Vec::new());
        NodeConfig { name: "gateway".to_owned(), roles: vec![Role::Gateway], discovery, ..ephemeral() }
    }

    /// A device that knows nobody, and looks.
    pub(super) fn device(&self) -> Result<NodeConfig, Failure> {
        Ok(NodeConfig { discovery: self.discovery(Vec::new()), ..fixed()? })
    }

    /// These devices look for the gateway and become its members. Those that heard nobody get an address to ask, as
    /// their operator would write it down.
    pub(super) async fn arrive(
        &mut self,
        folder: &Path,
        scenario: &mut Scenario,
        seats: &[usize],
    ) -> Result<(), Failure> {
        let deaf = scenario.form_found(seats).await?;
        self.by_multicast += seats.len() - deaf.len();
        for &seat in &deaf {
            let told = self.discovery(vec![scenario.coordinator.address.url.clone()]);
            scenario.restart(folder, seat, Some(NodeConfig { discovery: told, ..fixed()? })).await?;
        }
        if !scenario.form_found(&deaf).await?.is_empty() {
            let why = "the gateway was found neither by multicast nor at its bootstrap address";
            return Err(Failure::new(Code::Unreachable, why));
        }
        self.by_bootstrap += deaf.len();
        Ok(())
    }

    /// For the terminal.
    pub(super) fn told(&self) -> String {
        let Self { by_multicast, by_bootstrap, .. } = self;
        match (by_multicast, by_bootstrap) {
            (all, 0) => format!("all {all} heard the gateway's signed announcement by multicast (mDNS, loopback)"),
            (0, all) => format!(
                "this machine's loopback carries no multicast: all {all} asked a bootstrap address for the gateway's \
                 signed announcement"
            ),
            (some, rest) => format!(
                "{some} heard the gateway's signed announcement by multicast, {rest} did not and asked a bootstrap \
                 address for it"
            ),
        }
    }

    fn discovery(&self, bootstrap: Vec<String>) -> DiscoveryConfig {
        DiscoveryConfig { loopback: true, location: self.building.clone(), bootstrap, ..Default::default() }
    }
}
