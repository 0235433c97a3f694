//! The HTTP edge of a gateway with the P2DS face: no request makes it fail.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use tacit_fuzz::web::Node;

thread_local! {
    static NODE: RefCell<Node> = RefCell::new(Node::new(true));
}

fuzz_target!(|data: &[u8]| NODE.with_borrow_mut(|node| node.ask(data)));
