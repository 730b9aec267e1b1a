//! Precedence, and that every wrong configuration is one line that names its field.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;

use clap::Parser;
use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::layer::FIELDS;
use super::setting::Setting;
use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

/// Loads from arguments, the text of a file and variables.
fn load(args: &[&str], file: Option<&str>, env: &[(&str, &str)]) -> Result<Config, Error> {
    let mut flags = Cli::try_parse_from([&["sealgate"], args].concat()).unwrap().flags;
    let file = file.map(|text| {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    });
    if let Some(file) = &file {
        flags.config = Some(file.path().to_owned());
    }
    let env: BTreeMap<String, OsString> = env.iter().map(|(k, v)| ((*k).to_owned(), OsString::from(v))).collect();
    Config::load_with(&flags, |name| env.get(name).cloned())
}

fn message(args: &[&str], file: Option<&str>, env: &[(&str, &str)]) -> String {
    load(args, file, env).expect_err("a wrong configuration was accepted").to_string()
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(load(&[], None, &[]).unwrap(), Config::default());
}

#[test]
fn a_flag_beats_the_file_and_the_file_beats_the_environment() {
    let env = &[("SEALGATE_LISTEN", "127.0.0.1:1"), ("SEALGATE_REGION", "env"), ("SEALGATE_DATA_DIR", "/env")];
    let file = Some("listen = \"127.0.0.1:2\"\nregion = \"file\"\n");
    let config = load(&["--listen", "127.0.0.1:3"], file, env).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.region, "file");
    assert_eq!(config.data_dir, PathBuf::from("/env"));
}

/// For every field: a value that differs from the default, as file text and as flag or variable text.
fn samples() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("listen", "\"[::1]:80\"", "[::1]:80"),
        ("admin_listen", "\"0.0.0.0:81\"", "0.0.0.0:81"),
        ("data_dir", "\"/srv/x\"", "/srv/x"),
        ("root_key_file", "\"/k\"", "/k"),
        ("region", "\"eu-west-1\"", "eu-west-1"),
        ("default_encryption", "\"none\"", "none"),
        ("base_domains", "[\"a.example\", \"B.example\"]", "a.example, B.example"),
        ("oss_domains", "[\"oss.example\"]", "oss.example"),
        ("oss_cnames", "[\"Img.example=pictures\", \"b.example=bkt\"]", "img.example=pictures,b.example=bkt"),
        ("allow_sigv2", "true", "true"),
        ("allow_insecure_sse", "true", "true"),
        ("trusted_proxies", "[\"10.0.0.0/8\", \"::1\"]", "10.0.0.0/8,::1"),
        ("log_format", "\"json\"", "json"),
        ("log_level", "\"debug\"", "debug"),
        ("header_read_timeout", "\"5s\"", "5s"),
        ("body_idle_timeout", "\"2m\"", "2m"),
        ("body_min_rate", "0", "0"),
        ("verify_writes_sample", "100", "100"),
        ("audit_bucket", "\"trail\"", "trail"),
        ("audit_prefix", "\"a/b\"", "a/b"),
        ("max_connections", "7", "7"),
        ("drain_timeout", "\"500ms\"", "500ms"),
        ("kms_cache_ttl", "\"0\"", "0"),
        ("keystore", "\"upstream\"", "upstream"),
        ("upstream_endpoint", "\"https://s3.example\"", "https://s3.example"),
        ("upstream_region", "\"eu-west-1\"", "eu-west-1"),
        ("upstream_dialect", "\"oss\"", "oss"),
        ("upstream_addressing", "\"virtual\"", "virtual"),
        ("upstream_access_key_id", "\"AKUP\"", "AKUP"),
        ("upstream_credentials_file", "\"/c\"", "/c"),
        ("upstream_ca_file", "\"/ca\"", "/ca"),
        ("upstream_connect_timeout", "\"1s\"", "1s"),
        ("upstream_answer_timeout", "\"2s\"", "2s"),
        ("upstream_idle_timeout", "\"3s\"", "3s"),
        ("upstream_reserved", "\"sys\"", "sys"),
        ("upstream_bucket_prefix", "\"pre-\"", "pre-"),
        ("upstream_buckets", "[\"aaa=bbb/c\", \"ccc=ddd\"]", "aaa=bbb/c/,ccc=ddd"),
        ("upstream_foreign_buckets", "[\"old\"]", "old"),
        ("upstream_abandoned_after", "\"30d\"", "30d"),
        ("upstream_pass_through", "[\"GET lifecycle\", \"PUT website\"]", "GET lifecycle, PUT website"),
    ]
}

