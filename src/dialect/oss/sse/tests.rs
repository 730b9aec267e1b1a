use super::*;
use crate::kms::KeyArn;
use md5::{Digest as _, Md5};

const P: &str = "x-oss-server-side-encryption";
const ID: &str = "9468da86-3509-4f8d-a61e-6eab1eac0001";

fn take(pairs: &[(&str, &str)]) -> SseHeaders {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = if *name == "data" { DATA.as_str().to_owned() } else { format!("{P}{name}") };
        headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    let taken = SseHeaders::take(&mut headers);
    assert!(headers.is_empty());
    taken
}

fn refused(pairs: &[(&str, &str)], accepts: Accepts) -> &'static str {
    let face = parse(&take(pairs), accepts, true).expect_err("must be refused");
    assert_eq!(face.status, 400);
    face.code
}

#[test]
fn the_three_methods_are_taken_in_exact_case() {
    let write = |pairs: &[(&str, &str)]| parse(&take(pairs), Accepts::Write, true).unwrap().write;
    assert!(write(&[]).is_none());
    assert!(matches!(write(&[("", "AES256")]), Some(SseRequest::S3 { cipher: DataCipher::Aes256 })));
    assert!(matches!(write(&[("", "SM4")]), Some(SseRequest::S3 { cipher: DataCipher::Sm4 })));
    let Some(SseRequest::Kms { key: Some(KeyRef(key)), context: None, bucket_key: false, cipher }) =
        write(&[("", "KMS"), ("-key-id", ID), ("data", "SM4")])
    else {
        panic!("no KMS");
    };
    assert_eq!((key.as_str(), cipher), (ID, DataCipher::Sm4));
    assert!(matches!(write(&[("", "KMS")]), Some(SseRequest::Kms { key: None, cipher: DataCipher::Aes256, .. })));
    for bad in ["", "aes256", "kms", "aws:kms", "AES128"] {
        assert_eq!(refused(&[("", bad)], Accepts::Write), "InvalidEncryptionAlgorithmError", "{bad:?}");
    }
}

#[test]
fn what_belongs_to_kms_is_refused_without_it() {
    for method in [None, Some("AES256"), Some("SM4")] {
        for header in [("-key-id", ID), ("data", "SM4"), ("-context", "{}")] {
            let pairs: Vec<_> = method.map(|method| ("", method)).into_iter().chain([header]).collect();
            assert_eq!(refused(&pairs, Accepts::Write), "InvalidArgument", "{pairs:?}");
        }
    }
    assert_eq!(refused(&[("", "KMS"), ("-key-id", "")], Accepts::Write), "InvalidArgument");
    assert_eq!(refused(&[("", "KMS"), ("data", "AES256")], Accepts::Write), "InvalidDataEncryptionAlgorithmError");
}

