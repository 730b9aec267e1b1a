// Signs origin requests with OSS's signature V1, as the nodes of a CDN do. For `nginx-cdn.conf`, whose signer calls it with
// requests of the form GET /bucket/key and without a query.
import crypto from 'crypto';

function date(_) {
    return new Date().toUTCString();
}

// `OSS id:base64(HMAC-SHA1(secret, verb, MD5, type, date, x-oss-* headers, resource))`. The resource is the decoded path; one
// that cannot be decoded is sent unsigned, and so refused.
function authorization(r) {
    const v = r.variables;
    let resource;
    try {
        resource = decodeURIComponent(v.request_uri.split('?')[0]);
    } catch (e) {
        return '';
    }
    const token = v.security_token ? `x-oss-security-token:${v.security_token}\n` : '';
    const headers = `x-oss-range-behavior:standard\n${token}`;
    // `$origin_date` is computed once for a request: what is signed is what is sent.
    const text = `${r.method}\n\n\n${v.origin_date}\n${headers}${resource}`;
    const mark = crypto.createHmac('sha1', v.access_key_secret).update(text).digest('base64');
    return `OSS ${v.access_key_id}:${mark}`;
}

export default { date, authorization };