#[test]
fn every_field_has_the_same_name_and_meaning_in_all_three_sources() {
    for (field, toml, text) in samples() {
        let from_file = load(&[], Some(&format!("{field} = {toml}")), &[]).unwrap();
        let variable = format!("SEALGATE_{}", field.to_uppercase());
        let from_env = load(&[], None, &[(&variable, text)]).unwrap();
        let from_flag = load(&[&format!("--{}={text}", field.replace('_', "-"))], None, &[]).unwrap();
        assert_ne!(from_file, Config::default(), "{field}");
        assert_eq!(from_file, from_env, "{field}");
        assert_eq!(from_file, from_flag, "{field}");
    }
    let covered: Vec<_> = samples().iter().map(|sample| sample.0).collect();
    let pairs = [
        "access_key_id",
        "secret_access_key",
        "secret_access_key_file",
        "tls_cert",
        "tls_key",
        "store",
        "upstream_secret_access_key",
        "upstream_secret_access_key_file",
    ];
    assert!(FIELDS.iter().all(|field| covered.contains(field) || pairs.contains(field)));
}

#[test]
fn the_example_file_shows_every_field_and_equals_the_default() {
    let example = include_str!("../../deploy/sealgate.toml");
    assert_eq!(load(&[], Some(example), &[]).unwrap(), Config::default());
    let optional = [
        "root_key_file",
        "access_key_id",
        "secret_access_key",
        "secret_access_key_file",
        "tls_cert",
        "tls_key",
        "audit_bucket",
        "keystore",
        "upstream_endpoint",
        "upstream_access_key_id",
        "upstream_secret_access_key",
        "upstream_secret_access_key_file",
        "upstream_credentials_file",
        "upstream_ca_file",
    ];
    for field in FIELDS {
        let comment = if optional.contains(field) { "# " } else { "" };
        let start = format!("{comment}{field} = ");
        assert!(example.lines().any(|line| line.starts_with(&start)), "{field}");
    }
}

#[test]
fn the_example_users_are_valid_once_uncommented() {
    let mut secret = NamedTempFile::new().unwrap();
    secret.write_all(b"correct-horse\n").unwrap();
    let file = format!(
        "[[users]]\nname = \"alice\"\naccess_key_id = \"AKALICE\"\nsecret_access_key_file = {:?}\n",
        secret.path()
    );
    let config = load(&[], Some(&file), &[]).unwrap();
    assert_eq!(config.users[0].name.as_str(), "alice");
    assert_eq!(config.users[0].credential.secret_access_key.expose(), "correct-horse");
    assert_eq!((&config.users[0].security_token, config.users[0].expires), (&None, None));

    let example = include_str!("../../deploy/sealgate.toml");
    let at = example.find("# [[users]]").unwrap();
    let is_toml = |line: &&str| line.starts_with("[[") || line.split(' ').nth(1) == Some("=");
    let users: Vec<&str> = example[at..].lines().filter_map(|line| line.strip_prefix("# ")).filter(is_toml).collect();
    let path = secret.path().to_str().unwrap();
    let users = users.join("\n").replace("…", "AK-or-secret").replace("/etc/sealgate/alice.secret", path);
    let users = users.replace("/etc/sealgate/cdn.secret", path).replace("/etc/sealgate/cdn.token", path);
    let users = users.replacen("AK-or-secret", "AK1", 1);
    let config = load(&[], Some(&users), &[]).unwrap();
    let names: Vec<&str> = config.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["alice", "cdn"]);
    assert!(config.users[1].security_token.is_some() && config.users[1].expires.is_some(), "a temporary one is shown");
}

