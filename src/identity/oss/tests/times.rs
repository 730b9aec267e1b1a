use super::cases::*;
use super::signer::*;
use super::*;

/// A13: fifteen minutes both ways for a date in the header, to the second and the millisecond.
#[test]
fn a_clock_may_be_fifteen_minutes_off() {
    let [v1, _, v4, _] = good();
    let v2 = fixture().vectors.into_iter().find(|vector| vector.scheme == "v2-header").unwrap().cases().remove(0);
    for case in [v1, v2, v4] {
        let parts = case.parts().unwrap();
        let resource = case.resource(&parts).unwrap();
        let at = |millis: i64| {
            let clock = StoppedClock::at_millis(u64::try_from(millis).unwrap());
            let verifier = OssVerifier::new(case.credentials(), clock, case.region.clone());
            verifier.identify(&parts, std::slice::from_ref(&resource)).map(drop)
        };
        let signed = SECONDS * 1000;
        for good in [signed - 900_000, signed, signed + 900_000] {
            assert_eq!(at(good), Ok(()), "{good}");
        }
        for bad in [signed - 900_001, signed + 900_001, 0, signed + 86_400_000] {
            let skewed = OssAuthError::TimeTooSkewed { request: SECONDS, now: bad / 1000 };
            assert_eq!(at(bad), Err(skewed), "{bad}");
        }
    }
}

/// A18: a signed URL opens one thing, for its time.
#[test]
fn a_signed_url_is_bound_to_its_time() {
    let at = |case: &Case, seconds: i64| Case { now: seconds, ..case.clone() }.verify().map(drop);
    let (v1, v4) = (v1_url(SECONDS + 60), v4_url(SCOPE, STAMP, "60"));
    for case in [&v1, &v4] {
        assert_eq!(at(case, SECONDS + 60), Ok(()));
        assert_eq!(at(case, SECONDS + 61), Err(OssAuthError::Expired { until: SECONDS + 60, now: SECONDS + 61 }));
    }
    assert_eq!(at(&v4, SECONDS - 900), Ok(()));
    assert_eq!(at(&v4, SECONDS - 901), Err(OssAuthError::NotYetValid { from: SECONDS, now: SECONDS - 901 }));
    for expires in ["0", "-1", "604801", "10000000000", "99999999999999999999", "", "+5", "1e3", "soon"] {
        let flaw = OssFlaw::Expires("x-oss-expires");
        assert_eq!(
            error(&v4_url(SCOPE, STAMP, expires)),
            OssAuthError::Malformed { place: Place::Url, flaw },
            "{expires}"
        );
    }
    assert!(v4_url(SCOPE, STAMP, "604800").verify().is_ok());
    for expires in ["", "-1", "+1", "soon"] {
        let target = v1.target.replace(&(SECONDS + 60).to_string(), expires);
        let flaw = OssFlaw::Expires("Expires");
        let wrong = Case { target, ..v1.clone() };
        assert_eq!(error(&wrong), OssAuthError::Malformed { place: Place::Url, flaw }, "{expires}");
    }
    for name in ["OSSAccessKeyId", "Expires", "Signature"] {
        let without = Case { target: v1.target.replace(&format!("{name}="), "y="), ..v1.clone() };
        assert_eq!(error(&without), OssAuthError::ParameterMissing(name));
        let twice = Case { target: format!("{}&{name}=1", v1.target), ..v1.clone() };
        let flaw = OssFlaw::Parameter(name, crate::identity::ParameterFlaw::Twice);
        assert_eq!(error(&twice), OssAuthError::Malformed { place: Place::Url, flaw });
    }
    for name in ["x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-signature", "x-oss-signature-version"] {
        let without = Case { target: v4.target.replace(&format!("{name}="), "y="), ..v4.clone() };
        let flaw = OssFlaw::Incomplete(name);
        assert_eq!(error(&without), OssAuthError::Malformed { place: Place::Url, flaw });
        let twice = Case { target: format!("{}&{name}=1", v4.target), ..v4.clone() };
        let flaw = OssFlaw::Parameter(name, crate::identity::ParameterFlaw::Twice);
        assert_eq!(error(&twice), OssAuthError::Malformed { place: Place::Url, flaw });
    }
    let date = OssAuthError::Malformed { place: Place::Url, flaw: OssFlaw::Date };
    assert_eq!(error(&v4_url(SCOPE, DATE, "60")), date);
}

/// A14: the scope is this day, region, product and end.
#[test]
fn another_scope_is_refused() {
    let text = str::to_owned;
    let day = OssFlaw::CredentialDate { given: text("20260103"), expected: text("20260102") };
    let region = OssFlaw::Region { given: text("oss-cn-hangzhou"), expected: text("cn-hangzhou") };
    for (scope, flaw) in [
        ("20260103/cn-hangzhou/oss/aliyun_v4_request", day),
        ("20260102/oss-cn-hangzhou/oss/aliyun_v4_request", region),
        ("20260102/cn-hangzhou/s3/aliyun_v4_request", OssFlaw::Product(text("s3"))),
        ("20260102/cn-hangzhou/oss/aws4_request", OssFlaw::Terminal(text("aws4_request"))),
        ("cn-hangzhou/oss/aliyun_v4_request", OssFlaw::Credential),
        ("2026012/cn-hangzhou/oss/aliyun_v4_request", OssFlaw::Credential),
        ("20260102//oss/aliyun_v4_request", OssFlaw::Credential),
    ] {
        let header = OssAuthError::Malformed { place: Place::Header, flaw: flaw.clone() };
        assert_eq!(error(&v4_header(scope, &[])), header, "{scope}");
        assert_eq!(error(&v4_url(scope, STAMP, "60")), OssAuthError::Malformed { place: Place::Url, flaw }, "{scope}");
    }
}

#[test]
fn a_request_needs_a_date() {
    let signed = |date: &str| {
        let line = format!("GET\n\n\n{date}\nx-oss-date:{date}\n/bucket/key");
        v1_header("GET", "/bucket/key", &line, &[("x-oss-date", date)]).verify().map(drop)
    };
    assert_eq!(signed(STAMP), Ok(()));
    assert_eq!(signed(DATE), Ok(()));
    for bad in ["yesterday", "", "20260102", "1767323045"] {
        assert_eq!(signed(bad), Err(OssAuthError::DateInvalid), "{bad}");
    }
    let [v1, _, v4, _] = good();
    for mut case in [v1, v4] {
        case.headers.retain(|(name, _)| name != "date" && name != "x-oss-date");
        assert_eq!(error(&case), OssAuthError::DateInvalid);
    }
}
