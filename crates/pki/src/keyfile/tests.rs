use std::os::unix::fs::{chown, symlink};

use super::*;
use crate::identity::tests::{NOW, identity};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().expect("folder");
    let dir = temp.path().join("data").join("keys");
    (temp, dir)
}

fn fault<T: core::fmt::Debug>(result: Result<T, PkiError>) -> KeyFileFault {
    match result {
        Err(PkiError::KeyFile(fault)) => fault,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("own file");
}

#[test]
fn made_once_and_loaded_ever_after() {
    let (_temp, dir) = folder();
    let first = load_or_create(&dir, "node", "a", NOW).expect("new");
    let second = load_or_create(&dir, "node", "other label", NOW).expect("stored");
    assert_eq!(first.fingerprint(), second.fingerprint());
    assert_eq!(first.certificate_der(), second.certificate_der());
    assert_eq!(load(&dir, "node").expect("stored").sign(b"m"), first.sign(b"m"));
    assert_ne!(load_or_create(&dir, "mix", "a", NOW).expect("new").fingerprint(), first.fingerprint());
    assert!(matches!(fault(load(&dir, "nobody")), KeyFileFault::Missing(_)));
}

#[test]
fn modes_are_as_promised_and_nothing_is_left_behind() {
    let (_temp, dir) = folder();
    create(&dir, "node", &identity("a")).expect("new");
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&private_path(&dir, "node")), 0o400);
    assert_eq!(mode(&certificate_path(&dir, "node")), 0o444);
    let _ = create(&dir, "node", &identity("a"));
    assert_eq!(fs::read_dir(&dir).expect("folder").count(), 2);
}

#[test]
fn never_overwrites() {
    let (_temp, dir) = folder();
    let first = identity("a");
    create(&dir, "node", &first).expect("new");
    assert!(matches!(fault(create(&dir, "node", &identity("b"))), KeyFileFault::Exists(_)));
    assert_eq!(load(&dir, "node").expect("stored").fingerprint(), first.fingerprint());
}

#[test]
fn refuses_a_key_that_others_can_read() {
    let (_temp, dir) = folder();
    create(&dir, "node", &identity("a")).expect("new");
    let path = private_path(&dir, "node");
    for bad in [0o440, 0o404, 0o640, 0o777, 0o410] {
        set_mode(&path, bad);
        let refused = load(&dir, "node").expect_err("open to others").to_string();
        assert!(refused.ends_with(&format!("run: chmod 400 '{}'", path.display())), "{refused}");
        assert!(load_or_create(&dir, "node", "a", NOW).is_err());
    }
    set_mode(&path, 0o600);
    assert!(load(&dir, "node").is_ok());
    set_mode(&dir, 0o770);
    assert!(load(&dir, "node").expect_err("open folder").to_string().contains("chmod 700"));
    set_mode(&dir, 0o500);
    assert!(load(&dir, "node").is_ok());
    set_mode(&dir, 0o700);
    set_mode(&certificate_path(&dir, "node"), 0o666);
    assert!(matches!(fault(load(&dir, "node")), KeyFileFault::Open { wanted: 0o444, .. }));
}

#[test]
fn the_printed_command_survives_odd_paths() {
    let temp = tempfile::tempdir().expect("folder");
    let dir = temp.path().join("it's; here");
    create(&dir, "node", &identity("a")).expect("new");
    set_mode(&private_path(&dir, "node"), 0o644);
    let refused = load(&dir, "node").expect_err("open to others").to_string();
    let command = refused.split_once("run: ").expect("a command").1;
    assert!(std::process::Command::new("sh").args(["-c", command]).status().expect("sh").success());
    assert!(load(&dir, "node").is_ok());
}

#[test]
fn refuses_a_key_of_another_user() {
    if !nix::unistd::geteuid().is_root() {
        return; // Only root can give files away.
    }
    let (_temp, dir) = folder();
    create(&dir, "node", &identity("a")).expect("new");
    chown(private_path(&dir, "node"), Some(12_345), None).expect("root");
    assert!(matches!(fault(load(&dir, "node")), KeyFileFault::Owner { owner: 12_345, .. }));
}