#[test]
fn a_user_may_be_temporary() {
    let user = "[[users]]\nname = \"cdn\"\naccess_key_id = \"STS.1\"\nsecret_access_key = \"12345678\"\n";
    let mut file = NamedTempFile::new().unwrap();
    let long = "t".repeat(4096);
    file.write_all(format!("{long}\r\n").as_bytes()).unwrap();
    let load = |more: &str| load(&[], Some(&format!("{user}{more}")), &[]).map(|mut config| config.users.remove(0));
    let token = |user: &User| user.security_token.as_ref().map(|token| token.expose().to_owned());
    assert_eq!(token(&load("security_token = \"CAIS+/token==\"").unwrap()).as_deref(), Some("CAIS+/token=="));
    let from_file = load(&format!("security_token_file = {:?}", file.path())).unwrap();
    assert_eq!(token(&from_file), Some(long));
    assert!(!format!("{from_file:?}").contains("tttt"), "a token is not printed");
    for moment in ["\"2026-01-02T03:04:05Z\"", "2026-01-02T03:04:05Z", "\"2026-01-02T05:04:05+02:00\""] {
        let user = load(&format!("expires = {moment}")).unwrap();
        assert_eq!((user.expires, token(&user)), (Some(Timestamp(1_767_323_045_000)), None), "{moment}");
    }
    let both = format!("security_token = \"12345678\"\nsecurity_token_file = {:?}", file.path());
    for (wrong, field) in [
        ("security_token = \"short\"", "users[0].security_token"),
        ("security_token = \"with a space\"", "users[0].security_token"),
        ("security_token_file = \"/does/not/exist\"", "users[0].security_token_file"),
        ("expires = \"tomorrow\"", "users[0].expires"),
        ("expires = 2026-01-02", "users[0].expires"),
        ("expires = \"2026-01-02T03:04:05\"", "users[0].expires"),
        ("expires = \"1960-01-02T03:04:05Z\"", "users[0].expires"),
        (both.as_str(), "users[0].security_token"),
    ] {
        let message = load(wrong).unwrap_err().to_string();
        assert!(message.starts_with(field) && !message.contains('\n'), "{message}");
        assert!(!message.contains("with a space"), "{message}");
    }
    assert!(load(&format!("security_token = \"{}\"", "t".repeat(4097))).is_err());
}

