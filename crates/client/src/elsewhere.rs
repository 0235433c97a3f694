//! Several gateways over the same rows: whichever leads is asked.

use core::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, Request, Url};
use tacit_model::{Fingerprint, leading};
use tacit_pki::https;
use tokio::time::Instant;

use crate::ClientError;

/// So long somebody is looked for who leads: longer than taking the lead over takes.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(200);

/// The addresses of all gateways, and which one led last.
pub(crate) struct Elsewhere {
    bases: Vec<Url>,
    last: AtomicUsize,
}

/// What a node answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// It does not lead, and has done nothing; who does, if it knows.
    pub(crate) follows: Option<Leading>,
    pub(crate) body: Vec<u8>,
}

/// The gateway that leads, by the word of one that does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leading(pub(crate) Option<(Url, Fingerprint)>);

impl Leading {
    /// From the header.
    pub(crate) fn read(header: &str) -> Self {
        Self(leading::read(header).and_then(|(url, pin)| Some((url.parse().ok()?, pin))))
    }
}

/// A node did not answer.
pub(crate) struct Unanswered {
    /// The request may have been heard.
    pub(crate) sent: bool,
    pub(crate) error: ClientError,
}

impl Elsewhere {
    pub(crate) fn new(bases: Vec<Url>) -> Self {
        Self { bases, last: AtomicUsize::new(0) }
    }

    /// Sends the request to the gateway that led last.
    pub(crate) fn place(&self, request: &mut Request) {
        let last = self.last.load(Ordering::Relaxed);
        if let Some(base) = self.bases.get(last)
            && last > 0
        {
            self.place_at(request, base);
        }
    }

    /// Sends a request that was made for the first address to another one.
    pub(crate) fn place_at(&self, request: &mut Request, base: &Url) {
        // The path in front of ours may differ, too.
        let ours = self.bases.first().map_or(0, |own| own.path().trim_end_matches('/').len());
        let path = request.url().path().get(ours..).unwrap_or_default();
        let path = format!("{}{path}", base.path().trim_end_matches('/'));
        let mut url = base.clone();
        url.set_path(&path);
        url.set_query(request.url().query());
        *request.url_mut() = url;
    }

