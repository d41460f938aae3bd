#!/usr/bin/env python3
"""s3_put.py ENDPOINT BUCKET ACCESS_KEY SECRET_KEY NAME

Writes an empty object with one signed PUT (AWS Signature Version 4, the standard library alone) and exits 0 if the
server took it. It tells a server that serves its bucket from one that only listens.
"""

import datetime
import hashlib
import hmac
import sys
import urllib.error
import urllib.parse
import urllib.request

REGION = "us-east-1"
TIMEOUT_S = 5


def signed_put(endpoint, bucket, access_key, secret_key, name):
    """The request; the steps are those of AWS's "Create a signed AWS API request"."""
    host = urllib.parse.urlsplit(endpoint).netloc
    path = urllib.parse.quote(f"/{bucket}/{name}")
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    body_hash = hashlib.sha256(b"").hexdigest()

    headers = {"host": host, "x-amz-content-sha256": body_hash, "x-amz-date": stamp}
    names = ";".join(sorted(headers))
    lines = "".join(f"{key}:{headers[key]}\n" for key in sorted(headers))
    canonical = "\n".join(["PUT", path, "", lines, names, body_hash])

    scope = f"{day}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret_key).encode()
    for part in (day, REGION, "s3", "aws4_request", to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()

    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return urllib.request.Request(endpoint + path, data=b"", headers=headers, method="PUT")


def main():
    # The server is on loopback: a proxy of the environment must not come between.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(signed_put(*sys.argv[1:6]), timeout=TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        sys.exit(f"PUT answered {error.code}: {error.read(500).decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"PUT failed: {error}")


main()