#[test]
fn a_wrong_value_names_its_field_and_its_source() {
    let bad = [
        ("listen", "localhost"),
        ("admin_listen", "9001"),
        ("region", "US East"),
        ("default_encryption", "aws:kms"),
        ("base_domains", "ok.example,-bad"),
        ("oss_domains", "127.0.0.1"),
        ("oss_cnames", "img.example"),
        ("oss_cnames", "img.example=Pictures"),
        ("access_key_id", "a/b"),
        ("allow_sigv2", "yes"),
        ("allow_insecure_sse", "1"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("header_read_timeout", "30"),
        ("body_idle_timeout", "0s"),
        ("body_min_rate", "1KiB"),
        ("verify_writes_sample", "-1"),
        ("audit_bucket", "Trail_"),
        ("audit_prefix", "/a"),
        ("max_connections", "0"),
        ("drain_timeout", "1000h"),
        ("kms_cache_ttl", "-1s"),
        ("store", "cloud"),
        ("keystore", "disk"),
        ("upstream_endpoint", "s3.example.com"),
        ("upstream_dialect", "gcs"),
        ("upstream_addressing", "both"),
        ("upstream_reserved", "a/b"),
        ("upstream_bucket_prefix", "Pre"),
        ("upstream_buckets", "name="),
        ("upstream_foreign_buckets", "Not_A_Bucket"),
        ("upstream_answer_timeout", "30"),
        ("upstream_pass_through", "DELETE encryption"),
        ("upstream_pass_through", "PUT worm"),
    ];
    for (field, text) in bad {
        let flag = format!("--{}", field.replace('_', "-"));
        let variable = format!("SEALGATE_{}", field.to_uppercase());
        let cases = [
            (message(&[&format!("{flag}={text}")], None, &[]), flag),
            (message(&[], Some(&format!("{field} = \"{text}\"")), &[]), String::new()),
            (message(&[], None, &[(&variable, text)]), variable),
        ];
        for (message, source) in cases {
            assert!(message.starts_with(field), "{message}");
            assert!(message.contains(&source), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}

#[test]
fn what_passes_is_said_in_the_upstream_s_own_words() {
    let listed = |dialect: &str, passage: &str| {
        let file = format!("upstream_dialect = \"{dialect}\"\nupstream_pass_through = [\"{passage}\"]");
        load(&[], Some(&file), &[]).map(|config| config.upstream.pass_through.len()).map_err(|error| error.to_string())
    };
    for (dialect, passage) in [("s3", "PUT accelerate"), ("oss", "PUT transferAcceleration"), ("oss", "POST worm")] {
        assert_eq!(listed(dialect, passage), Ok(1), "{passage}");
    }
    for (dialect, passage) in [("oss", "PUT accelerate"), ("s3", "PUT transferAcceleration"), ("s3", "POST worm")] {
        let why = listed(dialect, passage).unwrap_err();
        assert!(why.contains("upstream_pass_through") && why.contains(passage), "{why}");
    }
}

#[test]
fn an_upstream_by_its_short_form() {
    let env = &[
        ("SEALGATE_STORE", "upstream"),
        ("SEALGATE_UPSTREAM_ENDPOINT", "http://10.0.0.1:7480"),
        ("SEALGATE_UPSTREAM_REGION", "here"),
        ("SEALGATE_UPSTREAM_ACCESS_KEY_ID", "AKUP"),
        ("SEALGATE_UPSTREAM_SECRET_ACCESS_KEY", "hidden-hidden"),
        ("SEALGATE_UPSTREAM_DIALECT", "s3"),
        ("SEALGATE_ROOT_KEY_FILE", "/k"),
    ];
    let config = load(&[], None, env).unwrap();
    assert_eq!((config.store, config.keystore_kind()), (StoreKind::Upstream, KeystoreKind::Upstream));
    let settings = config.upstream.settings().unwrap();
    assert_eq!((settings.endpoint.to_string().as_str(), settings.region.as_str()), ("http://10.0.0.1:7480", "here"));
    assert!(!format!("{config:?} {settings:?}").contains("hidden"));
    for (nth, field) in
        [(1, "upstream_endpoint"), (3, "upstream_access_key_id"), (4, "upstream_secret"), (6, "root_key")]
    {
        let mut env = env.to_vec();
        env.remove(nth);
        assert!(message(&[], None, &env).starts_with(field), "{field}");
    }
    let both = [&env[..], &[("SEALGATE_UPSTREAM_CREDENTIALS_FILE", "/c")]].concat();
    assert!(message(&[], None, &both).starts_with("upstream_credentials_file"));
    let mapped = [&env[..], &[("SEALGATE_UPSTREAM_BUCKETS", "abc=sealgate-system/x")]].concat();
    assert!(message(&[], None, &mapped).starts_with("upstream_buckets"));
}

#[test]
fn a_wrong_file_names_its_field_or_line() {
    let cases = [
        ("lissten = \"127.0.0.1:1\"", "lissten"),
        ("listen = 1.5", "listen"),
        ("listen = [\"127.0.0.1:1\"]", "listen"),
        ("\nlisten = ", "line 2"),
        ("listen = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:1\"", "admin_listen"),
        ("tls_cert = \"/x\"", "tls_key"),
        ("tls_key = \"/x\"", "tls_cert"),
        ("access_key_id = \"AKROOT\"", "secret_access_key"),
        ("secret_access_key = \"12345678\"", "access_key_id"),
        ("access_key_id = \"AKROOT\"\nsecret_access_key = \"short\"", "secret_access_key"),
        ("secret_access_key = \"12345678\"\nsecret_access_key_file = \"/x\"", "secret_access_key"),
        ("access_key_id = \"AKROOT\"\nsecret_access_key_file = \"/does/not/exist\"", "secret_access_key_file"),
        ("users = 1", "users"),
        ("[[users]]\naccess_key_id = \"AK1\"\nsecret_access_key = \"12345678\"", "users[0].name"),
        ("[[users]]\nname = \"a\"\nsecret_access_key = \"12345678\"", "users[0].access_key_id"),
        ("[[users]]\nname = \"a\"\naccess_key_id = \"AK1\"", "users[0].secret_access_key"),
        ("[[users]]\nname = \"a\"\nadmin = true", "users[0].admin"),
        ("[[users]]\nname = \"root\"\naccess_key_id = \"AK1\"\nsecret_access_key = \"12345678\"", "users[0].name"),
    ];
    for (file, field) in cases {
        let message = message(&[], Some(file), &[]);
        assert!(message.contains(field), "{field}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn two_users_cannot_share_an_access_key() {
    let user =
        |name| format!("[[users]]\nname = \"{name}\"\naccess_key_id = \"AK1\"\nsecret_access_key = \"12345678\"\n");
    let message = message(&[], Some(&(user("a") + &user("b"))), &[]);
    assert!(message.starts_with("users[1].access_key_id"), "{message}");
}

#[test]
fn without_a_credential_serving_is_refused_by_name() {
    let message = Config::default().require_root().unwrap_err().to_string();
    assert!(message.contains("SEALGATE_ACCESS_KEY_ID") && message.contains("SEALGATE_SECRET_ACCESS_KEY"));
}

#[test]
fn the_root_secret_comes_from_the_strongest_source_that_has_one() {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(b"from-the-file\r\n").unwrap();
    let path = file.path().to_str().unwrap();
    let env = &[("SEALGATE_ACCESS_KEY_ID", "AKROOT"), ("SEALGATE_SECRET_ACCESS_KEY", "from-the-env")];
    let config = load(&[], None, env).unwrap();
    assert_eq!(config.require_root().unwrap().secret_access_key.expose(), "from-the-env");
    let config = load(&["--secret-access-key-file", path], None, env).unwrap();
    assert_eq!(config.require_root().unwrap().secret_access_key.expose(), "from-the-file");
}

#[test]
fn no_flag_takes_a_secret() {
    assert!(Cli::try_parse_from(["sealgate", "--secret-access-key", "x"]).is_err());
}

#[test]
fn secrets_show_in_neither_debug_nor_errors() {
    let env = &[("SEALGATE_ACCESS_KEY_ID", "AKROOT"), ("SEALGATE_SECRET_ACCESS_KEY", "hidden-hidden")];
    let config = load(&[], None, env).unwrap();
    assert!(!format!("{config:?}").contains("hidden"));
    let env = &[("SEALGATE_ACCESS_KEY_ID", "AKROOT"), ("SEALGATE_SECRET_ACCESS_KEY", "hid den hidden")];
    assert!(!message(&[], None, env).contains("hid"));
    let broken = message(&[], Some("secret_access_key = hidden-hidden"), &[]);
    assert!(!broken.contains("hidden"), "{broken}");
}

#[test]
fn a_missing_file_is_named() {
    let flags = Cli::try_parse_from(["sealgate", "--config", "/does/not/exist.toml"]).unwrap().flags;
    assert!(Config::load_with(&flags, |_| None).unwrap_err().to_string().contains("/does/not/exist.toml"));
}

#[test]
fn blocks_hold_their_addresses_and_no_others() {
    let block = IpBlock::parse("10.1.0.0/16").unwrap();
    assert!(block.contains("10.1.255.255".parse().unwrap()));
    assert!(block.contains("::ffff:10.1.2.3".parse().unwrap()));
    assert!(!block.contains("10.2.0.0".parse().unwrap()));
    assert!(!block.contains("::1".parse().unwrap()));
    assert!(IpBlock::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
    assert!(IpBlock::parse("::/0").unwrap().contains("2001:db8::1".parse().unwrap()));
    for bad in ["", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/-1"] {
        assert!(IpBlock::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,40}") {
        let _ = IpBlock::parse(&text);
        let _ = super::setting::DurationText::parse(&text);
        let _ = super::setting::Domain::parse(&text);
    }
}

/// The text of a file with two upstreams, and `more` in the second.
fn two_upstreams(more: &str) -> String {
    format!(
        "store = \"upstream\"\nroot_key_file = \"/k\"\n\
         [[upstream]]\nname = \"main\"\ndefault = true\nendpoint = \"http://one:1\"\naccess_key_id = \"AK1\"\n\
         secret_access_key = \"hidden-hidden\"\n\
         [[upstream]]\nname = \"cold\"\nendpoint = \"http://one:1\"\naccess_key_id = \"AK2\"\n\
         secret_access_key = \"hidden-hidden\"\nreserved = \"cold-system\"\n{more}\n"
    )
}

#[test]
fn several_upstreams_each_with_its_buckets() {
    let more = "region = \"here\"\nbucket_prefix = \"p-\"\nbuckets = { photos = \"archive/photos\", logs = \"logs\" }";
    let config = load(&[], Some(&two_upstreams(more)), &[]).unwrap();
    assert!(!format!("{config:?}").contains("hidden"));
    let all = config.upstream_settings().unwrap();
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["main", "cold"]);
    assert_eq!(all[0].region, "us-east-1");
    assert_eq!((all[1].region.as_str(), all[1].label().as_str()), ("here", "cold (http://one:1)"));
    let place = |name: &str| all[1].place(&name.parse().unwrap());
    assert_eq!((place("photos").bucket, place("photos").prefix), ("archive".to_owned(), "photos/".to_owned()));
    assert_eq!((place("logs").bucket, place("logs").prefix), ("logs".to_owned(), String::new()));
    let listed = load(&[], Some(&two_upstreams("bucket_prefix = \"p-\"\nbuckets = [\"logs\", \"one=two/x\"]")), &[]);
    let listed = listed.unwrap().upstream_settings().unwrap();
    let buckets: Vec<String> = listed[1].buckets.values().map(|place| place.bucket.clone()).collect();
    assert_eq!(buckets, ["p-logs", "two"], "a name alone is one to one");
}

#[test]
fn a_wrong_one_of_several_upstreams_is_named() {
    let buckets = "buckets = [\"logs\"]";
    for (more, start) in [
        ("", "upstream[1].buckets is missing"),
        ("buckets = 1", "upstream[1].buckets"),
        ("buckets = { logs = 1 }", "upstream[1].buckets"),
        ("buckets = { logs = \"sealgate-system\" }", "upstream[1].buckets names the reserved bucket of upstream main"),
        ("buckets = { logs = \"cold-system/x\" }", "upstream[1].buckets names the reserved bucket"),
        ("buckets = { one = \"aaa/x\", two = \"aaa/x/y\" }", "upstream[1].buckets keeps two and one in the same place"),
        ("buckets = { one = \"aaa\", two = \"aaa/x/y\" }", "upstream[1].buckets keeps"),
        ("buckets = [\"logs\"]\nregion = \"US\"", "upstream[1].region (from"),
        ("buckets = [\"logs\"]\nregionn = \"us\"", "upstream[1].regionn (from"),
        ("buckets = [\"logs\"]\ndefault = \"yes\"", "upstream[1].default (from"),
        ("buckets = [\"logs\"]\ndefault = true", "upstream[1].default is true of another"),
        ("buckets = [\"logs\"]\nforeign_buckets = [\"others\"]", "upstream[1].foreign_buckets names others"),
        ("buckets = [\"logs\"]\ncredentials_file = \"/c\"", "upstream[1].credentials_file is set beside"),
        ("buckets = [\"logs\"]\n[[upstream]]\nbuckets = [\"x\"]", "upstream[2].name (from"),
        (
            "buckets = [\"logs\"]\n[[upstream]]\nname = \"third\"\nbuckets = [\"logs\"]\ndefault = false",
            "upstream[2].endpoint is missing",
        ),
    ] {
        let message = message(&[], Some(&two_upstreams(more)), &[]);
        assert!(message.starts_with(start) && !message.contains('\n'), "{start}: {message}");
        assert!(!message.contains("hidden"), "{message}");
    }
    let third = |rest: &str| {
        two_upstreams(buckets)
            + &format!(
                "[[upstream]]\nendpoint = \"http://one:1\"\naccess_key_id = \"A-3\"\nsecret_access_key = \"12345678\"\n{rest}"
            )
    };
    for (rest, start) in [
        ("name = \"cold\"\nbuckets = [\"abc\"]", "upstream[2].name is taken"),
        (
            "name = \"third\"\nreserved = \"third\"\nbuckets = [\"logs\"]",
            "upstream[2].buckets names logs, which another",
        ),
        (
            "name = \"third\"\nreserved = \"third\"\nbuckets = { abc = \"logs/x\" }",
            "upstream[2].buckets keeps abc and logs",
        ),
        (
            "name = \"third\"\nreserved = \"cold-system\"\nbuckets = [\"abc\"]",
            "upstream[2].reserved is the reserved bucket",
        ),
        ("name = \"third\"\nreserved = \"logs\"\nbuckets = [\"abc\"]", "upstream[2].reserved is what bucket logs"),
    ] {
        let message = message(&[], Some(&third(rest)), &[]);
        assert!(message.starts_with(start), "{start}: {message}");
    }
    let env = [("SEALGATE_UPSTREAM_ENDPOINT", "http://other")];
    let message = message(&[], Some(&two_upstreams(buckets)), &env);
    assert!(message.starts_with("upstream_endpoint is set beside [[upstream]]"), "{message}");
    assert!(load(&[], Some("upstream = 1"), &[]).unwrap_err().to_string().starts_with("upstream (from"));
}

#[test]
fn the_example_upstreams_are_valid_once_uncommented() {
    let example = include_str!("../../deploy/sealgate.toml");
    let at = example.find("# [[upstream]]").unwrap();
    let is_toml = |line: &&str| line.starts_with("[[") || line.split(' ').nth(1) == Some("=");
    let lines = example[at..].lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("# "));
    let text = lines.filter(is_toml).collect::<Vec<_>>().join("\n").replace("\"…\"", "\"some-access-key\"");
    let file = format!("store = \"upstream\"\nroot_key_file = \"/k\"\n{text}");
    let all = load(&[], Some(&file), &[]).unwrap().upstream_settings().unwrap();
    assert_eq!(all.len(), 2);
}
