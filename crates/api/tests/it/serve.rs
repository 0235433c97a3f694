use std::time::Duration;

use tacit_api::{ServeError, ServeOptions, serve, tls_config};
use tacit_client::{Client, ClientError};
use tacit_model::Fingerprint;
use tacit_model::api::{NewToken, Role, SharingKind};
use tacit_model::problem::ProblemKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::world::{World, world, world_with};

pub(crate) struct Served {
    pub(crate) address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<Result<(), ServeError>>,
}

pub(crate) async fn served(w: &World, tls: bool, options: ServeOptions) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = tls.then(|| tls_config(&w.identity).unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(listener, w.router.clone(), tls, options, async { drop(stopped.await) }));
    Served { address, stop: Some(stop), task }
}

#[tokio::test]
async fn p26_over_https_only_the_pinned_key_is_believed() {
    let w = world().await;
    let served = served(&w, true, ServeOptions::default()).await;
    let url = format!("https://{}", served.address);
    let client = Client::new(&url, Some(&w.owner), Some(w.identity.fingerprint())).unwrap();
    let group = client.create_group("g", SharingKind::Shamir).await.unwrap();
    assert_eq!(client.groups().await.unwrap()[0], group);
    let issued =
        client.issue_token(&NewToken { role: Role::Viewer, label: "screen".to_owned(), tasks: None }).await.unwrap();
    let viewer = Client::new(&url, Some(&issued.token), Some(w.identity.fingerprint())).unwrap();
    assert_eq!(viewer.delete_group(group.gid).await.unwrap_err().kind(), Some(ProblemKind::Forbidden));
    assert_eq!(client.node().await.unwrap().fingerprint, w.identity.fingerprint());

    for pin in [Some(Fingerprint([9; 32])), None] {
        let doubting = Client::new(&url, Some(&w.owner), pin);
        match doubting {
            Ok(doubting) => assert!(matches!(doubting.node().await, Err(ClientError::Untrusted(_)))),
            Err(error) => assert!(matches!(error, ClientError::Setup(_))),
        }
    }
}

#[tokio::test]
async fn plain_http_beyond_this_machine_is_refused() {
    let w = world().await;
    let bind = async || TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(bind().await, w.router.clone(), None, ServeOptions::default(), async {}).await;
    assert!(matches!(refused, Err(ServeError::PlainHttp(_))));
    assert!(refused.unwrap_err().to_string().contains("127.0.0.1"));
    let allowed = ServeOptions { plain_http_anywhere: true, ..ServeOptions::default() };
    serve(bind().await, w.router.clone(), None, allowed, async {}).await.unwrap();
    let tls = Some(tls_config(&w.identity).unwrap());
    serve(bind().await, w.router.clone(), tls, ServeOptions::default(), async {}).await.unwrap();
}

