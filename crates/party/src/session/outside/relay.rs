//! Carries what providers tell each other over the links of a session.
//!
//! For each other member there is one stream. Whoever's provider dials first opens it: the peer takes the
//! connection on a local port and tells the other peer, which dials its own provider; or, if that one has dialled meanwhile,
//! goes on with the connection that it took.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tacit_link::{PortEvent, SessionPort};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{UNREAD, room};

/// First byte of a message between relays.
const OPEN: u8 = 1;
const DATA: u8 = 2;
const CLOSE: u8 = 3;

/// So much is read from a provider at a time.
const CHUNK: usize = 64 << 10;
/// Above this backlog of a link providers are not read.
const BACKLOG: usize = 1 << 20;
/// And so often it is looked at again.
const PAUSE: Duration = Duration::from_millis(2);

/// Why it ended before the providers did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RelayError {
    /// This member's relay said something that makes no sense.
    Malformed(usize),
    /// A local connection failed.
    Local(String),
}

/// What a local stream has to say.
enum FromProvider {
    Opened(TcpStream),
    Data(Bytes),
    Closed,
}

/// One stream per member, by its place in the port.
#[derive(Default)]
struct Lane {
    /// Towards the local provider.
    writer: Option<mpsc::UnboundedSender<Bytes>>,
    /// What waits to be written there takes so much.
    unread: Arc<AtomicUsize>,
    opened: bool,
    /// The member said so, too.
    asked: bool,
}

/// The local ends for the other members' providers.
pub(super) struct Relay {
    listeners: Vec<TcpListener>,
    /// What came before the relay ran.
    early: VecDeque<(usize, Bytes)>,
}

impl Relay {
    /// Opens a local port for each other member.
    pub(super) async fn bind(members: usize, early: VecDeque<(usize, Bytes)>) -> std::io::Result<Self> {
        let mut listeners = Vec::with_capacity(members);
        for _ in 0..members {
            listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        }
        Ok(Self { listeners, early })
    }

    /// Where the local provider reaches the provider of the member at this place in the port.
    pub(super) fn endpoint(&self, place: usize) -> std::io::Result<String> {
        Ok(self.listeners[place].local_addr()?.to_string())
    }

