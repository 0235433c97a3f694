use crate::world::{KEY, Reply, World, world};

const PAGE: &str = "/p2ds-group-management";
const EVIL: &str = "<script>alert(1)</script>";

struct Visitor {
    cookie: String,
    token: String,
}

async fn enter(w: &World) -> (Visitor, Reply) {
    let reply = w.get(format!("{PAGE}/?adminKey={KEY}")).send().await;
    assert_eq!(reply.status, 200);
    let set = reply.headers["set-cookie"].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    let token = reply.text.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (Visitor { cookie, token }, reply)
}

impl Visitor {
    async fn send(&self, w: &World, form: &str, fields: &str) -> Reply {
        self.send_with(w, form, &format!("{fields}&token={}", self.token)).await
    }

    async fn send_with(&self, w: &World, form: &str, body: &str) -> Reply {
        w.post(format!("{PAGE}/{form}")).header("cookie", &self.cookie).form(body).await
    }

    async fn overview(&self, w: &World) -> String {
        w.get(format!("{PAGE}/")).header("cookie", &self.cookie).send().await.text
    }
}

const FORMS: [&str; 9] = [
    "createGroup",
    "startPeers",
    "stopPeers",
    "deleteGroup",
    "createRegistration",
    "setConfiguration",
    "verifyPeer",
    "deletePeer",
    "deleteRegistration",
];

#[tokio::test]
async fn p23_nine_forms_do_what_they_say() {
    let w = world().await;
    let (visitor, first) = enter(&w).await;
    assert!(first.text.contains("<title>Status</title>") && first.text.contains("Group Management"));
    let says = async |form: &str, fields: &str, sentence: &str| {
        let reply = visitor.send(&w, form, fields).await;
        assert_eq!(reply.status, 200, "{form}: {}", reply.text);
        assert!(reply.text.contains(sentence) && reply.text.contains("Go to overview!"), "{form}: {}", reply.text);
        reply.text
    };
    says("createGroup", "name=SimpleGroup", "Group has been created!").await;
    assert!(visitor.overview(&w).await.contains("Group status: Unknown. No peer has ever been started."));
    let page = says("createRegistration", "gid=1", "Success! Registration code: ").await;
    let code = page.split("Registration code: ").nth(1).unwrap()[..16].to_owned();
    assert!(visitor.overview(&w).await.contains(&code));
    says("deleteRegistration", &format!("registrationCode={code}"), "Registration code has been deleted!").await;
    let configuration =
        "gid=1&field=1013&maxelement=1000&mpcprotocol=additive&numberofitems=2&numberoftimeslots=2&resultbuffersize=3";
    says("setConfiguration", configuration, "Configuration has been set!").await;
    assert!(visitor.overview(&w).await.contains("name=\"resultbuffersize\" value=\"3\""));
    w.member(1, "a", 1).await;
    says("verifyPeer", "pid=1&verified=true", "Peer has been marked as verified").await;
    assert!(w.gateway.member("a").await.unwrap().verified);
    says("verifyPeer", "pid=1&verified=false", "Peer has been marked as unverified").await;
    assert!(!w.gateway.member("a").await.unwrap().verified);
    says("stopPeers", "gid=1", "Peers have been stopped!").await;
    says("deletePeer", "pid=1", "Peer has been deleted!").await;
    let refused = visitor.send(&w, "startPeers", "gid=1").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("An error has occured: "), "{}", refused.text);
    says("deleteGroup", "gid=1", "Group has been deleted!").await;
    assert!(w.gateway.groups().await.unwrap().is_empty());
}

#[tokio::test]
async fn p23_forms_of_other_pages_are_refused() {
    let w = world().await;
    w.create_group("g").await;
    let (mine, _) = enter(&w).await;
    let (other, _) = enter(&w).await;
    let before = w.api("GET", "/groups").send().await.text;
    for form in FORMS {
        for token in ["", "token=", "token=x", &format!("token={}", other.token)] {
            let reply = mine.send_with(&w, form, &format!("gid=1&name=n&pid=1&{token}")).await;
            assert_eq!(reply.status, 403, "{form} {token}");
            assert!(reply.text.contains("Invalid CSRF token!"));
        }
        // The right token without the session.
        let reply = w.post(format!("{PAGE}/{form}")).form(&format!("gid=1&name=n&token={}", mine.token)).await;
        assert_eq!(reply.status, 403);
    }
    assert_eq!(w.api("GET", "/groups").send().await.text, before);
    // An overview in another tab does not spoil the first one's forms.
    mine.overview(&w).await;
    assert_eq!(mine.send(&w, "createGroup", "name=later").await.status, 200);
    assert_eq!(mine.send(&w, "logout", "").await.status, 200);
    assert_eq!(mine.send(&w, "createGroup", "name=too-late").await.status, 403);
}

#[tokio::test]
async fn p3_the_page_asks_for_the_key() {
    let w = world().await;
    w.create_group("secret-group").await;
    for path in ["/", "/?adminKey=", "/?adminKey=wrong"] {
        let reply = w.get(format!("{PAGE}{path}")).send().await;
        assert_eq!(reply.status, 403);
        assert!(!reply.text.contains("secret-group") && reply.headers.get("set-cookie").is_none());
    }
    assert_eq!(w.post(format!("{PAGE}/login")).form("adminKey=wrong").await.status, 403);
    assert!(w.post(format!("{PAGE}/login")).form(&format!("adminKey={KEY}")).await.text.contains("secret-group"));
    let moved = w.get(format!("{PAGE}?adminKey={KEY}")).send().await;
    assert_eq!(moved.headers["location"], format!("{PAGE}/?adminKey={KEY}"));
}

#[tokio::test]
async fn p23_markup_in_names_is_text() {
    let w = world().await;
    let (visitor, _) = enter(&w).await;
    let encoded = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    assert_eq!(visitor.send(&w, "createGroup", &format!("name={encoded}")).await.status, 200);
    let code = w.code(1).await;
    let path = format!("{}/register/{code}?name={encoded}&type=1&url=%22%3E{encoded}", crate::world::MGMT);
    assert_eq!(w.post(path).send().await.status, 200);
    let page = visitor.overview(&w).await;
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let refused = visitor.send(&w, "deleteRegistration", &format!("registrationCode={encoded}")).await;
    assert!(!refused.text.contains("<script"));
    assert_eq!(w.gateway.groups().await.unwrap()[0].name, EVIL);
}

#[tokio::test]
async fn pages_run_no_scripts_and_load_nothing_from_elsewhere() {
    let w = world().await;
    let (_, page) = enter(&w).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"));
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    for inline in ["<script", "style=\"", "onclick", "http://", "https://"] {
        assert!(!page.text.contains(inline), "{inline}");
    }
    let style = w.get("/assets/tacit.css").send().await;
    assert_eq!((style.status.as_u16(), style.media_type()), (200, "text/css; charset=utf-8"));
    assert!(style.text.contains("prefers-color-scheme: dark"));
}

#[tokio::test]
async fn a_fingerprint_that_changed_since_the_page_was_loaded_is_not_verified() {
    let w = world().await;
    w.create_group("g").await;
    w.member(1, "a", 1).await;
    let (visitor, _) = enter(&w).await;
    let other = "ab".repeat(32);
    let reply = visitor.send(&w, "verifyPeer", &format!("pid=1&verified=true&fingerprint={other}")).await;
    assert_eq!(reply.status, 400);
    assert!(!w.gateway.member("a").await.unwrap().verified);
}
