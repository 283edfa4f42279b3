#!/bin/sh
# Starts a collector whose queues are on disk: start.sh gateway.yaml [more of the collector's arguments]
# Or what compose.yaml starts, of the programs that are installed: start.sh all
# That is Jaeger and the gateway, which writes to ClickHouse too where CLICKHOUSE_ENDPOINT says that there is one.
# The collector does not start while a queue file is damaged, as a failing disk can leave one. So each is checked first,
# by its format's own tool, and one that is damaged is set aside and said. What waited in it is lost to Jaeger or Kafka,
# and is still in the gateway's file. What is written is for the collector's user alone, and goes before 30 days: retention.sh runs
# beside it.
set -eu
umask 077
# Runs a command for as long as this process runs.
beside() {
    "$@" &
    started=$!
    (
        while kill -0 $$ 2>/dev/null && kill -0 "$started" 2>/dev/null; do sleep 2; done
        kill "$started" 2>/dev/null
    ) &
}
if [ "$1" = all ]; then
    here=$(cd "$(dirname "$0")" && pwd)
    shift
    [ -z "${CLICKHOUSE_ENDPOINT:-}" ] || set -- --config "$here/with-clickhouse.yaml" "$@"
    set -- "$here/gateway.yaml" "$@"
    beside "${JAEGER:-jaeger}" --config "$here/jaeger.yaml"
fi
queue=${OTEL_USAGE_QUEUE:-./queue}
for file in "$queue"/exporter_*; do
    case $file in *.damaged-* | *.sent) continue ;; esac
    [ -s "$file" ] || continue
    if ! "${BBOLT:-bbolt}" check "$file" >/dev/null 2>&1; then
        aside=$file.damaged-$(date -u +%Y%m%dT%H%M%SZ)
        mv "$file" "$aside"
        echo "otel-usage: the queue $file is damaged; it is set aside as $aside, and an empty one takes its place" >&2
    fi
done
config=$1
shift
# The file exporter gives a file that it makes mode 0644, whatever the umask says, and one that is there keeps its own.
if grep -q '/usage\.jsonl$' "$config"; then
    data=${OTEL_USAGE_DATA:-./data}
    mkdir -p "$data"
    : >>"$data/usage.jsonl"
    chmod 600 "$data"/usage*.jsonl
fi
# A directory that was there keeps its mode, and may be a system's own; so it is named, not changed.
for directory in "$queue" ${data:+"$data"}; do
    if [ -n "$(find "$directory" -prune \( -perm -010 -o -perm -001 \) 2>/dev/null)" ]; then
        echo "otel-usage: others may enter $directory, and what is written there later is theirs to read; chmod 700 it" >&2
    fi
done
if [ -z "${OTEL_USAGE_OWN_METRICS_PORT:-}" ]; then
    OTEL_USAGE_OWN_METRICS_PORT=$(sed -n 's/.*OTEL_USAGE_OWN_METRICS_PORT:-\([0-9]*\)}.*/\1/p' "$config")
    export OTEL_USAGE_OWN_METRICS_PORT
fi
"$(dirname "$0")/retention.sh" $$ &
exec "${OTELCOL:-otelcol-usage}" --config "$config" "$@"
