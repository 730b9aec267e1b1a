use proptest::prelude::*;

use super::pattern::matches;
use super::*;

const ANN: &str = "arn:aws:iam::000000000000:user/ann";

/// A policy of one statement on bucket `b`, with `extra` members.
fn policy(effect: &str, principal: &str, action: &str, extra: &str) -> Result<Policy, Malformed> {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"{action}",
        "Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]{extra}}}]}}"#
    );
    Policy::parse(text.as_bytes())
}

fn judge(policy: &Policy, principal: Option<&str>, action: &str, context: &[(&str, &str)]) -> Verdict {
    let mut said = Context::default();
    for (key, value) in context {
        said.set(key, *value);
    }
    policy.judge(&Question {
        principal,
        action,
        resource: "arn:aws:s3:::b/k",
        context: &said,
        speaks_for_account: false,
    })
}

#[test]
fn a_grant_holds_for_whom_and_what_it_names() {
    let ann = policy("Allow", &format!(r#"{{"AWS":["{ANN}"]}}"#), "s3:Get*", "").unwrap();
    let everyone = policy("Allow", r#""*""#, "s3:getobject", "").unwrap();
    let bob = "arn:aws:iam::000000000000:user/bob";
    for (policy, who, action, expected) in [
        (&ann, Some(ANN), "s3:GetObject", Verdict::Allow),
        (&ann, Some(ANN), "s3:PutObject", Verdict::Silent),
        (&ann, Some(bob), "s3:GetObject", Verdict::Silent),
        (&ann, None, "s3:GetObject", Verdict::Silent),
        (&everyone, None, "s3:GetObject", Verdict::Allow),
        (&everyone, Some(bob), "s3:GetObjectVersion", Verdict::Silent),
    ] {
        assert_eq!(judge(policy, who, action, &[]), expected, "{who:?} {action}");
    }
}

#[test]
fn a_denial_wins_wherever_it_stands() {
    let (allow, deny) = (
        r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:s3:::b/*"}"#,
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"}"#,
    );
    for statements in [format!("{allow},{deny}"), format!("{deny},{allow}")] {
        let policy = Policy::parse(format!(r#"{{"Statement":[{statements}]}}"#).as_bytes()).unwrap();
        assert_eq!(judge(&policy, Some(ANN), "s3:PutObject", &[]), Verdict::Deny);
        assert_eq!(judge(&policy, Some(ANN), "s3:GetObject", &[]), Verdict::Allow);
    }
}

#[test]
fn conditions_hold_as_the_guide_says() {
    const SSE: &str = "s3:x-amz-server-side-encryption";
    for (condition, context, holds) in [
        (format!(r#"{{"StringEquals":{{"{SSE}":"aws:kms"}}}}"#), vec![(SSE, "aws:kms")], true),
        (format!(r#"{{"StringEquals":{{"{SSE}":"aws:kms"}}}}"#), vec![], false),
        (format!(r#"{{"StringNotEquals":{{"{SSE}":["aws:kms","AES256"]}}}}"#), vec![(SSE, "AES256")], false),
        (format!(r#"{{"StringNotEquals":{{"{SSE}":"aws:kms"}}}}"#), vec![], true),
        (format!(r#"{{"StringEqualsIfExists":{{"{SSE}":"aws:kms"}}}}"#), vec![], true),
        (format!(r#"{{"StringEqualsIfExists":{{"{SSE}":"aws:kms"}}}}"#), vec![(SSE, "AES256")], false),
        (format!(r#"{{"Null":{{"{SSE}":"true"}}}}"#), vec![], true),
        (format!(r#"{{"Null":{{"{SSE}":true}}}}"#), vec![(SSE, "AES256")], false),
        (r#"{"Bool":{"aws:SecureTransport":"false"}}"#.to_owned(), vec![("aws:SecureTransport", "false")], true),
        (r#"{"Bool":{"aws:SecureTransport":"false"}}"#.to_owned(), vec![("aws:SecureTransport", "true")], false),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#.to_owned(), vec![("aws:SourceIp", "10.9.8.7")], true),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#.to_owned(), vec![("aws:SourceIp", "11.0.0.1")], false),
        (r#"{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#.to_owned(), vec![("aws:SourceIp", "11.0.0.1")], true),
        (r#"{"NumericLessThanEquals":{"s3:max-keys":10}}"#.to_owned(), vec![("s3:max-keys", "10")], true),
        (r#"{"NumericLessThanEquals":{"s3:max-keys":10}}"#.to_owned(), vec![("s3:max-keys", "11")], false),
        (
            r#"{"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"}}"#.to_owned(),
            vec![("aws:CurrentTime", "2026-01-01T00:00:00Z")],
            true,
        ),
        (r#"{"StringLike":{"s3:prefix":["a/*","b?"]}}"#.to_owned(), vec![("s3:prefix", "a/x")], true),
        (r#"{"StringNotLike":{"s3:prefix":["a/*","b?"]}}"#.to_owned(), vec![("s3:prefix", "bc")], false),
        (r#"{"ForAllValues:StringEquals":{"s3:prefix":"a"}}"#.to_owned(), vec![], true),
        (r#"{"ForAnyValue:StringEquals":{"s3:prefix":"a"}}"#.to_owned(), vec![], false),
    ] {
        let policy = policy("Deny", r#""*""#, "s3:*", &format!(r#","Condition":{condition}"#)).unwrap();
        let expected = if holds { Verdict::Deny } else { Verdict::Silent };
        assert_eq!(judge(&policy, None, "s3:PutObject", &context), expected, "{condition} {context:?}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    let everyone = r#""*""#;
    policy("Allow", everyone, "s3:GetObject", "").unwrap();
    for (effect, principal, action, extra) in [
        ("allow", everyone, "s3:GetObject", ""),
        ("Allow", r#""ann""#, "s3:GetObject", ""),
        ("Allow", r#"{"Service":"s3.amazonaws.com"}"#, "s3:GetObject", ""),
        ("Allow", r#"{"AWS":"arn:aws:iam::000000000000:user/a*"}"#, "s3:GetObject", ""),
        ("Allow", r#"{"AWS":[]}"#, "s3:GetObject", ""),
        ("Allow", everyone, "s3:GetObjekt", ""),
        ("Allow", everyone, "ec2:Get*", ""),
        ("Allow", everyone, "s3:GetObject", r#","NotAction":"s3:PutObject""#),
        ("Allow", everyone, "s3:GetObject", r#","Effect":"Deny""#),
        ("Allow", everyone, "s3:GetObject", r#","Surprise":1"#),
        ("Allow", everyone, "s3:GetObject", r#","Condition":{"StringSortOf":{"s3:prefix":"a"}}"#),
        ("Allow", everyone, "s3:GetObject", r#","Condition":{"StringEquals":{"s3:unheard":"a"}}"#),
        ("Allow", everyone, "s3:GetObject", r#","Condition":{"Bool":{"aws:SecureTransport":"maybe"}}"#),
        ("Allow", everyone, "s3:GetObject", r#","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}"#),
        ("Allow", everyone, "s3:GetObject", r#","Condition":{"IpAddress":{"aws:SourceIp":"::ffff:10.0.0.0/104"}}"#),
        ("Allow", everyone, "s3:GetObject", r#","Condition":{"StringEquals":{"s3:prefix":"${aws:username}"}}"#),
    ] {
        assert!(policy(effect, principal, action, extra).is_err(), "{effect} {principal} {action} {extra}");
    }
    for document in ["", "[]", "{}", r#"{"Statement":[]}"#, r#"{"Version":"2020-01-01","Statement":[]}"#] {
        assert!(Policy::parse(document.as_bytes()).is_err(), "{document}");
    }
    let large = format!(r#"{{"Id":"{}"}}"#, "x".repeat(MAX_POLICY));
    assert!(Policy::parse(large.as_bytes()).unwrap_err().to_string().contains("larger"));
}

#[test]
fn a_policy_is_about_its_own_bucket_and_account() {
    let policy = policy("Allow", &format!(r#"{{"AWS":"{ANN}"}}"#), "s3:GetObject", "").unwrap();
    policy.belongs_to("b", "000000000000").unwrap();
    assert!(policy.belongs_to("bb", "000000000000").is_err());
    assert!(policy.belongs_to("b", "111111111111").is_err());
}

#[test]
fn public_is_what_aws_calls_public() {
    let ip = |block: &str| format!(r#","Condition":{{"IpAddress":{{"aws:SourceIp":"{block}"}}}}"#);
    for (effect, extra, public) in [
        ("Allow", String::new(), true),
        ("Deny", String::new(), false),
        ("Allow", ip("10.0.0.0/8"), false),
        ("Allow", ip("0.0.0.0/0"), true),
        ("Allow", r#","Condition":{"StringLike":{"aws:PrincipalArn":"*"}}"#.to_owned(), true),
        ("Allow", r#","Condition":{"StringEquals":{"s3:prefix":"a"}}"#.to_owned(), true),
    ] {
        assert_eq!(policy(effect, r#""*""#, "s3:*", &extra).unwrap().is_public(), public, "{effect} {extra}");
    }
}

/// The plain meaning of a pattern.
fn means(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=text.len()).any(|taken| means(rest, &text[taken..])),
        (['?', rest @ ..], [_, tail @ ..]) => means(rest, tail),
        ([wanted, rest @ ..], [first, tail @ ..]) => wanted == first && means(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn wildcards_match_what_they_mean(pattern in "[ab*?]{0,7}", text in "[ab]{0,9}") {
        let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(matches(&pattern, &text), means(&p, &t));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Policy::parse(&bytes).is_err());
    }
}

mod of_keys {
    use super::*;

    const ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/k";
    const BOB: &str = "arn:aws:iam::000000000000:user/bob";
    const ROOT: &str = "arn:aws:iam::000000000000:root";

    fn parse(statements: &str) -> Result<Policy, Malformed> {
        Policy::parse_of_key(format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#).as_bytes())
    }

    fn ask(policy: &Policy, principal: &str, holder: bool, action: &str, said: &[(&str, &str)]) -> Verdict {
        let mut context = Context::default();
        said.iter().for_each(|(key, value)| context.add(key, *value));
        let principal = Some(principal);
        policy.judge(&Question { principal, action, resource: ARN, context: &context, speaks_for_account: holder })
    }

    #[test]
    fn what_is_allowed_to_the_account_is_allowed_to_those_who_speak_for_it() {
        for name in [ROOT, "000000000000"] {
            let policy = parse(&format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"{name}"}},"Action":"kms:*","Resource":"*"}}"#
            ));
            let policy = policy.unwrap();
            assert_eq!(ask(&policy, BOB, true, "kms:Decrypt", &[]), Verdict::Allow);
            assert_eq!(ask(&policy, ROOT, true, "kms:PutKeyPolicy", &[]), Verdict::Allow);
            assert_eq!(ask(&policy, BOB, false, "kms:Decrypt", &[]), Verdict::Silent);
        }
    }

    #[test]
    fn what_is_denied_to_the_account_is_denied_to_all_in_it() {
        let policy = parse(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"{BOB}"}},"Action":"kms:*","Resource":"*"}},
               {{"Effect":"Deny","Principal":{{"AWS":"{ROOT}"}},"Action":"kms:Decrypt","Resource":"*"}}"#
        ));
        let policy = policy.unwrap();
        assert_eq!(ask(&policy, BOB, false, "kms:Decrypt", &[]), Verdict::Deny);
        assert_eq!(ask(&policy, BOB, false, "kms:Encrypt", &[]), Verdict::Allow);
    }

    #[test]
    fn the_encryption_context_and_the_service_are_conditions() {
        let policy = parse(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"{BOB}"}},"Action":"kms:Decrypt","Resource":"*","Condition":{{
                "StringEquals":{{"kms:ViaService":"s3.us-east-1.amazonaws.com"}},
                "StringLike":{{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::b/*"}}}}}}"#
        ));
        let policy = policy.unwrap();
        let via = ("kms:ViaService", "s3.us-east-1.amazonaws.com");
        let at = |arn| ("kms:EncryptionContext:aws:s3:arn", arn);
        let decrypt = |said: &[_]| ask(&policy, BOB, false, "kms:Decrypt", said);
        assert_eq!(decrypt(&[via, at("arn:aws:s3:::b/k")]), Verdict::Allow);
        assert_eq!(decrypt(&[via, at("arn:aws:s3:::c/k")]), Verdict::Silent);
        assert_eq!(decrypt(&[via]), Verdict::Silent);
        assert_eq!(decrypt(&[at("arn:aws:s3:::b/k")]), Verdict::Silent);
        // Two pairs whose names differ in case only: both must fit.
        let other = ("kms:EncryptionContext:AWS:S3:ARN", "arn:aws:s3:::c/k");
        assert_eq!(decrypt(&[via, at("arn:aws:s3:::b/k"), other]), Verdict::Silent);
    }

    #[test]
    fn what_is_not_understood_is_no_policy() {
        let statement = |principal: &str, action: &str, rest: &str| {
            parse(&format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"{action}"{rest}}}"#))
        };
        let bob = format!(r#"{{"AWS":"{BOB}"}}"#);
        let all = r#","Resource":"*""#;
        assert!(statement(&bob, "kms:Decrypt", all).is_ok());
        assert!(statement(&bob, "kms:ReEncrypt*", all).is_ok());
        for (principal, action, rest) in [
            (bob.as_str(), "s3:GetObject", all),
            (&bob, "kms:Decript", all),
            (&bob, "kms:Decrypt", ""),
            (&bob, "kms:Decrypt", r#","Resource":"arn:aws:s3:::b""#),
            (&bob, "kms:Decrypt", r#","Resource":"*","Condition":{"StringEquals":{"kms:Nothing":"x"}}"#),
            (&bob, "kms:Decrypt", r#","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:":"x"}}"#),
            (r#"{"Service":"s3.amazonaws.com"}"#, "kms:Decrypt", all),
            (r#"{"AWS":"arn:aws:iam::000000000000:user/*"}"#, "kms:Decrypt", all),
            (r#"{"AWS":"00000000000"}"#, "kms:Decrypt", all),
        ] {
            assert!(statement(principal, action, rest).is_err(), "{principal} {action} {rest}");
        }
        let not = format!(r#"{{"Effect":"Deny","NotPrincipal":{{"AWS":"{ROOT}"}},"Action":"kms:*","Resource":"*"}}"#);
        assert!(parse(&not).is_err());
        assert!(Policy::parse_of_key(&vec![b' '; super::super::MAX_KEY_POLICY + 1]).is_err());
        let bucket = format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{ROOT}"}},"Action":"s3:*","Resource":"arn:aws:s3:::b"}}}}"#
        );
        assert!(Policy::parse(bucket.as_bytes()).is_err(), "a bucket's policy names no account");
    }

    #[test]
    fn a_policy_belongs_to_its_key_and_account() {
        let of = |user: &str, resource: &str| {
            let policy = parse(&format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"{user}"}},"Action":"kms:*","Resource":"{resource}"}}"#
            ));
            policy.unwrap().belongs_to_key(ARN, "000000000000")
        };
        assert!(of(BOB, "*").is_ok() && of(BOB, ARN).is_ok() && of(ROOT, "*").is_ok());
        assert!(of(BOB, "arn:aws:kms:us-east-1:000000000000:key/other").is_err());
        assert!(of("arn:aws:iam::111111111111:user/bob", "*").is_err());
        assert!(of("111111111111", "*").is_err());
    }
}