    /// Carries until something fails, or until the session is `over` and all that the local provider said is on its way: it
    /// has its result before the others have what it sent last. `provider` says where it listens, once that is known; in
    /// `lost` stands whoever left first.
    pub(super) async fn run(
        self,
        port: &mut SessionPort,
        lost: &OnceLock<usize>,
        mut provider: watch::Receiver<Option<SocketAddr>>,
        over: &CancellationToken,
    ) -> Result<(), RelayError> {
        let Self { listeners, mut early } = self;
        let mut lanes: Vec<Lane> = listeners.iter().map(|_| Lane::default()).collect();
        let (sender, mut heard) = mpsc::channel::<(usize, FromProvider)>(16);
        // Connections that the local provider may still say something through.
        let mut speaking = 0;
        // Ends with this function.
        let mut tasks = JoinSet::new();
        for (place, listener) in listeners.into_iter().enumerate() {
            let sender = sender.clone();
            tasks.spawn(async move {
                // One provider, one connection.
                if let Ok((stream, _)) = listener.accept().await {
                    let _ended = sender.send((place, FromProvider::Opened(stream))).await;
                }
            });
        }
        loop {
            if over.is_cancelled() && speaking == 0 && heard.is_empty() {
                return Ok(());
            }
            let event = match early.pop_front() {
                Some((from, body)) => Event::Port(PortEvent::Message { from, body }),
                None => {
                    let full = port.queued_bytes() >= BACKLOG;
                    tokio::select! {
                        event = port.recv() => Event::Port(event),
                        Some((place, said)) = heard.recv(), if !full => Event::Local(place, said),
                        () = tokio::time::sleep(PAUSE), if full => continue,
                        () = over.cancelled(), if !over.is_cancelled() => continue,
                    }
                }
            };
            match event {
                Event::Local(place, FromProvider::Opened(stream)) => {
                    if lanes[place].opened {
                        continue;
                    }
                    let _queued = port.send(place, vec![OPEN]);
                    speaking += 1;
                    lanes[place] = open(place, stream, &sender, &mut tasks);
                }
                Event::Local(place, FromProvider::Data(bytes)) => {
                    let _queued = port.send(place, [&[DATA][..], &bytes].concat());
                }
                Event::Local(place, FromProvider::Closed) => {
                    let _queued = port.send(place, vec![CLOSE]);
                    speaking -= 1;
                }
                // Whoever has its result leaves; whether that was too early, the local provider knows.
                Event::Port(PortEvent::Lost { from, .. }) => {
                    lanes[from].writer = None;
                    let _first = lost.set(from);
                }
                Event::Port(PortEvent::Message { from, body }) => match (body.first(), body.len()) {
                    // Nobody here would read it.
                    (Some(&OPEN), 1) if over.is_cancelled() => {}
                    // Both providers dialled before they heard of each other: their two connections are one.
                    (Some(&OPEN), 1) if lanes[from].opened && !lanes[from].asked => lanes[from].asked = true,
                    (Some(&OPEN), 1) if !lanes[from].opened => {
                        let Ok(address) = provider.wait_for(Option::is_some).await.map(|address| *address) else {
                            return Err(RelayError::Local("the provider's address never came".to_owned()));
                        };
                        let Some(address) = address else { continue };
                        match reach(address).await {
                            Ok(stream) => {
                                speaking += 1;
                                lanes[from] = Lane { asked: true, ..open(from, stream, &sender, &mut tasks) };
                            }
                            Err(error) => {
                                return Err(RelayError::Local(format!("the provider at {address}: {error}")));
                            }
                        }
                    }
                    (Some(&DATA), _) if lanes[from].opened => {
                        let lane = &lanes[from];
                        if let Some(writer) = &lane.writer {
                            let bytes = body.slice(1..);
                            let before = lane.unread.fetch_add(room(&bytes), Ordering::Relaxed);
                            if before > UNREAD && !writer.is_closed() {
                                let why = "the provider does not read what the others' providers send";
                                return Err(RelayError::Local(why.to_owned()));
                            }
                            let _gone = writer.send(bytes);
                        }
                    }
                    (Some(&CLOSE), 1) if lanes[from].opened => lanes[from].writer = None,
                    _ => return Err(RelayError::Malformed(from)),
                },
            }
        }
    }
}

/// A provider listens from its Link on, and the others may be ahead of it; the session's deadline ends the waiting.
async fn reach(address: SocketAddr) -> std::io::Result<TcpStream> {
    loop {
        match TcpStream::connect(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => tokio::time::sleep(PAUSE * 5).await,
            reached => return reached,
        }
    }
}

enum Event {
    Port(PortEvent),
    Local(usize, FromProvider),
}

/// Reads and writes one local stream.
fn open(
    place: usize,
    stream: TcpStream,
    sender: &mpsc::Sender<(usize, FromProvider)>,
    tasks: &mut JoinSet<()>,
) -> Lane {
    let _small_messages = stream.set_nodelay(true);
    let (reading, mut writing) = stream.into_split();
    // What waits in it is counted: see `unread`.
    let (writer, mut waiting) = mpsc::unbounded_channel::<Bytes>();
    let unread = Arc::new(AtomicUsize::new(0));
    let written = Arc::clone(&unread);
    tasks.spawn(async move {
        while let Some(bytes) = waiting.recv().await {
            if writing.write_all(&bytes).await.is_err() {
                return;
            }
            written.fetch_sub(room(&bytes), Ordering::Relaxed);
        }
        let _closed = writing.shutdown().await;
    });
    tasks.spawn(read(place, reading, sender.clone()));
    Lane { writer: Some(writer), unread, opened: true, asked: false }
}

