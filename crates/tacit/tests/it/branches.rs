//! Results over branches: a root, three branches of three peers, each peer a process of its own.

use serde_json::{Value, json};
use tacit_model::{Clock, SystemClock};

use crate::harness::{Node, run};
use crate::secrecy::places;
use crate::wait::until;

const BRANCHES: usize = 3;
const PEERS: usize = 3;
/// What the peers measure, in hundredths: a branch's total is 8 digits that are nowhere else.
const VALUES: [[u64; PEERS]; BRANCHES] =
    [[12_345_678, 23_456_789, 34_567_891], [45_678_912, 56_789_123, 11_223_344], [22_334_455, 33_445_566, 44_556_677]];

/// A root whose members are the peers of three branches, each with a gateway of its own. The first peer of a branch
/// computes at the root, too.
struct Campus {
    root: Node,
    gid: i64,
    /// By branch; the first one's node is also the branch's gateway.
    nodes: Vec<Vec<Node>>,
    /// The groups of the branches.
    gids: Vec<i64>,
}

/// A peer's name in its branch, and at the root.
fn names(branch: usize, peer: usize) -> [String; 2] {
    [format!("b{branch}p{peer}"), format!("b{branch}p{peer}-above")]
}

fn found(gateway: &Node, name: &str) -> i64 {
    let group = gateway.api("POST", "/groups", Some(&json!({ "name": name }))).json();
    group["gid"].as_i64().expect("a number")
}

fn join(node: &Node, gateway: &Node, gid: i64, name: &str, role: &str, operator: &str) {
    let code = gateway.api("POST", &format!("/groups/{gid}/codes"), None).json();
    let joining = json!({
        "name": name, "role": role, "gateway_url": format!("{}/api/v1", gateway.url()),
        "registration_code": code["code"], "operator": operator,
    });
    let joined = node.api("POST", "/peers", Some(&joining)).json();
    let verdict = json!({ "verified": true, "fingerprint": joined["fingerprint"] });
    gateway.api("POST", &format!("/members/{name}/verify"), Some(&verdict)).ok();
}

impl Campus {
    fn found() -> Self {
        let root = Node::with("root", &["--roles", "manager"]);
        let gid = found(&root, "campus");
        let (mut nodes, mut gids) = (Vec::new(), Vec::new());
        for branch in 0..BRANCHES {
            let node = |peer: usize| {
                let roles = if peer == 0 { "manager,peer" } else { "peer" };
                Node::with(&names(branch, peer)[0], &["--roles", roles])
            };
            let peers: Vec<Node> = (0..PEERS).map(node).collect();
            let inside = found(&peers[0], &format!("house {branch}"));
            for (peer, node) in peers.iter().enumerate() {
                let [name, above] = names(branch, peer);
                join(node, &peers[0], inside, &name, "both", &format!("tenant {name}"));
                let role = if peer == 0 { "both" } else { "input" };
                join(node, &root, gid, &above, role, &format!("house {branch}"));
            }
            nodes.push(peers);
            gids.push(inside);
        }
        let campus = Self { root, gid, nodes, gids };
        let gateway = campus.root.fingerprint();
        for (branch, peer, node) in campus.peers() {
            let [name, above] = names(branch, peer);
            for (party, rule, value) in [(&name, "parents", &gateway), (&above, "branch", &name)] {
                let path = format!("/peers/{party}/policy");
                let mut policy = node.api("GET", &path, None).ok().json()["policy"].take();
                policy[rule] = json!([value]);
                policy["min_participants"] = json!(2);
                node.api("PUT", &path, Some(&policy)).ok();
            }
        }
        campus.measure(60_000, |_, _| true);
        campus
    }

    fn peers(&self) -> impl Iterator<Item = (usize, usize, &Node)> {
        let peers = self.nodes.iter().enumerate();
        peers.flat_map(|(branch, nodes)| nodes.iter().enumerate().map(move |(peer, node)| (branch, peer, node)))
    }

    /// `tacit policy set`.
    fn rule(&self, node: &Node, peer: &str, rules: &[&str]) {
        let token = node.data().join("keys").join("owner.token");
        let token = token.to_str().expect("a path");
        let output = run(&[&["policy", "set", peer], rules, &["--node", &node.url(), "--token-file", token]].concat());
        assert!(output.status.success(), "{output:?}");
    }

