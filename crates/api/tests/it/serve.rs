use std::time::Duration;

use tacit_api::{ServeError, ServeOptions, serve, tls_config};
use tacit_client::{Client, ClientError};
use tacit_model::Fingerprint;
use tacit_model::api::{Role, SharingKind};
use tacit_model::problem::ProblemKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::world::{World, world};

struct Served {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<Result<(), ServeError>>,
}

async fn served(w: &World, tls: bool, options: ServeOptions) -> Served {
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
    let issued = client.issue_token(Role::Viewer, "screen").await.unwrap();
    let viewer = Client::new(&url, Some(&issued.token), Some(w.identity.fingerprint())).unwrap();
    assert_eq!(viewer.delete_group(group.gid).await.unwrap_err().kind(), Some(ProblemKind::Forbidden));
    assert_eq!(client.node().await.unwrap().fingerprint, w.identity.fingerprint());

    for pin in [Some(Fingerprint([9; 32])), None] {
        let doubting = Client::new(&url, Some(&w.owner), pin);
        match doubting {
            Ok(doubting) => assert!(matches!(doubting.node().await, Err(ClientError::Unreachable { .. }))),
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
