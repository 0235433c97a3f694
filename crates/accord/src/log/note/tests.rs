//! Outside vectors: the tests of golang.org/x/mod/sumdb/note and the example of C2SP signed-note.

use time::OffsetDateTime;

use super::*;

const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// Of `PRIVATE+KEY+PeterNeumann+c74f20a3+...`: type byte and seed.
const PETER_SECRET: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_LINE: &str = "\u{2014} PeterNeumann \
    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const ENOCH_LINE: &str = "\u{2014} EnochRoot \
    rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
const FOO: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const FOO_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn key(text: &str) -> NoteKey {
    text.parse().expect("a key")
}

#[test]
fn outside_keys_are_read_and_written_back() {
    for text in [PETER, ENOCH, FOO, "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"] {
        assert_eq!(key(text).to_string(), text);
    }
    assert_eq!(key(PETER).id(), [0xc7, 0x4f, 0x20, 0xa3]);
    for (wrong, why) in [
        (PETER.replace("c74f20a3", "c74f20a4"), "its id belongs to another key"),
        (PETER.replace("c74f20a3", "C74F20A3"), "its id belongs to another key"),
        (PETER.replace("+ARpc", "+AhRpc"), "its last part is not base64"),
        ("a+b".to_owned(), "it has not the form name+id+key"),
        (FOO.replace("Aeky", "Aiky"), "it is not of type 1, Ed25519"),
    ] {
        assert_eq!(wrong.parse::<NoteKey>(), Err(NoteError::Key(why)), "{wrong}");
    }
}

#[test]
fn outside_notes_verify() {
    assert_eq!(Note::read(FOO_NOTE).expect("a note").verified(&key(FOO)), Ok("This is an example message.\n"));
    let note = Note::read(&format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}")).expect("a note");
    assert_eq!(note.signatures(), 2);
    assert_eq!(note.verified(&key(PETER)), Ok(TEXT));
    assert_eq!(note.verified(&key(ENOCH)), Ok(TEXT));
    assert_eq!(note.verified(&key(FOO)), Err(NoteError::NotSigned("example.com/foo".to_owned())));
}

/// Ed25519 is deterministic, so the published note comes out again byte by byte.
#[test]
fn the_published_note_is_signed_again() {
    let secret = STANDARD.decode(PETER_SECRET).expect("base64");
    // PKCS#8 of RFC 8410 around the seed.
    let mut pkcs8 = hex::decode("302e020100300506032b657004220420").expect("hex");
    pkcs8.extend_from_slice(&secret[1..]);
    let peter = Identity::from_pkcs8(&pkcs8, "peter", OffsetDateTime::UNIX_EPOCH).expect("a key");
    assert_eq!(peter.public_key(), key(PETER).key());
    assert_eq!(sign(TEXT, "PeterNeumann", &peter), Ok(format!("{TEXT}\n{PETER_LINE}")));
}

#[test]
fn no_changed_byte_is_believed() {
    let key = key(FOO);
    for at in 0..FOO_NOTE.len() {
        for bit in 0..8 {
            let mut bytes = FOO_NOTE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(Note::read(&text).and_then(|note| note.verified(&key).map(str::to_owned)).is_err(), "{at} {bit}");
        }
    }
}

#[test]
fn odd_notes_are_refused() {
    let line = PETER_LINE;
    for (note, why) in [
        (String::new(), "no empty line stands before the signatures"),
        (format!("{TEXT}{line}"), "no empty line stands before the signatures"),
        (format!("{TEXT}\n{}", line.trim_end()), "its last line does not end"),
        (format!("{TEXT}\n"), "its last line does not end"),
        (
            format!("{TEXT}\n{}", line.replace('\u{2014}', "-")),
            "a signature line has not the form: dash, name, signature",
        ),
        (format!("{TEXT}\n\u{2014} a+b AAAAAAAA\n"), "a signature line is empty, or there are too many"),
        (format!("{TEXT}\n\u{2014} a AAAAAA==\n"), "a signature line is empty, or there are too many"),
        (format!("{TEXT}\n\u{2014} a AAA=\n"), "a signature has no key id"),
        (format!("{TEXT}\n\u{2014} a ?\n"), "a signature is not base64"),
        (format!("\t{TEXT}\n{line}"), "it holds a control character"),
        (format!("{TEXT}\n{}", line.repeat(MAX_SIGNATURES + 1)), "a signature line is empty, or there are too many"),
        ("a".repeat(MAX_NOTE + 1), "it is too long"),
    ] {
        assert_eq!(Note::read(&note), Err(NoteError::Malformed(why)), "{}", note.chars().take(200).collect::<String>());
    }
    let twice = Note::read(&format!("{TEXT}\n{line}{line}")).expect("a note");
    assert_eq!(twice.verified(&key(PETER)), Err(NoteError::Malformed("a key signed it twice")));
    // The last empty line counts, so a text may hold empty lines, and a signature may not be hidden in it.
    let inside = Note::read(&format!("{TEXT}\n{line}\n{ENOCH_LINE}")).expect("a note");
    assert_eq!(inside.verified(&key(PETER)), Err(NoteError::NotSigned("PeterNeumann".to_owned())));
}