    /// A sample of each of these peers, of so many milliseconds ago.
    fn measure(&self, ago: i64, which: impl Fn(usize, usize) -> bool) {
        for (branch, peer, node) in self.peers().filter(|(branch, peer, _)| which(*branch, *peer)) {
            let value = VALUES[branch][peer];
            let values = json!({ "energy": format!("{}.{:02}", value / 100, value % 100) });
            let body = json!({ "samples": [{ "at": SystemClock.now().plus(-ago).to_rfc3339(), "values": values }] });
            node.api("POST", &format!("/peers/{}/samples", names(branch, peer)[0]), Some(&body)).ok();
        }
    }

    /// Waits until so many members are connected at the root and give shares, and so many in each branch have a series.
    fn until_there(&self, above: usize) {
        let offers = |node: &Node, gid: i64, fits: &dyn Fn(&Value) -> bool| {
            node.offers(gid).as_array().expect("a list").iter().filter(|offer| fits(offer)).count()
        };
        until("all offers", || {
            let at_root = offers(&self.root, self.gid, &|offer| offer["labels"] == json!(["branch"]));
            let inside = |branch: usize| {
                offers(&self.nodes[branch][0], self.gids[branch], &|offer| offer["sources"] == json!(["energy"]))
            };
            let inside: usize = (0..BRANCHES).map(inside).sum();
            if (at_root, inside) == (above, above) { Ok(()) } else { Err(format!("{at_root}, {inside}")) }
        });
    }

    fn question(&self, aggregator: &str, more: Value) -> Value {
        let mut task = json!({
            "group": self.gid, "purpose": "energy", "sources": ["energy"], "aggregator": aggregator, "branches": 3,
            "preselector": "last_1h", "decimals": 2, "least": "0", "most": "1000000", "tell_gateway": true,
        });
        for (name, value) in more.as_object().expect("fields") {
            task[name] = value.clone();
        }
        task
    }

    fn ask(&self, task: &Value) -> Value {
        self.root.api("POST", "/tasks", Some(&json!({ "task": task }))).ok().json()
    }

    /// The task that the owner of this peer is asked about.
    fn waiting(&self, branch: usize, peer: usize) -> Option<Value> {
        let path = format!("/peers/{}/approvals", names(branch, peer)[0]);
        let asked = self.nodes[branch][peer].api("GET", &path, None).ok().json();
        asked["approvals"].as_array()?.iter().find(|asked| asked["state"] == "waiting").cloned()
    }

    /// The owner of this peer is asked, and approves.
    fn approve(&self, branch: usize, peer: usize) {
        let asked =
            until("the owner to be asked", || self.waiting(branch, peer).ok_or_else(|| self.trouble(branch, 0)));
        let path = format!("/peers/{}/approvals/{}", names(branch, peer)[0], asked["task"].as_str().expect("an id"));
        self.nodes[branch][peer].api("PUT", &path, Some(&json!({ "approved": true }))).ok();
    }

    /// How a task ended.
    fn ended(&self, asked: &Value) -> Value {
        let path = format!("/tasks/{}", asked["id"].as_str().expect("an id"));
        until("the end of the task", || {
            let body = self.root.api("GET", &path, None).ok().json();
            if body["state"] == "open" { Err(body.to_string()) } else { Ok(body) }
        })
    }

    /// What went wrong last at the root's member of this peer.
    fn trouble(&self, branch: usize, peer: usize) -> String {
        let name = &names(branch, peer)[1];
        let peer = self.nodes[branch][peer].api("GET", &format!("/peers/{name}"), None).ok().json();
        peer["last_error"].as_str().unwrap_or_default().to_owned()
    }
}

/// The one statistic of this name, in hundredths.
#[track_caller]
fn hundredths(body: &Value, name: &str) -> f64 {
    let statistics = body["windows"][0]["result"]["statistics"].as_array().unwrap_or_else(|| panic!("{body}"));
    let found = statistics.iter().find(|statistic| statistic["name"] == name);
    found.and_then(|s| s["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {body}")) * 100.0
}

fn total(branch: usize) -> u64 {
    VALUES[branch].iter().sum()
}