#[test]
fn makes_a_lost_certificate_again() {
    let (_temp, dir) = folder();
    let first = load_or_create(&dir, "node", "a", NOW).expect("new");
    fs::remove_file(certificate_path(&dir, "node")).expect("there");
    assert!(matches!(fault(load(&dir, "node")), KeyFileFault::Missing(_)));
    let again = load_or_create(&dir, "node", "a", NOW).expect("key is there");
    assert_eq!(again.fingerprint(), first.fingerprint());
    assert!(load(&dir, "node").is_ok());
}

#[test]
fn a_certificate_without_its_key_is_not_replaced() {
    let (_temp, dir) = folder();
    create(&dir, "node", &identity("a")).expect("new");
    fs::remove_file(private_path(&dir, "node")).expect("there");
    let refused = fault(load_or_create(&dir, "node", "a", NOW));
    assert!(matches!(refused, KeyFileFault::Exists(path) if path == certificate_path(&dir, "node")));
    assert!(!private_path(&dir, "node").exists());
}

#[test]
fn refuses_what_is_not_a_key() {
    let (_temp, dir) = folder();
    create(&dir, "node", &identity("a")).expect("new");
    let (key, cert) = (private_path(&dir, "node"), certificate_path(&dir, "node"));
    set_mode(&cert, 0o644);
    fs::write(&cert, "nothing").expect("own file");
    assert!(matches!(fault(load(&dir, "node")), KeyFileFault::Content { .. }));
    create(&dir, "other", &identity("b")).expect("new");
    fs::copy(certificate_path(&dir, "other"), &cert).expect("own file");
    assert!(matches!(fault(load(&dir, "node")), KeyFileFault::Mismatch(_)));
    for content in
        [vec![], vec![b'x'; 70_000], b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec()]
    {
        set_mode(&key, 0o600);
        fs::write(&key, content).expect("own file");
        assert!(matches!(fault(load_or_create(&dir, "node", "a", NOW)), KeyFileFault::Content { .. }));
    }
    fs::remove_file(&key).expect("there");
    symlink("/dev/zero", &key).expect("link");
    assert!(matches!(fault(load(&dir, "node")), KeyFileFault::Content { .. } | KeyFileFault::Owner { .. }));
}

#[test]
fn refuses_names_that_lead_elsewhere() {
    let (_temp, dir) = folder();
    for name in ["", "..", "a/b", "../x", "A", "a.b", "a\0", &"x".repeat(65)] {
        assert!(matches!(fault(load_or_create(&dir, name, "a", NOW)), KeyFileFault::Name));
        assert!(matches!(fault(load(&dir, name)), KeyFileFault::Name));
        assert!(matches!(fault(create(&dir, name, &identity("a"))), KeyFileFault::Name));
    }
    assert!(!dir.exists());
}

#[test]
fn many_starting_at_once_agree() {
    let (_temp, dir) = folder();
    let found: Vec<_> = std::thread::scope(|scope| {
        let tasks: Vec<_> =
            (0..8).map(|_| scope.spawn(|| load_or_create(&dir, "node", "a", NOW).map(|id| id.fingerprint()))).collect();
        tasks.into_iter().map(|task| task.join().expect("no panic").expect("an identity")).collect()
    });
    assert!(found.iter().all(|fp| *fp == found[0]));
}

/// What OpenSSL writes is what we read.
#[test]
fn reads_pem_of_others() {
    let (_temp, dir) = folder();
    prepare_dir(&dir).expect("folder");
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    fs::write(private_path(&dir, "rfc"), pem).expect("own folder");
    set_mode(&private_path(&dir, "rfc"), 0o400);
    let id = load_or_create(&dir, "rfc", "a", NOW).expect("key of RFC 8032");
    assert_eq!(hex::encode(id.public_key().raw()), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(to_pem("PRIVATE KEY", id.expose_pkcs8()).as_slice(), pem.as_bytes());
}

proptest::proptest! {
    #[test]
    fn pem_goes_there_and_back(der: Vec<u8>, noise: Vec<u8>, text in "[A-Za-z0-9+/= -]{0,80}") {
        proptest::prop_assert_eq!(from_pem("X", &to_pem("X", &der)), Some(Zeroizing::new(der)));
        proptest::prop_assert_eq!(from_pem("X", &noise), None);
        let _ = from_pem("X", format!("-----BEGIN X-----{text}-----END X-----").as_bytes());
    }
}