#[test]
fn a_context_is_plain_json_and_needs_a_key() {
    let ask =
        |text: &'static str| parse(&take(&[("", "KMS"), ("-key-id", ID), ("-context", text)]), Accepts::Write, true);
    let Some(SseRequest::Kms { context: Some(context), .. }) = ask(r#"{"a":"b"}"#).unwrap().write else {
        panic!("no context");
    };
    assert_eq!(context.0, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    for bad in ["", "[]", r#"{"a":1}"#, "eyJhIjoiYiJ9", r#"{"aws:s3:arn":"x"}"#] {
        assert_eq!(ask(bad).unwrap_err().code, "InvalidArgument", "{bad}");
    }
    assert_eq!(refused(&[("", "KMS"), ("-context", "{}")], Accepts::Write), "InvalidArgument");
}

#[test]
fn encryption_headers_are_refused_where_nothing_is_encrypted() {
    for accepts in [Accepts::Nothing, Accepts::Read, Accepts::Part, Accepts::PartCopy] {
        for header in [("", "AES256"), ("-key-id", ID), ("data", "SM4"), ("-context", "{}")] {
            let face = parse(&take(&[header]), accepts, true).unwrap_err();
            assert_eq!((face.status.as_u16(), face.code), (400, "InvalidArgument"), "{accepts:?} {header:?}");
            assert!(face.message.ends_with("header is not supported for this operation."));
        }
    }
    assert_eq!(refused(&[("-customer-algorithm", "AES256")], Accepts::Nothing), "InvalidArgument");
    assert_eq!(refused(&[("-bucket-key-enabled", "true")], Accepts::Write), "InvalidArgument");
}

#[test]
fn an_append_takes_no_chosen_key() {
    assert!(parse(&take(&[("", "KMS")]), Accepts::Append, true).unwrap().write.is_some());
    assert!(parse(&take(&[("", "SM4")]), Accepts::Append, true).unwrap().write.is_some());
    assert_eq!(refused(&[("", "KMS"), ("-key-id", ID)], Accepts::Append), "InvalidArgument");
}

#[test]
fn keys_do_not_travel_where_others_can_read() {
    let face = parse(&take(&[("", "KMS")]), Accepts::Write, false).unwrap_err();
    assert_eq!((face.status.as_u16(), face.code), (400, "InvalidRequest"));
    assert!(parse(&take(&[("", "AES256")]), Accepts::Write, false).is_ok());
    assert_eq!(check_transport(false).unwrap_err().code, "InvalidRequest");
}

#[test]
fn a_customer_key_is_taken_whole_or_not_at_all() {
    let (key, md5) = (BASE64.encode([7; 32]), BASE64.encode(Md5::digest([7; 32])));
    let (key, md5) = (key.as_str(), md5.as_str());
    let whole = [("-customer-algorithm", "AES256"), ("-customer-key", key), ("-customer-key-md5", md5)];
    assert!(matches!(parse(&take(&whole), Accepts::Write, true).unwrap().write, Some(SseRequest::Customer(_))));
    assert!(parse(&take(&whole), Accepts::Read, true).unwrap().customer.is_some());
    assert_eq!(parse(&take(&whole), Accepts::Read, false).unwrap_err().code, "InvalidRequest");
    for cut in 0..3 {
        let pairs: Vec<_> =
            whole.iter().copied().enumerate().filter(|(at, _)| *at != cut).map(|(_, pair)| pair).collect();
        assert_eq!(refused(&pairs, Accepts::Write), "InvalidArgument", "{cut}");
    }
    assert_eq!(refused(&[whole[0], whole[1], whole[2], ("", "AES256")], Accepts::Write), "InvalidArgument");
    let other = [("-customer-algorithm", "AES256"), ("-customer-key", key), ("-customer-key-md5", "AAAA")];
    assert_eq!(refused(&other, Accepts::Write), "InvalidArgument");
}

#[test]
fn answers_say_the_method_the_bare_key_id_and_the_data_cipher() {
    let shown = |status: &SseStatus| {
        let mut out = HeaderMap::new();
        describe(status, &mut out);
        let text = |name: &HeaderName| out.get(name).map(|value| value.to_str().unwrap().to_owned());
        (text(&METHOD), text(&KEY_ID), text(&DATA), out.len())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(shown(&SseStatus::S3 { cipher: DataCipher::Aes256 }), (some("AES256"), None, None, 1));
    assert_eq!(shown(&SseStatus::S3 { cipher: DataCipher::Sm4 }), (some("SM4"), None, None, 1));
    let kms = |cipher| SseStatus::Kms {
        key: KeyArn(format!("arn:aws:kms:r:000000000000:key/{ID}")),
        context: Some(EncryptionContext::default()),
        bucket_key: true,
        cipher,
    };
    assert_eq!(shown(&kms(DataCipher::Aes256)), (some("KMS"), some(ID), None, 2));
    assert_eq!(shown(&kms(DataCipher::Sm4)), (some("KMS"), some(ID), some("SM4"), 3));
    assert_eq!(shown(&SseStatus::None).3, 0);
    assert_eq!(shown(&SseStatus::Customer { md5: Some([0; 16]) }).3, 2);
}

#[test]
fn a_repeated_header_is_remembered() {
    let mut headers = HeaderMap::new();
    headers.append(METHOD, HeaderValue::from_static("AES256"));
    headers.append(METHOD, HeaderValue::from_static("KMS"));
    let taken = SseHeaders::take(&mut headers);
    assert_eq!(parse(&taken, Accepts::Write, true).unwrap_err().code, "InvalidArgument");
}