async fn read(place: usize, mut reading: OwnedReadHalf, sender: mpsc::Sender<(usize, FromProvider)>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let said = match reading.read(&mut buffer).await {
            Ok(0) | Err(_) => FromProvider::Closed,
            Ok(length) => FromProvider::Data(Bytes::copy_from_slice(&buffer[..length])),
        };
        let last = matches!(said, FromProvider::Closed);
        if sender.send((place, said)).await.is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tacit_link::memory::mesh;

    use super::*;

    /// What one member sends fills no more than so much memory, whoever is slow.
    #[tokio::test]
    async fn f15_a_provider_that_does_not_read_ends_its_session() {
        let ports: [SessionPort; 2] = mesh(2).try_into().unwrap_or_else(|_| panic!("two ports"));
        let [mut left, mut right] = ports;
        let here = Relay::bind(1, VecDeque::new()).await.expect("a relay");
        let provider = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener");
        let (_told, known) = watch::channel(Some(provider.local_addr().expect("an address")));
        let (never, lost) = (CancellationToken::new(), OnceLock::new());
        let _opened = right.send(0, vec![OPEN]);
        let piece = [&[DATA][..], &vec![7; 8 << 20]].concat();
        let flood = async {
            loop {
                let _sent = right.send(0, piece.clone());
                tokio::time::sleep(PAUSE).await;
            }
        };
        let unread = provider.accept();
        let (ended, _kept) = tokio::select! {
            both = async { tokio::join!(here.run(&mut left, &lost, known, &never), unread) } => both,
            () = flood => panic!("it ends"),
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it waits for ever"),
        };
        assert!(matches!(&ended, Err(RelayError::Local(why)) if why.contains("does not read")), "{ended:?}");
    }

    /// It is no fault of either that they did not wait for each other.
    #[tokio::test]
    async fn f15_providers_may_dial_each_other_at_once() {
        let ports: [SessionPort; 2] = mesh(2).try_into().unwrap_or_else(|_| panic!("two ports"));
        let [mut left, mut right] = ports;
        let here = Relay::bind(1, VecDeque::new()).await.expect("a relay");
        let mut stream = TcpStream::connect(here.endpoint(0).expect("an address")).await.expect("the relay");
        let (_tell, unknown) = watch::channel(None);
        let (never, lost) = (CancellationToken::new(), OnceLock::new());
        let crossing = async {
            assert!(matches!(right.recv().await, PortEvent::Message { body, .. } if *body == [OPEN]));
            for message in [&[OPEN][..], &[DATA, 7], &[CLOSE]] {
                right.send(0, message.to_vec()).expect("on its way");
            }
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.expect("words");
            right.send(0, vec![OPEN]).expect("on its way");
            heard
        };
        let (ended, heard) = tokio::join!(here.run(&mut left, &lost, unknown, &never), crossing);
        assert_eq!(heard, [7]);
        assert_eq!(ended, Err(RelayError::Malformed(0)), "once is enough");
    }

    /// Whoever has its result ends its session at once; what its provider said until then reaches the others all the same.
    #[tokio::test]
    async fn f15_last_words_are_carried_after_the_end() {
        let ports: [SessionPort; 2] = mesh(2).try_into().unwrap_or_else(|_| panic!("two ports"));
        let [mut left, mut right] = ports;
        let [here, there] = [Relay::bind(1, VecDeque::new()).await, Relay::bind(1, VecDeque::new()).await];
        let [here, there] = [here.expect("a relay"), there.expect("a relay")];
        let provider = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener");
        let at = provider.local_addr().expect("an address");
        let dial = here.endpoint(0).expect("an address");
        let (_tell, unknown) = watch::channel(None);
        let (_told, known) = watch::channel(Some(at));
        let (over, never, lost) =
            (CancellationToken::new(), CancellationToken::new(), [OnceLock::new(), OnceLock::new()]);

        let words = vec![7; 4 * CHUNK];
        let mut stream = TcpStream::connect(&dial).await.expect("the relay");
        let said = async {
            over.cancelled().await;
            stream.write_all(&words).await.expect("room on the way");
            stream.shutdown().await.expect("an end");
        };
        let carried = async {
            here.run(&mut left, &lost[0], unknown, &over).await.expect("all is carried");
            drop(left);
        };
        let heard = async {
            let (mut stream, _) = provider.accept().await.expect("a connection");
            over.cancel();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.expect("words");
            heard
        };
        let ((), (), heard) = tokio::select! {
            all = async { tokio::join!(said, carried, heard) } => all,
            ended = there.run(&mut right, &lost[1], known, &never) => panic!("{ended:?}"),
        };
        assert_eq!(heard, words);
    }
}
