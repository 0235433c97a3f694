//! Peers that hold a key but do not keep to the format.

use tacit_pki::sni_name;
use tokio::io::AsyncWriteExt;

use crate::nodes::{Node, frame, hello, identity, is_closed, local, raw, until};

#[tokio::test]
async fn whatever_a_peer_sends_only_its_own_link_ends() {
    let mut config = local();
    config.max_frame = 1 << 16;
    let node = Node::with(config).await;
    let _control = node.host.control_links();
    let honest = Node::new().await;
    honest.link_to(&node).await.unwrap();
    let name = sni_name(node.id());
    let key = identity("rude");
    let mut deep = vec![0; 17];
    deep[16] = 0x82;
    let after_hello: Vec<Vec<u8>> = vec![
        vec![0, 0, 0, 0, 3],
        vec![0xff; 100],
        frame(3, &vec![0; 1 << 16]),
        frame(99, b"?"),
        frame(3, b"too short"),
        frame(3, &deep),
        frame(4, b"not an id"),
        frame(7, b"{}"),
        frame(2, &[1]),
        hello(),
        (0..5000_u32).map(|i| u8::try_from(i * i % 251).unwrap()).collect(),
    ];
    for (i, bytes) in after_hello.iter().enumerate() {
        let mut tls = raw(node.hub.local_addr(), &name, b"tacit-mpc/1", Some(&key)).await.unwrap();
        tls.write_all(&hello()).await.unwrap();
        let _ = tls.write_all(bytes).await;
        assert!(is_closed(&mut tls).await, "case {i}");
    }
    let mut tls = raw(node.hub.local_addr(), &name, b"tacit-ctl/1", Some(&key)).await.unwrap();
    tls.write_all(&[hello(), frame(3, &[0; 17])].concat()).await.unwrap();
    assert!(is_closed(&mut tls).await, "session data on a control link");

    let instead_of_hello: [&[u8]; 5] =
        [&[0; 9], &[0xff; 9], &frame(3, &[0; 17]), &frame(1, b"short"), &frame(1, &[0; 2000])];
    for (i, bytes) in instead_of_hello.iter().enumerate() {
        let mut tls = raw(node.hub.local_addr(), &name, b"tacit-mpc/1", Some(&key)).await.unwrap();
        let _ = tls.write_all(bytes).await;
        assert!(is_closed(&mut tls).await, "hello case {i}");
    }

    // A frame that never ends: the connection does.
    let mut tls = raw(node.hub.local_addr(), &name, b"tacit-mpc/1", Some(&key)).await.unwrap();
    tls.write_all(&[hello(), frame(3, &[0; 100])[..50].to_vec()].concat()).await.unwrap();
    until(|| node.host.is_linked(&key.fingerprint())).await;
    drop(tls);
    until(|| !node.host.is_linked(&key.fingerprint())).await;
    assert!(honest.host.is_linked(&node.id()) && node.host.is_linked(&honest.id()));
}
