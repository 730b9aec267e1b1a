//! Virtual-host addressing as `s3s` asks about it.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

use crate::dialect::host::BaseDomains;

impl S3Host for BaseDomains {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let found = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => found.with_bucket(bucket),
            None => found,
        })
    }
}
