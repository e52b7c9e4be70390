#!/bin/sh
# One lock serves every Python: markers tell the versions apart. dev.txt holds everything, the others agree with it.
set -eu
cd "$(dirname "$0")/../requirements"

lock() {
    output=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command "make lock" --constraint constraints.in --output-file "$output.txt" "$@"
    echo "requirements/$output.txt"
}

lock dev "$@" base.in dev.in docs.in build.in
lock base --constraint dev.txt base.in build.in
lock standalone --constraint dev.txt base.in standalone.in build.in
lock tracking --constraint dev.txt base.in standalone.in tracking.in build.in
lock test --constraint dev.txt base.in test.in build.in
lock docs --constraint dev.txt docs.in
lock mysql --constraint dev.txt mysql.in
lock xapi --constraint dev.txt base.in xapi.in build.in
lock peer --constraint dev.txt peer.in
lock clickhouse-test --constraint dev.txt clickhouse-test.in
lock audit --constraint dev.txt audit.in