#[test]
fn w2_three_branches_of_three_peers_add_up() {
    let campus = Campus::found();
    campus.until_there(9);
    // One owner in each branch is asked; all three are asked before anybody answers: no branch waits for another.
    for branch in 0..BRANCHES {
        campus.rule(&campus.nodes[branch][1], &names(branch, 1)[0], &["manual_approval=true"]);
    }
    let question = campus.question("mean", json!({ "approval_s": 40 }));
    let asked = campus.root.api("POST", "/tasks", Some(&json!({ "task": question, "wait": false }))).json();
    let waiting = until("an owner in each branch to be asked", || {
        let asked = (0..BRANCHES).map(|branch| campus.waiting(branch, 1));
        asked.collect::<Option<Vec<Value>>>().ok_or_else(|| campus.trouble(0, 0))
    });
    for (branch, asked) in waiting.iter().enumerate() {
        // Who decides sees the true question, not only the branch's part of it.
        assert_eq!(asked["request"]["parent"]["task"]["group"], json!(campus.gid));
        assert_eq!(asked["request"]["parent"]["task"]["tell_gateway"], true);
        campus.approve(branch, 1);
    }
    let done = campus.ended(&asked);
    assert_eq!(done["state"], "done", "{done}; {}", campus.trouble(0, 0));
    let sum: u64 = (0..BRANCHES).map(total).sum();
    #[allow(clippy::cast_precision_loss, reason = "nine digits")]
    let mean = sum as f64 / 9.0;
    assert!((hundredths(&done, "mean(energy)") - mean).abs() < 1e-4, "{done}");
    // All who gave data in all branches are counted, and how many in which is told to nobody.
    assert_eq!(done["windows"][0]["contributors"], 9);
    assert_eq!(done["windows"][0]["detail"], "");

    // Nobody has a branch's total: no party a result of its branch, no file and no log of any node the number.
    for (branch, peer, node) in campus.peers() {
        let [name, above] = names(branch, peer);
        let results = |party: &str| {
            let all = node.api("GET", &format!("/peers/{party}/results"), None).ok().json();
            all["results"].as_array().map_or(0, Vec::len)
        };
        assert_eq!((results(&name), results(&above)), (0, 1), "{name}");
    }
    for node in campus.peers().map(|(_, _, node)| node).chain([&campus.root]) {
        for branch in 0..BRANCHES {
            assert_eq!(places(node, total(branch).to_string().as_bytes()), Vec::<String>::new());
            assert_eq!(places(node, &total(branch).to_le_bytes()), Vec::<String>::new());
        }
    }
    assert_ne!(places(&campus.root, sum.to_string().as_bytes()), Vec::<String>::new(), "the total of all is there");

    // The same records do not enter a result over other branches, and no other question of a branch alone either.
    let alone = json!({
        "group": campus.gids[0], "purpose": "energy", "sources": ["energy"], "aggregator": "sum", "preselector": "last_1h",
        "decimals": 2, "tell_gateway": true,
    });
    let alone = campus.nodes[0][0].api("POST", "/tasks", Some(&json!({ "task": alone }))).ok().json();
    assert_eq!(alone["state"], "failed", "{alone}");
}

