//! A PostgreSQL for the suite: `TACIT_TEST_POSTGRES` names one, else the suite starts its own from the installed
//! binaries. It never skips: without either, the tests fail and say what to install.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// A schema of its own inside the server, dropped with this value.
pub(crate) struct Schema {
    pub(crate) address: String,
    name: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Schema {
    pub(crate) async fn create() -> Self {
        let server = tokio::task::spawn_blocking(server).await.unwrap();
        let name = format!("tacit_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(server).await.unwrap();
        admin.execute(AssertSqlSafe(format!("CREATE SCHEMA {name}"))).await.unwrap();
        admin.close().await.unwrap();
        let mark = if server.contains('?') { '&' } else { '?' };
        Self { address: format!("{server}{mark}options[search_path]={name}"), name }
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let name = self.name.clone();
        // A thread of its own: the test's runtime cannot be blocked on.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut admin = PgConnection::connect(server()).await.unwrap();
                admin.execute("SET client_min_messages = warning; SET lock_timeout = '5s'").await.unwrap();
                let _ = admin.execute(AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE"))).await;
            });
        });
        let _ = dropped.join();
    }
}

/// A way to the server that can be cut without a word to the server.
pub(crate) struct Network {
    pub(crate) address: String,
    dark: watch::Sender<()>,
}

impl Network {
    pub(crate) async fn before(schema: &Schema) -> Self {
        let server: PgConnectOptions = schema.address.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut address = server.to_url_lossy();
        address.set_host(Some("127.0.0.1")).unwrap();
        address.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        address.query_pairs_mut().append_pair("options[search_path]", &schema.name);
        let (dark, cut) = watch::channel(());
        // Ends with the test.
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, mut cut) = (server.clone(), cut.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let port = server.get_port();
                    match server.get_socket() {
                        Some(folder) => {
                            let server = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.unwrap();
                            carry(client, server, cut).await;
                        }
                        None => carry(client, TcpStream::connect((server.get_host(), port)).await.unwrap(), cut).await,
                    }
                });
            }
        });
        Self { address: address.to_string(), dark }
    }

    /// Whoever is connected is so no more, and the server thinks otherwise. Who connects anew gets through.
    pub(crate) fn go_dark(&self) {
        self.dark.send_replace(());
    }
}

async fn carry(mut client: TcpStream, mut server: impl AsyncRead + AsyncWrite + Unpin, mut cut: watch::Receiver<()>) {
    tokio::select! {
        _ended = copy_bidirectional(&mut client, &mut server) => return,
        _cut = cut.changed() => {}
    }
    drop(client);
    // Open until the server ends it.
    let _ended = server.read_to_end(&mut Vec::new()).await;
}

/// The address of the server, started when first asked for.
fn server() -> &'static str {
    static SERVER: OnceLock<Server> = OnceLock::new();
    &SERVER.get_or_init(Server::find).address
}

struct Server {
    address: String,
    /// Ends the server by the end of its standard input, when this process ends in whatever way.
    _watchdog: Option<Child>,
}

impl Server {
    fn find() -> Self {
        match std::env::var("TACIT_TEST_POSTGRES") {
            Ok(address) if !address.is_empty() => Self { address, _watchdog: None },
            _ => Self::start(),
        }
    }

    fn start() -> Self {
        let bin = binaries().expect(
            "the store suite needs PostgreSQL: install it (apt-get install postgresql) or set \
             TACIT_TEST_POSTGRES=postgres://USER@HOST/NAME",
        );
        // The server refuses to run as root; then the account that comes with the package runs it.
        let root = String::from_utf8_lossy(&Command::new("id").arg("-u").output().unwrap().stdout).trim() == "0";
        let mut command = if root { Command::new("runuser") } else { Command::new("sh") };
        if root {
            command.args(["-u", "postgres", "--", "sh"]);
        }
        let mut watchdog = command
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(bin)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start PostgreSQL");
        let mut line = String::new();
        BufReader::new(watchdog.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let folder = line.trim();
        assert!(!folder.is_empty(), "PostgreSQL did not start; see its messages above");
        Self { address: format!("postgres://postgres@localhost/postgres?host={folder}"), _watchdog: Some(watchdog) }
    }
}

/// Makes a database in a folder of its own, serves it on a socket in there, prints the folder when ready, and
/// removes everything when its standard input ends.
const WATCHDOG: &str = r#"
folder=$(mktemp -d /tmp/tacit-pg.XXXXXX) || exit 1
trap 'rm -rf "$folder"' EXIT
"$1/initdb" -D "$folder/data" -U postgres -A trust --no-sync -E UTF8 --locale=C >"$folder/initdb.log" 2>&1 \
    || { cat "$folder/initdb.log" >&2; exit 1; }
"$1/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c max_connections=300 \
    -c max_pred_locks_per_transaction=256 >"$folder/server.log" 2>&1 </dev/null &
server=$!
tries=0
until "$1/psql" -h "$folder" -U postgres -qc 'SELECT 1' >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -gt 300 ] && { cat "$folder/server.log" >&2; kill -9 $server; exit 1; }
    kill -0 $server 2>/dev/null || { cat "$folder/server.log" >&2; exit 1; }
    sleep 0.1
done
echo "$folder"
cat >/dev/null
kill -INT $server
wait $server
"#;

/// The folder with `initdb` and `postgres`: Debian's newest, else one of PATH.
fn binaries() -> Option<PathBuf> {
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|bin| bin.parent()?.file_name()?.to_str()?.parse::<u32>().ok());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let complete = |bin: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| bin.join(name).is_file());
    debian.into_iter().rev().chain(std::env::split_paths(&path)).find(complete)
}
