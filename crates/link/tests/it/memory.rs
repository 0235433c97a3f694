//! The in-memory twin behaves as the links do.

use tacit_link::{CloseReason, LinkError, PortEvent, memory};

#[test]
fn the_twin_delivers_in_order_shares_secrets_and_tells_losses() {
    let mut ports = memory::mesh(4);
    for i in 0..4 {
        assert_eq!(ports[i].peers().len(), 3);
        for peer in 0..3 {
            let j = if peer < i { peer } else { peer + 1 };
            ports[i].send(peer, vec![u8::try_from(10 * i + j).unwrap()]).unwrap();
            let back = if i < j { i } else { i - 1 };
            assert_eq!(*ports[i].pair_secret(peer).unwrap(), *ports[j].pair_secret(back).unwrap());
        }
    }
    assert_ne!(*ports[0].pair_secret(0).unwrap(), *ports[0].pair_secret(1).unwrap());
    assert_eq!(ports[0].send(3, vec![]), Err(LinkError::NoSuchPeer(3)));
    for (j, port) in ports.iter_mut().enumerate() {
        for peer in 0..3 {
            let i = if peer < j { peer } else { peer + 1 };
            let body = vec![u8::try_from(10 * i + j).unwrap()].into();
            assert_eq!(port.try_recv(), Some(PortEvent::Message { from: peer, body }));
        }
        assert_eq!(port.try_recv(), None);
    }
    drop(ports.remove(1));
    assert_eq!(ports[0].try_recv(), Some(PortEvent::Lost { from: 0, reason: CloseReason::PeerLeft }));
    ports[0].send(0, vec![1]).unwrap();
    ports.remove(0).finish();
    assert_eq!(ports[0].try_recv(), Some(PortEvent::Lost { from: 1, reason: CloseReason::PeerLeft }));
    assert_eq!(ports[0].try_recv(), None);
}