    /// Asks one gateway after the other until one that leads answers.
    pub(crate) async fn ask<F>(&self, request: Request, exchange: impl Fn(Request) -> F) -> Result<Answer, ClientError>
    where
        F: Future<Output = Result<Answer, Unanswered>>,
    {
        if self.bases.len() < 2 {
            return exchange(request).await.map_err(|unanswered| unanswered.error);
        }
        let twice = request.method() != Method::POST || request.headers().contains_key("idempotency-key");
        let until = Instant::now() + PATIENCE;
        loop {
            let mut round = Vec::new();
            for _ in 0..self.bases.len() {
                let Some(mut again) = request.try_clone() else { break };
                self.place(&mut again);
                let at = https::place(again.url());
                let answer = exchange(again).await;
                let over = match &answer {
                    // 503 beside the lead: it was lost while this was worked at.
                    Ok(answer) => answer.follows.is_none() && (answer.status != 503 || !twice),
                    Err(Unanswered { error: ClientError::Untrusted(_), .. }) => true,
                    Err(unanswered) => unanswered.sent && !twice,
                };
                let answer = answer.map_err(|unanswered| unanswered.error);
                if over {
                    return answer;
                }
                round.push((at, answer));
                let next = (self.last.load(Ordering::Relaxed) + 1) % self.bases.len();
                self.last.store(next, Ordering::Relaxed);
            }
            if Instant::now() >= until {
                return self.in_vain(round);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What comes of a round in which nobody who leads did what was asked: the word of one that leads or knows who else
    /// may, or else what each of them said.
    fn in_vain(&self, round: Vec<(String, Result<Answer, ClientError>)>) -> Result<Answer, ClientError> {
        let (mut follow, mut away, mut reasons, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, said) in round {
            match said {
                Ok(answer) if answer.follows.as_ref().is_none_or(|leading| self.is_new(leading)) => return Ok(answer),
                Ok(_) => follow.push(at),
                Err(ClientError::Unreachable { reason, .. }) => {
                    away.push(at);
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
                Err(error) => others.push(error),
            }
        }
        let (away, reason) = (away.join(", "), reasons.join("; "));
        let mut said = Vec::new();
        match follow.as_slice() {
            [] => {}
            [one] => said.push(format!("{one} follows")),
            several => said.push(format!("{} follow", several.join(", "))),
        }
        if !away.is_empty() {
            said.push(format!("{away} cannot be reached"));
        }
        said.extend(others.iter().map(ToString::to_string));
        Err(match (follow.is_empty(), others.pop()) {
            // Nobody said anything of who leads.
            (true, None) if away.is_empty() => ClientError::TimedOut(PATIENCE),
            (true, None) => ClientError::Unreachable { host: away, reason },
            (true, Some(other)) if said.len() == 1 => other,
            _ => ClientError::NobodyLeads(said.join("; ")),
        })
    }

    /// Whether somebody is named who was not asked.
    fn is_new(&self, leading: &Leading) -> bool {
        leading.0.as_ref().is_some_and(|(url, _)| self.bases.iter().all(|base| base.origin() != url.origin()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn request(method: Method) -> Request {
        Request::new(method, Url::parse("http://a/x/api/v1/tasks?n=1").expect("an address"))
    }

    fn three() -> Elsewhere {
        Elsewhere::new(["http://a/x", "http://b", "http://c/y/"].map(|url| Url::parse(url).expect("an address")).into())
    }

    fn gone(sent: bool) -> Unanswered {
        Unanswered { sent, error: ClientError::Unreachable { host: "h".to_owned(), reason: "gone".to_owned() } }
    }

    fn answer(status: u16, follows: bool) -> Answer {
        Answer { status, follows: follows.then(Leading::default), body: Vec::new() }
    }

    #[tokio::test]
    async fn f09_the_gateway_that_leads_is_found_and_remembered() {
        let asked = Mutex::new(Vec::new());
        let exchange = |request: Request| {
            let url = request.url().to_string();
            asked.lock().expect("a list").push(url.clone());
            async move {
                match url {
                    url if url.starts_with("http://a") => Err(gone(false)),
                    url if url.starts_with("http://b") => Ok(answer(503, true)),
                    _ => Ok(answer(200, false)),
                }
            }
        };
        let gateways = three();
        assert_eq!(gateways.ask(request(Method::POST), exchange).await.expect("an answer").status, 200);
        assert_eq!(gateways.ask(request(Method::POST), exchange).await.expect("an answer").status, 200);
        let c = "http://c/y/api/v1/tasks?n=1";
        let expected = ["http://a/x/api/v1/tasks?n=1", "http://b/api/v1/tasks?n=1", c, c];
        assert_eq!(*asked.lock().expect("a list"), expected);
    }

    #[test]
    fn w1_without_a_majority_it_is_said_what_each_gateway_said() {
        let gone = || Err(gone(false).error);
        let follows = || Ok(answer(503, true));
        let said = |answers: [Result<Answer, ClientError>; 3]| {
            let round = ["a:80", "b:80", "c:80"].map(str::to_owned).into_iter().zip(answers).collect();
            three().in_vain(round).map(|answer| answer.status).map_err(|why| why.to_string())
        };
        let nobody = |said: &str| -> Result<u16, String> {
            Err(format!("no gateway leads that could be asked: {said}; a majority of them is needed"))
        };
        assert_eq!(said([follows(), gone(), gone()]), nobody("a:80 follows; b:80, c:80 cannot be reached"));
        assert_eq!(said([gone(), follows(), follows()]), nobody("b:80, c:80 follow; a:80 cannot be reached"));
        let strange = || Err(ClientError::Answer(404));
        let words = "b:80 follows; a:80 cannot be reached; the answer is not one of a Tacit node (status 404); check \
                     the address";
        assert_eq!(said([gone(), follows(), strange()]), nobody(words));
        assert_eq!(said([gone(), gone(), gone()]), Err("a:80, b:80, c:80 cannot be reached: gone".to_owned()));
        // Whoever leads says itself why it could not.
        assert_eq!(said([follows(), Ok(answer(503, false)), gone()]), Ok(503));
    }

    #[test]
    fn w1_who_leads_is_taken_from_one_that_follows_where_it_was_not_asked() {
        let naming = |url: &str| {
            let leading = Leading(Some((url.parse().expect("an address"), Fingerprint([7; 32]))));
            let answers = [Ok(Answer { follows: Some(leading), ..answer(503, true) }), Err(gone(false).error)];
            three().in_vain(["a:80", "b:80"].map(str::to_owned).into_iter().zip(answers).collect())
        };
        assert!(naming("http://d").is_ok_and(|answer| answer.follows.is_some()));
        assert!(matches!(naming("http://b").err(), Some(ClientError::NobodyLeads(_))));
    }

    #[test]
    fn the_header_names_address_and_certificate() {
        let pin = Fingerprint([7; 32]);
        let read = Leading::read(&format!("https://b.example:7400 {pin}")).0.expect("somebody leads");
        assert_eq!((read.0.as_str(), read.1), ("https://b.example:7400/", pin));
        for nobody in ["", "https://b.example", "x y", &format!("no-address {pin}")] {
            assert_eq!(Leading::read(nobody), Leading(None), "{nobody}");
        }
    }

    #[tokio::test]
    async fn f09_nothing_that_may_have_been_heard_is_said_twice() {
        let count = AtomicUsize::new(0);
        let cut = |_| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Err(gone(true)) }
        };
        assert!(three().ask(request(Method::POST), cut).await.is_err());
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let mut keyed = request(Method::POST);
        keyed.headers_mut().insert("idempotency-key", reqwest::header::HeaderValue::from_static("k"));
        for request in [request(Method::GET), keyed] {
            count.store(0, Ordering::Relaxed);
            let then = |_: Request| {
                let first = count.fetch_add(1, Ordering::Relaxed) == 0;
                async move { if first { Err(gone(true)) } else { Ok(answer(200, false)) } }
            };
            assert_eq!(three().ask(request, then).await.expect("an answer").status, 200);
        }
    }
}