#[test]
fn w2_a_branch_is_in_with_all_its_peers_or_not_at_all() {
    let mut campus = Campus::found();
    campus.until_there(9);
    // What is no sum is refused before anybody is asked, with the list of what composes.
    for (aggregator, more, why) in [
        ("median", json!({ "preselector": "now" }), "does not compose over branches"),
        ("mean", json!({ "model": "malicious" }), "semi-honest"),
        ("mean", json!({ "branches": 1 }), "at least 2"),
        ("mean", json!({ "branches": 4 }), "3 whole branches"),
        ("mean", json!({ "parameters": { "level": "branch" } }), "level"),
    ] {
        let task = json!({ "task": campus.question(aggregator, more) });
        let reply = campus.root.api("POST", "/tasks", Some(&task));
        assert!(reply.is_refusal() && reply.body.contains(why), "{reply:?}");
    }
    // Nobody but the compute peers of a branch asks for its part.
    let mut part = campus.question("mean", json!({ "branches": 0, "group": campus.gids[0] }));
    part["parent"] = json!({
        "task": campus.question("mean", json!({})), "ticket": { "key": "", "signature": "" }, "charter": "00", "window": 0,
    });
    let reply = campus.nodes[0][0].api("POST", "/tasks", Some(&json!({ "task": part })));
    assert!(reply.is_refusal() && reply.body.contains("parent"), "{reply:?}");

    // What is no party of its node gives no part, and its owner reads which ones are there.
    let [name, above] = names(0, 0);
    let path = format!("/peers/{above}/policy");
    let mut policy = campus.nodes[0][0].api("GET", &path, None).ok().json()["policy"].take();
    policy["branch"] = json!(["nobody"]);
    let reply = campus.nodes[0][0].api("PUT", &path, Some(&policy));
    assert!(reply.is_refusal() && reply.body.contains(&format!("this node has {name}")), "{reply:?}");

    // As its users ask: the result is sealed for the command.
    let (gid, token) = (campus.gid.to_string(), campus.root.data().join("keys").join("owner.token"));
    let asking = ["task", "run", "--group", &gid, "--branches", "3", "--source", "energy", "--preselector", "last_1h"];
    let more =
        ["--aggregator", "sum", "--purpose", "energy", "--decimals", "2", "--json", "--node", &campus.root.url()];
    let output = run(&[&asking[..], &more, &["--token-file", token.to_str().expect("a path")]].concat());
    assert!(output.status.success(), "{output:?}; {}", campus.trouble(0, 0));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let sum: u64 = (0..BRANCHES).map(total).sum();
    assert_eq!(told["results"][0]["values"], json!([sum.to_string()]), "{told}");
    assert_eq!(told["results"][0]["contributors"], 9, "{told}");
    // A later window, over two branches or more. One peer has no records in it, and computes nevertheless; the owner of
    // another is asked. Meanwhile the last branch has done its part, and loses what one of its peers kept of it.
    campus.rule(&campus.nodes[0][1], &names(0, 1)[0], &["manual_approval=true"]);
    let from = SystemClock.now();
    campus.measure(0, |branch, peer| (branch, peer) != (0, 2));
    let window = format!("{}/{}", from.to_rfc3339(), SystemClock.now().plus(1000).to_rfc3339());
    let later = json!({ "branches": 2, "preselector": window, "min_participants": 2, "approval_s": 40 });
    let task = json!({ "task": campus.question("sum", later), "wait": false });
    let asked = campus.root.api("POST", "/tasks", Some(&task)).json();
    until("the part of the last branch", || {
        let parts = campus.nodes[2][0].api("GET", "/tasks", None).ok().json();
        let latest = &parts["tasks"][0];
        let done = latest["task"]["preselector"] == json!(window) && latest["state"] == "done";
        if done { Ok(()) } else { Err(parts.to_string()) }
    });
    campus.nodes[2][2].kill();
    campus.approve(0, 1);
    let done = campus.ended(&asked);
    assert_eq!(done["state"], "done", "{done}; {}; {}", campus.trouble(0, 0), campus.trouble(1, 1));
    #[allow(clippy::cast_precision_loss, reason = "nine digits")]
    let wanted = (VALUES[0][0] + VALUES[0][1] + total(1)) as f64;
    assert!((hundredths(&done, "sum(energy)") - wanted).abs() < 1e-3, "{done}");
    assert_eq!(done["windows"][0]["contributors"], 5);
    assert_eq!(done["windows"][0]["detail"], "2 of 3 branches took part");

    // The records of the first result do not enter one over other branches: the difference would be the last one's total.
    campus.rule(&campus.nodes[0][1], &names(0, 1)[0], &["manual_approval=false"]);
    let same = campus.ask(&campus.question("sum", json!({ "branches": 2 })));
    assert_eq!(same["state"], "failed", "{same}");
    assert!(campus.trouble(0, 1).contains("other members"), "{}", campus.trouble(0, 1));

    // A peer that computes in a branch and whose owner does not name the gateway above: no part of that branch.
    campus.rule(&campus.nodes[1][2], &names(1, 2)[0], &["parents="]);
    let from = SystemClock.now();
    campus.measure(0, |branch, _| branch < 2);
    let window = format!("{}/{}", from.to_rfc3339(), SystemClock.now().plus(1000).to_rfc3339());
    let refused = campus.ask(&campus.question("sum", json!({ "branches": 2, "preselector": window })));
    assert_eq!(refused["state"], "failed", "{refused}");
    let why = campus.nodes[1][2].api("GET", &format!("/peers/{}", names(1, 2)[0]), None).ok().json();
    assert!(why["last_error"].as_str().is_some_and(|why| why.contains("set parents")), "{why}");
}