/// How many bytes of an endless body are taken before the answer, and the answer.
async fn endless(address: std::net::SocketAddr, head: &str, chunk: &[u8]) -> (usize, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut sent = 0;
    let mut answer = Vec::new();
    let sending = async {
        while !chunk.is_empty() && write.write_all(chunk).await.is_ok() {
            sent += chunk.len();
        }
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut buffer = [0; 4096];
        // To the end: the connection is not kept for a body that nobody reads.
        loop {
            match read.read(&mut buffer).await {
                Ok(count) if count > 0 => answer.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! { () = sending => {}, () = reading => {} }
    })
    .await
    .expect("an answer in time");
    (sent, String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_not_read() {
    let w = world().await;
    let served = served(&w, false, ServeOptions::default()).await;
    let owner = format!("authorization: Bearer {}\r\n", w.owner);
    let head = |path: &str, rest: &str| format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{rest}\r\n");
    let json = "content-type: application/json\r\n";
    let face = "/p2ds-group-management/group-mgmt/group?adminKey=k3y";
    for path in ["/api/v1/groups", face] {
        // Declared: not one byte is waited for.
        let rest = format!("{owner}{json}content-length: 10000000000\r\n");
        let (sent, answer) = endless(served.address, &head(path, &rest), b"").await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && sent == 0, "{path}: {sent} {answer}");
        // Not declared: cut off at the limit, but for what the sockets hold.
        let rest = format!("{owner}{json}transfer-encoding: chunked\r\n");
        let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
        let (sent, answer) = endless(served.address, &head(path, &rest), &chunk).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        assert!(((8 << 20)..(64 << 20)).contains(&sent), "{path}: {sent} bytes were taken");
    }
    // Who may not speak is not listened to at all.
    let rest = format!("{json}transfer-encoding: chunked\r\n");
    let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
    let (sent, answer) = endless(served.address, &head("/api/v1/groups", &rest), &chunk).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(sent < 16 << 20, "{sent} bytes were taken");
}

/// Bodies that come drop by drop end as the caller's fault, and do not hold the node.
#[tokio::test]
async fn bodies_that_drip_are_given_up() {
    let w = world_with(None, |edge| edge.options.request_timeout = Duration::from_millis(600)).await;
    let served = served(&w, false, ServeOptions::default()).await;
    let head = format!(
        "POST /api/v1/groups HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: \
         application/json\r\ncontent-length: 1000\r\n\r\n",
        w.owner
    );
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut answer = [0; 12];
    let dripping = async {
        loop {
            let _closed = write.write_all(b" ").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = dripping => {}
        read = tokio::time::timeout(Duration::from_secs(10), read.read_exact(&mut answer)) => {
            read.expect("an answer in time").expect("an answer");
        }
    }
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let w = world().await;
    let options = ServeOptions {
        header_timeout: Duration::from_millis(200),
        handshake_timeout: Duration::from_millis(200),
        connections: 1,
        ..ServeOptions::default()
    };
    for tls in [false, true] {
        let served = served(&w, tls, options.clone()).await;
        let mut silent = TcpStream::connect(served.address).await.unwrap();
        if !tls {
            silent.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        }
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "tls {tls}");
    }
    // With one connection allowed, the next client is served once the silent one is gone.
    let served = served(&w, false, options).await;
    let _silent = TcpStream::connect(served.address).await.unwrap();
    let client = Client::new(&format!("http://{}", served.address), Some(&w.owner), None).unwrap();
    client.node().await.unwrap();
}

/// Whether the connection is ended from the other side in a time that is much shorter than a handshake may take.
async fn is_closed(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await.is_ok()
}

/// One address does not take all connections: what is beyond its share is closed at once, and it is served again when it has
/// let go of some. Over plain http nobody is counted: that is a proxy.
#[tokio::test]
async fn one_address_has_its_share_of_the_connections() {
    let w = world().await;
    let options = ServeOptions {
        connections_each: 2,
        count_this_machine: true,
        handshake_timeout: Duration::from_secs(600),
        header_timeout: Duration::from_secs(600),
        ..ServeOptions::default()
    };
    let tls = served(&w, true, options.clone()).await;
    let first = TcpStream::connect(tls.address).await.unwrap();
    let _second = TcpStream::connect(tls.address).await.unwrap();
    let mut third = TcpStream::connect(tls.address).await.unwrap();
    assert!(is_closed(&mut third).await, "a third connection was kept");
    drop(first);
    let client = Client::new(&format!("https://{}", tls.address), Some(&w.owner), Some(w.identity.fingerprint()));
    let client = client.unwrap();
    let served_again = async { while client.node().await.is_err() {} };
    assert!(tokio::time::timeout(Duration::from_secs(20), served_again).await.is_ok(), "its place is not free again");

    let plain = served(&w, false, options).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(TcpStream::connect(plain.address).await.unwrap());
    }
    let client = Client::new(&format!("http://{}", plain.address), Some(&w.owner), None).unwrap();
    client.node().await.unwrap();
}

/// Whoever asks and asks and reads no answer does not keep its connection.
#[tokio::test]
async fn a_client_that_reads_no_answer_is_let_go() {
    let w = world().await;
    let options = ServeOptions { write_timeout: Duration::from_millis(200), ..ServeOptions::default() };
    let served = served(&w, false, options).await;
    let mut deaf = TcpStream::connect(served.address).await.unwrap();
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    let asking = async { while deaf.write_all(requests.as_bytes()).await.is_ok() {} };
    let ended = tokio::time::timeout(Duration::from_secs(20), asking).await;
    assert!(ended.is_ok(), "the connection was kept");
}

#[tokio::test]
async fn the_shutdown_is_prompt_and_lets_requests_finish() {
    let w = world().await;
    let mut served = served(&w, false, ServeOptions::default()).await;
    let client = Client::new(&format!("http://{}", served.address), Some(&w.owner), None).unwrap();
    client.node().await.unwrap();
    served.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), served.task).await.unwrap().unwrap().unwrap();
    assert!(client.node().await.is_err());
}

#[tokio::test]
async fn post_rows_carry_the_callers_address() {
    let w = world().await;
    let served = served(&w, false, ServeOptions::default()).await;
    let client = Client::new(&format!("http://{}", served.address), Some(&w.owner), None).unwrap();
    client.post_results(vec!["3;8".to_owned()], Some("k")).await.unwrap();
    assert_eq!(client.received(0, 10).await.unwrap()[0].from, "127.0.0.1");
}
