//! Field elements and vectors of shares: one byte string per element, and what is corrected is right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_algebra::{F61, F127, Field, reed_solomon};

fuzz_target!(|data: &[u8]| {
    let Some((&[degree, which], bytes)) = data.split_first_chunk() else { return };
    if which & 1 == 0 { check::<F61>(usize::from(degree), bytes) } else { check::<F127>(usize::from(degree), bytes) }
});

fn check<F: Field>(degree: usize, bytes: &[u8]) {
    let mut elements = Vec::new();
    let decoded = F::decode_slice(bytes, &mut elements);
    let mut into = vec![F::ZERO; bytes.len() / F::BYTES];
    assert_eq!(F::decode_into(bytes, &mut into).is_ok(), decoded.is_ok());
    if decoded.is_err() {
        assert!(elements.is_empty(), "what is refused leaves nothing behind");
        return;
    }
    assert!(elements == into);
    let mut again = Vec::new();
    F::encode_slice(&elements, &mut again);
    assert_eq!(again, bytes, "one byte string per element");

    // The first half are points, the second the values there.
    let (points, values) = elements.split_at(elements.len() / 2);
    if points.len() > 64 {
        return;
    }
    if let Ok(found) = reed_solomon::decode(points, &values[..points.len()], degree) {
        assert!(found.errors.len() <= reed_solomon::correctable(points.len(), degree));
        for (index, (point, value)) in points.iter().zip(values).enumerate() {
            let fits = tacit_algebra::poly::eval(&found.poly, *point) == *value;
            assert_eq!(fits, !found.errors.contains(&index));
        }
    }
    let _ = reed_solomon::check_degree(points, &values[..points.len()], degree);
}
