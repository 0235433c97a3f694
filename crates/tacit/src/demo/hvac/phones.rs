//! Phones of people who walk: each asks how its distance compares with the average, and nobody hears it but itself.
//! After the use case of MeasrDroid in the FlexSMC thesis, 3.1.2.

use std::path::Path;

use tacit_model::api::{CompareRequest, PeerRole, SampleBody};

use super::arrival::Arrivals;
use crate::demo::report::Report;
use crate::output::Failure;
use crate::scenario::{Organisation, Scenario, client};

/// Made up: kilometres walked today.
const PHONES: [(&str, &str, f64); 4] =
    [("phone-ada", "6.4", 6.4), ("phone-ben", "2.9", 2.9), ("phone-cem", "11.2", 11.2), ("phone-dot", "4.7", 4.7)];
const PURPOSE: &str = "fitness";

pub(super) async fn run(
    folder: &Path,
    scenario: &mut Scenario,
    arrivals: &mut Arrivals,
    report: &mut Report,
) -> Result<(), Failure> {
    report.say("\nFour phones join, and each asks how far it walked today beside the others (distances are made up)");
    let mut seats = Vec::new();
    for (name, _, _) in PHONES {
        seats.push(scenario.add(folder, Organisation { name, role: PeerRole::Both }, arrivals.device()?).await?);
    }
    arrivals.arrive(folder, scenario, &seats).await?;
    for ((name, km, _), seat) in PHONES.iter().zip(&seats) {
        let phone = client(&scenario.nodes[*seat])?;
        phone.set_labels(name, vec!["phones".to_owned()]).await?;
        let sample = SampleBody { at: None, values: [("distance".to_owned(), (*km).to_owned())].into() };
        phone.add_samples(name, vec![sample]).await?;
    }
    scenario.until_offered("phones", PHONES.len()).await?;
    let average = PHONES.iter().map(|(_, _, km)| km).sum::<f64>() / PHONES.len() as f64;
    let mut right = true;
    for ((name, _, km), seat) in PHONES.iter().zip(&seats) {
        let question = CompareRequest {
            source: "distance".to_owned(),
            set: "phones".to_owned(),
            purpose: PURPOSE.to_owned(),
            preselector: "last_1h".to_owned(),
            decimals: 1,
            least: "0".to_owned(),
            most: "100".to_owned(),
            min_participants: 3,
        };
        let told = client(&scenario.nodes[*seat])?.compare(name, &question).await?;
        let own = told.own.and_then(|own| own.parse::<f64>().ok()).unwrap_or(f64::NAN);
        right &= (told.average - average).abs() < 1e-9 && (own - km).abs() < 1e-9;
        let word = if own > told.average { "more than" } else { "less than" };
        report.say(&format!("  {name}: {own:.1} km, {word} the average of {:.1} km", told.average));
    }
    let mut heard = Vec::new();
    for ((name, _, _), seat) in PHONES.iter().zip(&seats) {
        heard.push(client(&scenario.nodes[*seat])?.results(name, None, None, None).await?.results.len());
    }
    report.check("compare", right, "each average is the plain one");
    report.check("alone", heard.iter().all(|results| *results == 1), "each phone learned its own answer and no other");
    report.result("average_km", average);
    Ok(())
}
