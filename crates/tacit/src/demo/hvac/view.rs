//! What the facility manager's terminal shows while the rooms are asked: who is there, and the answers so far. On a
//! terminal it is drawn again in place; elsewhere each line is written once, when it is complete.

use std::time::Duration;

use super::asker::Answer;
use super::rooms::{FLOORS, ROOMS};
use crate::demo::live::Live;
use crate::demo::report::Report;
use crate::output::Failure;
use crate::scenario::{Scenario, client};

/// Time for the eye, on a terminal only.
const GLANCE: Duration = Duration::from_millis(400);
/// As wide as one answer.
const WIDTH: usize = 19;

pub(super) struct View {
    live: Live,
    lines: Vec<String>,
    /// The line that is being written: when, the answers so far, a remark.
    when: String,
    answers: Vec<String>,
    remark: String,
}

impl View {
    pub(super) fn new(report: &Report) -> Self {
        let view = Self {
            live: Live::new(report.is_watched()),
            lines: Vec::new(),
            when: String::new(),
            answers: Vec::new(),
            remark: String::new(),
        };
        if !view.live.is_watched() {
            report.say(&heading());
        }
        view
    }

    /// A new line begins.
    pub(super) fn begin(&mut self, when: String) {
        self.when = when;
    }

    /// Something happened.
    pub(super) async fn remark(&mut self, scenario: &Scenario, text: &str) -> Result<(), Failure> {
        text.clone_into(&mut self.remark);
        self.draw(scenario).await
    }

    /// A floor answered.
    pub(super) async fn answer(&mut self, scenario: &Scenario, answer: &Answer) -> Result<(), Failure> {
        self.answers.push(format!("{:.2} °C   {} of {:<4}", answer.mean, answer.occupied, answer.rooms));
        self.draw(scenario).await
    }

    /// The line is complete.
    pub(super) async fn end(&mut self, scenario: &Scenario, report: &Report) -> Result<(), Failure> {
        let line = self.line();
        if self.live.is_watched() {
            tokio::time::sleep(GLANCE).await;
        } else {
            report.say(&line);
        }
        self.lines.push(line);
        (self.when, self.answers, self.remark) = Default::default();
        self.draw(scenario).await
    }

    fn line(&self) -> String {
        let cells = FLOORS.iter().enumerate().map(|(floor, _)| match self.answers.get(floor) {
            Some(answer) => answer.clone(),
            None => format!("{:WIDTH$}", if floor == self.answers.len() { "..." } else { "" }),
        });
        let cells: Vec<String> = cells.collect();
        format!("  {} |  {}|  {}", self.when, cells.join("|  "), self.remark).trim_end().to_owned()
    }

    /// Draws everything anew, with what the gateway's directory says of the rooms at this moment.
    async fn draw(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        if !self.live.is_watched() {
            return Ok(());
        }
        let known = client(&scenario.coordinator)?.directory(scenario.group).await?;
        let mut lines = Vec::new();
        for (label, rooms) in FLOORS {
            let marks = rooms.map(|room| {
                let mark = match known.iter().find(|member| member.name == ROOMS[room]) {
                    Some(member) if member.available => '●',
                    Some(_) => '✗',
                    None => '·',
                };
                format!("{} {mark}", &ROOMS[room]["room-".len()..])
            });
            lines.push(format!("  {}   {}", label.replace('=', " "), marks.collect::<Vec<_>>().join("   ")));
        }
        lines.push("  ● there   ✗ lost   · not here yet".to_owned());
        lines.push(String::new());
        lines.push(heading());
        lines.extend(self.lines.iter().cloned());
        if !self.when.is_empty() {
            lines.push(self.line());
        }
        self.live.draw(&lines);
        Ok(())
    }
}

fn heading() -> String {
    "   from    to |  floor 2   occupied  |  floor 3   occupied  |".to_owned()
}
