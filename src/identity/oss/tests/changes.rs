use super::*;
use crate::identity::query::pairs;

/// Another byte of the kind that may stand there.
fn other(byte: u8) -> u8 {
    if byte == b'0' { b'1' } else { b'0' }
}

/// `text` with each of its bytes changed in turn.
fn each_change(text: &str) -> impl Iterator<Item = String> {
    let bytes = text.as_bytes().to_vec();
    (0..bytes.len()).filter_map(move |at| {
        let mut changed = bytes.clone();
        changed[at] = other(changed[at]);
        String::from_utf8(changed).ok()
    })
}

fn refused(case: &Case, what: &str) {
    assert!(
        case.verify().is_err(),
        "{} {}: {what} changed to {} {:?}",
        case.id,
        case.scheme,
        case.target,
        case.headers
    );
}

/// Whether V1 leaves a piece of the query uncovered, as it is meant to.
fn is_uncovered(case: &Case, piece: &str) -> bool {
    case.scheme.starts_with("v1")
        && pairs(piece).all(|pair| {
            !v1_signs(&pair.name) && ![&b"OSSAccessKeyId"[..], b"Expires", b"Signature"].contains(&&*pair.name)
        })
}

fn is_signed_header(case: &Case, name: &str) -> bool {
    let dated = name == "date" && !case.headers.iter().any(|(name, _)| name == "x-oss-date");
    let always = ["content-md5", "content-type", "authorization"].contains(&name) || name.starts_with("x-oss-");
    let listed = || {
        let authorization =
            case.headers.iter().find(|(name, _)| name == "authorization").map(|(_, text)| text.as_str());
        let list = authorization.unwrap_or(&case.target);
        let list = list.split("dditional").nth(1).unwrap_or_default();
        list.split([',', '&']).next().unwrap_or_default().contains(name)
    };
    always || (dated && case.scheme.ends_with("header")) || (!case.scheme.starts_with("v1") && listed())
}

/// A1: method, path, query, signed headers, signature, key id and secret, byte by byte, in each style.
#[test]
fn no_byte_of_what_is_signed_can_be_another() {
    let mut count = 0;
    let mut listed = 0;
    for case in fixture().vectors.iter().flat_map(Vector::cases) {
        assert!(case.verify().is_ok(), "{}", case.id);
        let mut try_each = |text: &str, what: &str, put: &dyn Fn(&mut Case, String)| {
            for changed in each_change(text) {
                let mut wrong = case.clone();
                put(&mut wrong, changed);
                refused(&wrong, what);
                count += 1;
            }
        };
        let (path, query) = case.target.split_once('?').unwrap_or((&case.target, ""));
        let rest = case.target.strip_prefix(path).unwrap();
        try_each(&case.method, "method", &|case, method| case.method = method);
        try_each(path, "path", &|case, path| case.target = format!("{path}{rest}"));
        for (index, pair) in query.split('&').enumerate().filter(|(_, pair)| !pair.is_empty()) {
            if is_uncovered(&case, pair) {
                continue;
            }
            try_each(pair, "query", &|case, changed| {
                let mut all: Vec<&str> = query.split('&').collect();
                all[index] = &changed;
                case.target = format!("{path}?{}", all.join("&"));
            });
            let without: Vec<&str> =
                query.split('&').enumerate().filter(|(at, _)| *at != index).map(|(_, pair)| pair).collect();
            refused(&Case { target: format!("{path}?{}", without.join("&")), ..case.clone() }, "a parameter gone");
        }
        for (name, value) in case.headers.iter().filter(|(name, _)| is_signed_header(&case, name)) {
            listed += usize::from(["range", "host", "if-modified-since"].contains(&name.as_str()));
            try_each(value, name, &|case, changed| case.set(name, &changed));
            // Without `Authorization` a request is anonymous, which is no caller either.
            let mut without = case.clone();
            without.headers.retain(|(there, _)| there != name);
            let found = without.verify().map(|identified| identified.caller);
            assert!(!matches!(found, Ok(Caller::User(_))), "{} without {name}", case.id);
        }
        try_each(&case.secret, "secret", &|case, secret| case.secret = secret);
        let mut more = case.clone();
        more.set("x-oss-object-acl", "public-read");
        refused(&more, "a header more");
        let separator = if query.is_empty() { "?" } else { "&" };
        refused(&Case { target: format!("{}{separator}cors", case.target), ..case.clone() }, "an operation more");
    }
    assert!(count > 10_000, "{count}");
    assert!(listed >= 5, "additional headers are signed");
}

/// What V1 leaves open, and no more: list parameters.
#[test]
fn v1_leaves_list_parameters_open_and_v4_does_not() {
    for (id, open) in [("v1h-02-list-objects", true), ("v4h-02-list-objects", false)] {
        let vector = fixture().vectors.into_iter().find(|vector| vector.id == id).unwrap();
        for case in vector.cases() {
            let other = Case { target: case.target.replace("prefix=fun%2F", "prefix=fun"), ..case.clone() };
            assert_ne!(other.target, case.target);
            assert_eq!(other.verify().is_ok(), open, "{id}");
        }
    }
}
