use crate::world::{MGMT, world, world_with};

/// Everything the admin key guards.
const GUARDED: [(&str, &str); 17] = [
    ("POST", "/testmode?on=true"),
    ("POST", "/group"),
    ("GET", "/group/1"),
    ("DELETE", "/group/1"),
    ("POST", "/registration/1"),
    ("DELETE", "/registration/CODE"),
    ("GET", "/peer/a"),
    ("DELETE", "/peer/a"),
    ("POST", "/verify/a?verified=true"),
    ("POST", "/configuration"),
    ("POST", "/start/1"),
    ("POST", "/stop/1"),
    ("GET", "/group/77"),
    ("DELETE", "/peer/nobody"),
    ("POST", "/registration/77"),
    ("POST", "/verify/nobody"),
    ("DELETE", "/registration/unknown"),
];

const PEER_GUARDED: [(&str, &str); 3] = [("POST", "/peer"), ("GET", "/peer/a"), ("DELETE", "/peer/a")];

#[tokio::test]
async fn p3_without_the_admin_key_nothing_happens() {
    let w = world().await;
    w.create_group("g").await;
    w.member(1, "a", 1).await;
    let code = w.code(1).await;
    let before = w.api("GET", "/groups").send().await.text;
    let log = w.api("GET", "/log").send().await.text;

    let body = r#"{"name":"evil","field":"1013","gid":"1","maxElement":"1","mpcProtocol":"additive","numberOfItems":"1","numberOfTimeSlots":"1"}"#;
    for (method, path) in GUARDED {
        for key in ["", "adminKey=", "adminKey=wrong", "adminKey=K3Y", "adminKey=default-admin-key", "adminkey=k3y"] {
            let path = path.replace("CODE", &code);
            let mark = if path.contains('?') { '&' } else { '?' };
            let reply = w.ask(method, format!("{MGMT}{path}{mark}{key}")).json(body).await;
            reply.says(403, "ERR_INV_ADMIN_KEY");
            // Also without a body: the key comes first.
            w.ask(method, format!("{MGMT}{path}{mark}{key}")).send().await.says(403, "ERR_INV_ADMIN_KEY");
        }
    }
    for (method, path) in PEER_GUARDED {
        let reply = w.ask(method, format!("/p2ds-peer{path}?adminKey=wrong")).json("{}").await;
        reply.says(403, "ERR_INV_ADMIN_KEY");
    }
    assert_eq!(w.api("GET", "/groups").send().await.text, before);
    assert_eq!(w.api("GET", "/log").send().await.text, log);
    assert_eq!(w.create_group("h").await.status, 200);
}

#[tokio::test]
async fn p3_without_a_configured_key_nobody_administers() {
    let w = world_with(None, |edge| edge.options.admin_key = None).await;
    for key in ["", "?adminKey=", "?adminKey=default-admin-key"] {
        w.post(format!("{MGMT}/group{key}")).json(r#"{"name":"g"}"#).await.says(403, "ERR_INV_ADMIN_KEY");
    }
    assert_eq!(w.get("/p2ds-group-management/?adminKey=").send().await.status, 403);
}
